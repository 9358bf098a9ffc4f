"""Prepared data: what readers return, cached as memory-mapped Arrow files, and served in batches.

Needs the `train` extra (datasets, numpy, scikit-learn).
"""

from bam_core.data.cache import SplitWriter, cached
from bam_core.data.prepared import PreparedData, SetAside, SplitDataset

__all__ = ["PreparedData", "SetAside", "SplitDataset", "SplitWriter", "cached"]
