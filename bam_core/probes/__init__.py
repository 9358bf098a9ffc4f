"""Frozen embeddings in, numbers out: probes, fractions of the labels, tables, verdicts. Knows no recipe."""
