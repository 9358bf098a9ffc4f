"""A look at data before any training."""
