"""Which labels a probe may see: seeded, stratified draws, the same for every set of features.

A draw orders the labelled rows once at random. Fraction f takes the first part of that order, class by class, so the
draws of one index are nested: the rows at 1 % are among those at 10 %. Different indices are independent.
"""

import numpy as np
from jaxtyping import Int

from bam_core.errors import InputError
from bam_core.labels.strata import is_real, strata
from bam_core.probes.inputs import labelled


def draw_rows(
    labels: np.ndarray, fraction: float, *, draw: int = 0, seed: int = 0, min_per_class: int = 1
) -> Int[np.ndarray, " m"]:
    """Rows whose labels are kept.

    Args:
        labels: (n,) class indices, -1 for no label; (n, c) 0/1 for multi-label data, a row of -1 for none; or (n,)
            real numbers, NaN for none, whose tenths by quantile count as classes.
        fraction: part of the labelled rows, in (0, 1]. Of every class, round(fraction * count) rows are drawn.
            Multi-label data: round(fraction * labelled rows) in all, then for every label that is still short
            the next rows that carry it.
        draw: index of the draw.
        seed: of all draws.
        min_per_class: rows of every class that are kept at least, where there are so many.

    Returns:
        (m,) ascending row indices.

    Raises:
        InputError: a fraction out of range, or no labelled row.

    Example:
        >>> draw_rows(np.array([0] * 98 + [1, -1]), 0.1).shape
        (11,)
    """
    if not 0 < fraction <= 1:
        raise InputError(f"draw_rows expected a fraction in (0, 1]; got {fraction}.")
    rows = np.flatnonzero(labelled(labels))
    if not len(rows):
        raise InputError("draw_rows expected labelled rows; got none.")
    if fraction == 1:
        return rows
    order = np.random.default_rng([seed, draw]).permutation(rows)
    if labels.ndim == 1:
        classes = strata(labels)
        by_class = [order[classes[order] == c] for c in np.unique(classes[rows])]
        kept = np.concatenate([c[: max(round(fraction * len(c)), min_per_class)] for c in by_class])
    else:
        n = max(round(fraction * len(order)), min_per_class)
        carriers = [order[labels[order, c] == 1][:min_per_class] for c in range(labels.shape[1])]
        kept = np.concatenate([order[:n], *carriers])
    return np.unique(kept)


def balanced_rows(labels: np.ndarray, fraction: float, *, seed: int = 0) -> Int[np.ndarray, " m"]:
    """Equally many rows of every class: a class-balanced list, as ImageNet's of 1 % and 10 %.

    Args:
        labels: (n,) class indices, -1 for no label.
        fraction: part of the labelled rows, in (0, 1]; it is shared out among the classes equally, with one row of
            each at least. A class that has fewer gives all it has. 1 is all labelled rows.
        seed: of the draw.

    Returns:
        (m,) ascending row indices.

    Raises:
        InputError: a fraction out of range, or no labelled row, or rows with several labels.

    Example:
        >>> balanced_rows(np.array([0] * 90 + [1] * 10), 0.1).shape
        (10,)
    """
    if not 0 < fraction <= 1:
        raise InputError(f"a class-balanced draw expected a fraction in (0, 1]; got {fraction}.")
    if labels.ndim != 1 or is_real(labels) or not labelled(labels).any():
        raise InputError("a class-balanced draw expected labelled rows with one class each; there are none.")
    rows = np.flatnonzero(labelled(labels))
    if fraction == 1:
        return rows
    order = np.random.default_rng(seed).permutation(rows)
    classes = np.unique(labels[rows])
    each = max(1, round(fraction * len(rows) / len(classes)))
    return np.unique(np.concatenate([order[labels[order] == c][:each] for c in classes]))
