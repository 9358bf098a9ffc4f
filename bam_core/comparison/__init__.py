"""Objectives on equal terms: a trial is one objective with one seed; many trials are one table."""
