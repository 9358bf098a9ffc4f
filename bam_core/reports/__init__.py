"""Numbers in, pages and pictures out. Knows no training."""
