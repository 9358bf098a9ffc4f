"""Splits that keep groups together: a held-out one where the data has none, and checks of those it has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bam_core.errors import DataError, InputError
from bam_core.labels.strata import N_STRATA, strata


def hold_out(
    n: int,
    fraction: float,
    *,
    seed: int,
    labels: Sequence[int] | Sequence[float] | np.ndarray | None = None,
    groups: Sequence[str] | np.ndarray | None = None,
) -> np.ndarray:
    """Choose rows for testing: whole groups if there are groups, else the same fraction of every class or quantile.

    Args:
        n: number of rows.
        fraction: to hold out, in (0, 1).
        seed: of the choice.
        labels: (n,) class indices, -1 for none; real numbers, NaN for none; or (n, k) 0/1, a row of -1 for none. Rows
            without a label are not held out, since they cannot be scored.
        groups: (n,) names of what must stay together.

    Returns:
        (n,) bool, true for held-out rows.

    Raises:
        InputError: the fraction is outside (0, 1).
        DataError: fewer than two groups, or too few rows to hold any out.

    Example:
        >>> hold_out(6, 0.5, seed=0, labels=[0, 0, 0, 0, 1, 1]).sum()
        np.int64(3)
    """
    if not 0 < fraction < 1:
        raise InputError(f"test_fraction expected a value between 0 and 1; got {fraction}.")
    generator = np.random.default_rng(seed)
    if groups is not None:
        names, group_of_row = np.unique(np.asarray(groups), return_inverse=True)
        if len(names) < 2:
            raise DataError(
                "a held-out test split expected at least two groups (persons, recordings); got one. "
                "Name the splits, or set test_fraction to 0."
            )
        n_test = int(np.clip(round(fraction * len(names)), 1, len(names) - 1))
        return np.isin(group_of_row, generator.permutation(len(names))[:n_test])
    held_out = np.zeros(n, bool)
    classes = np.zeros(n, np.int64) if labels is None else strata(labels, max(1, min(N_STRATA, int(n * fraction))))
    for label in np.unique(classes[classes >= 0]):
        rows = generator.permutation(np.flatnonzero(classes == label))
        held_out[rows[: round(fraction * len(rows))]] = True
    if not held_out.any():
        raise DataError(
            f"cannot hold out {fraction:g} of {n} rows: no class or quantile is large enough. Set test_fraction to 0."
        )
    return held_out


def check_disjoint(splits: Sequence[str], groups: Sequence[str]) -> None:
    """See to it that no group is in two splits.

    Args:
        splits: (n,) name of the split of every row, or record.
        groups: (n,) what must stay together.

    Raises:
        DataError: a group is in two splits.
    """
    split_of: dict[str, str] = {}
    for split, group in zip(splits, groups, strict=True):
        other = split_of.setdefault(group, split)
        if other != split:
            raise DataError(
                f"group {group!r} is in the splits {other!r} and {split!r}: results would be flattering. "
                "Leave out its rows in one of them, or name no groups."
            )


def named_groups(values: Sequence[Any] | np.ndarray) -> list[str]:
    """Groups as strings.

    Args:
        values: (n,) names or numbers; None, NaN and empty strings are missing.

    Raises:
        DataError: a row has none, so that nobody knows what it must stay together with.

    Example:
        >>> named_groups([1, "b"])
        ['1', 'b']
    """
    empty = np.flatnonzero(missing(values))
    if len(empty):
        raise DataError(
            f"group expected a value in every row; {len(empty)} have none, the first is row {empty[0]}. Name them, a "
            "group of its own for each if need be."
        )
    return [str(name) for name in np.asarray(values, dtype=object)]


def missing(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Where a column has no value: (n,) true for None, NaN, `pd.NA` and empty strings.

    Example:
        >>> missing(["a", "", None, pd.NA, 0]).tolist()
        [False, True, True, True, False]
    """
    column = np.asarray(values, dtype=object)
    return np.array([gap or value == "" for value, gap in zip(column, pd.isna(column), strict=True)], dtype=bool)
