"""Electrocardiograms: readers, views, encoders."""
