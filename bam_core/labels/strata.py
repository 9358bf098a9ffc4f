"""Classes to stratify by: real numbers by quantile, several labels a row by the rarest."""

from collections.abc import Sequence

import numpy as np

N_STRATA = 10


def is_real(labels: Sequence[int] | Sequence[float] | np.ndarray) -> bool:
    """Whether labels are real numbers (float, NaN for none), not class indices (int, -1 for none)."""
    return np.asarray(labels).dtype.kind == "f"


def strata(labels: Sequence[int] | Sequence[float] | np.ndarray, n: int = N_STRATA) -> np.ndarray:
    """Class indices to stratify by: class indices as they are, real numbers by the quantile that they lie in.

    Of several labels the rarest counts; rows that carry none are a class of their own.

    Args:
        labels: (rows,) class indices, -1 for none; float, NaN for none; or (rows, k) 0/1, a row of -1 for none.
        n: classes of real numbers, about equally large; fewer where values repeat.

    Returns:
        (rows,) int64, -1 for unlabelled rows.

    Example:
        >>> strata(np.array([0.5, 7.0, np.nan, 2.0, 30.0]), 2).tolist(), strata(np.array([1, -1])).tolist()
        ([0, 1, -1, 0, 1], [1, -1])
    """
    values = np.asarray(labels)
    if values.ndim == 2:
        counts = (values == 1).sum(axis=0)
        rarest = np.where(values == 1, counts, len(values) + 1).argmin(axis=1)
        found = np.where((values == 1).any(axis=1), rarest, values.shape[1])
        return np.where(values.min(axis=1) < 0, -1, found).astype(np.int64)
    if not is_real(values):
        return values.astype(np.int64)
    found = np.full(len(values), -1, np.int64)
    known = np.isfinite(values)
    found[known] = np.searchsorted(_edges(values[known], n), values[known], side="right")
    return found


def named_strata(labels: np.ndarray, n: int = 5) -> tuple[np.ndarray, list[str]]:
    """Real numbers as classes for pictures, and what they are called: the smallest and the largest of each.

    Example:
        >>> named_strata(np.array([0.5, 7.0, np.nan, 2.0, 30.0]), 2)
        (array([ 0,  1, -1,  0,  1]), ['0.5 to 2', '7 to 30'])
    """
    indices, names = strata(labels, n), []
    for place, stratum in enumerate(np.unique(indices[indices >= 0])):
        inside = labels[indices == stratum]
        low, high = (f"{value:.4g}" for value in (inside.min(), inside.max()))
        names.append(low if low == high else f"{low} to {high}")
        indices[indices == stratum] = place
    return indices, names


def _edges(values: np.ndarray, n: int) -> np.ndarray:
    """Inner edges of at most n classes, none of them empty."""
    if not len(values):
        return np.empty(0)
    edges = np.unique(np.quantile(values, np.arange(1, n) / n))
    inner: np.ndarray = edges[edges > values.min()]
    return inner
