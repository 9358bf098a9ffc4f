"""The rows most like a given one, in a file of embeddings."""
