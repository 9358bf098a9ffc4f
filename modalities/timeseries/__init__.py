"""Sampled signals in general: arrays of records, with or without labels."""
