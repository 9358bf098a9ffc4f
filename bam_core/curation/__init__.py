"""What embeddings say about data: near-duplicates, leaks between splits, outliers, clusters, suspicious labels."""
