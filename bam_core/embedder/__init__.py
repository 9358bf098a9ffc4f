"""Pretraining and embedding as a scikit-learn transformer."""

from bam_core.embedder.estimator import BAMEmbedder

__all__ = ["BAMEmbedder"]
