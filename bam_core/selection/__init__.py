"""Figures of encoders that need no labels, side by side."""
