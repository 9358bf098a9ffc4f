"""Prepared data: what readers return, cached as memory-mapped Arrow files or held in memory, and served in batches.

Needs the `train` extra (datasets, numpy, scikit-learn).
"""

from bam_core.data.cache import cached
from bam_core.data.prepared import DrawnDataset, PreparedData, SetAside, SplitDataset
from bam_core.data.writer import SplitWriter, in_memory

__all__ = ["DrawnDataset", "PreparedData", "SetAside", "SplitDataset", "SplitWriter", "cached", "in_memory"]
