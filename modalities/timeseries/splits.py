"""Which rows are for training and which for testing."""

from collections.abc import Sequence

import numpy as np

from bam_core.data.holdout import check_disjoint, hold_out
from bam_core.data.splits import read_splits


def split_rows(
    n: int,
    named: Sequence[object] | np.ndarray | None,
    *,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """(n,) the split of every row: as named, or a part of the groups, or of every class, held out if there are labels.

    Args:
        n: number of rows.
        named: (n,) names of splits, if they are known.
        labels: (n,) class indices, -1 for none.
        groups: (n,) what must stay together.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.

    Raises:
        DataError: another name of a split, a group in two splits, or too little to hold out.

    Example:
        >>> split_rows(4, None, labels=np.array([0, 0, 1, 1]), groups=None, test_fraction=0.5, seed=0).tolist()
        ['test', 'train', 'test', 'train']
    """
    if named is not None:
        parts = np.array(read_splits(named))
    elif labels is not None and test_fraction:
        parts = np.where(hold_out(n, test_fraction, seed=seed, labels=labels, groups=groups), "test", "train")
    else:
        parts = np.full(n, "train")
    if groups is not None:
        check_disjoint(parts.tolist(), groups.tolist())
    return parts
