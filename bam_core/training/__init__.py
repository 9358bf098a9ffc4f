"""Pretraining runs: recipe in, run folder out. Needs the `train` extra."""
