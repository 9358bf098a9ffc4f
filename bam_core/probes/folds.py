"""Splits inside train for the choice of a hyper-parameter; the rows of a group never straddle them."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from bam_core.labels.strata import N_STRATA, is_real, strata


class Split(NamedTuple):
    """Rows to fit on, and rows held out."""

    fit: Int[np.ndarray, " a"]
    held_out: Int[np.ndarray, " b"]


class Splits(NamedTuple):
    """Splits whose fitting parts hold at least two classes, and what they are made of: "groups", "rows", "nothing"."""

    splits: list[Split]
    made_of: str


def make_splits(labels: np.ndarray, groups: np.ndarray | None, *, folds: int = 3, seed: int = 0) -> Splits:
    """Stratified folds of groups; of rows where there are no groups, or too few to hold out any.

    A class that lives in one group only is held out as a whole, and then predicted wrongly by every candidate alike,
    so it has no say. If that would leave fewer than two classes with a say, folds are made of rows.

    Args:
        labels: (n,) class indices, (n, c) 0/1 for multi-label data (whose folds are not stratified), or (n,) real
            numbers (stratified by quantile); every row has one.
        groups: (n,) whose rows must stay together, or None.
        folds: wanted; fewer where there are not so many groups or rows of a class.
        seed: of the shuffling.

    Example:
        >>> make_splits(np.array([0, 1] * 6), np.arange(12) // 4).made_of
        'groups'
        >>> make_splits(np.array([0, 1]), None)
        Splits(splits=[], made_of='nothing')
    """
    if groups is not None and _spread_over_groups(labels, groups):
        splits = list(splits_of(labels, groups, folds, seed))
        if splits:
            return Splits(splits, "groups")
    splits = list(splits_of(labels, None, folds, seed))
    return Splits(splits, "rows" if splits else "nothing")


def varies(labels: np.ndarray) -> bool:
    """Whether there are two classes or two values, or a label that some rows carry and others do not."""
    return bool((labels.min(axis=0) != labels.max(axis=0)).any())


def _spread_over_groups(labels: np.ndarray, groups: np.ndarray) -> bool:
    if labels.ndim == 2 or is_real(labels):
        return len(np.unique(groups)) > 1
    return sum(len(np.unique(groups[labels == c])) > 1 for c in np.unique(labels)) > 1


def splits_of(labels: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> Iterator[Split]:
    """Stratified folds of groups, or of rows without them; fewer than asked for where there are too few of these."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    classes = labels if labels.ndim == 2 else strata(labels, max(1, min(N_STRATA, len(labels) // folds)))
    if labels.ndim == 2:
        limit, kind = len(labels), KFold if groups is None else GroupKFold
    else:
        limit = int(np.unique(classes, return_counts=True)[1].max())
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = min(folds, limit if groups is None else min(limit, len(np.unique(groups))))
    if folds < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is usual at 1 % of the labels
        found = list(kind(folds, shuffle=True, random_state=seed).split(labels, classes, groups))
    for fit, held_out in found:
        if len(held_out) and varies(labels[fit]):
            yield Split(fit, held_out)
