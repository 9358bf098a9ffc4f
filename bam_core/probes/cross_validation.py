"""Cross-validation: all labelled rows are held out once, whole groups together; one table from the tables of the folds.

Not to be confused with `EvaluationProtocol.folds`, which are made inside train for the choice of C.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.probes.folds import splits_of
from bam_core.probes.inputs import labelled
from bam_core.probes.metrics import spread_of_values
from bam_core.probes.notes import FEW_GROUPS
from bam_core.probes.protocol import LEAVE_ONE_GROUP_OUT, CrossValidation
from bam_core.probes.result_table import FoldInfo, Result
from bam_core.probes.results import Results

N_NAMED = 3


class Fold(NamedTuple):
    """Rows that are held out, and rows to learn from."""

    train: np.ndarray
    test: np.ndarray
    info: FoldInfo


def make_folds(labels: np.ndarray, groups: np.ndarray | None, how: CrossValidation, *, seed: int = 0) -> list[Fold]:
    """Divide the labelled rows, each of which is held out once.

    Args:
        labels: (n,) class indices, (n, c) 0/1, or (n,) real numbers; -1 or NaN for rows without a label.
        groups: (n,) what stays together, or None.
        how: number of folds, by group where there are groups and stratified by class, or by quantile of numbers; or
            "leave_one_group_out".
        seed: of the shuffling.

    Raises:
        InputError: too few groups or rows, or no groups to leave out.

    Example:
        >>> folds = make_folds(np.array([0, 1] * 4), np.repeat(["a", "b", "c", "d"], 2), "leave_one_group_out")
        >>> [fold.info.name for fold in folds], folds[0].test.tolist()
        (['a', 'b', 'c', 'd'], [0, 1])
    """
    known = np.flatnonzero(labelled(labels))
    of_known = None if groups is None else groups[known]
    if how == LEAVE_ONE_GROUP_OUT:
        if of_known is None or len(np.unique(of_known)) < 2:
            n = 0 if of_known is None else 1
            raise InputError(f"{LEAVE_ONE_GROUP_OUT} expected labelled rows of at least two groups; got {n} group(s).")
        parts = [(known[of_known != group], known[of_known == group]) for group in np.unique(of_known)]
    else:
        found = list(splits_of(labels[known], of_known, how, seed))
        if len(found) < how:
            unit = "rows" if of_known is None else "groups"
            raise InputError(
                f"cross_validation={how} expected enough {unit} of the classes for {how} folds; only {len(found)} can "
                "be made of them. Take fewer folds."
            )
        parts = [(known[fit], known[held_out]) for fit, held_out in found]
    return [
        Fold(train, test, describe_fold(number, test, groups)) for number, (train, test) in enumerate(parts, start=1)
    ]


def describe_fold(number: int, test: np.ndarray, groups: np.ndarray | None) -> FoldInfo:
    """What is held out: the groups of some rows, or a number where there are none."""
    names = [] if groups is None else [str(name) for name in np.unique(groups[test])]
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return FoldInfo(", ".join(names[:N_NAMED]) + more if names else f"fold {number}", tuple(names), len(test))


def over_folds(tables: Sequence[Results], folds: Sequence[FoldInfo], *, notes: Sequence[str] = ()) -> Results:
    """One table from one for each fold: means and standard deviations over the folds, whose scores are the `values`.

    Below fraction 1 the score of a fold is the mean over its draws of labels.

    Args:
        tables: of the folds, with the same features, columns and metrics.
        folds: what is held out in each.
        notes: to be said.

    Raises:
        InputError: fewer than two folds, or tables of different rows.
    """
    if len(tables) < 2 or len(tables) != len(folds):
        raise InputError(f"a cross-validation expected a table for each of at least two folds; got {len(tables)}.")
    first = tables[0]
    for what in ("features", "columns", "metrics"):
        found = [getattr(table, what) for table in tables]
        if any(value != found[0] for value in found):
            raise InputError(f"a cross-validation expected the same {what} in every fold; got {found}.")
    rows, undefined = [], dict[str, None]()
    for row in first.rows:
        same = [table.row(row.features, row.probe, row.fraction, row.metric) for table in tables]
        rows.append(_joined(same))
        undefined |= {fold.name: None for fold, one in zip(folds, same, strict=True) if not np.isfinite(one.mean)}
    said = [*notes, *_of_folds(folds)]
    if undefined:
        said.append(f"A metric is undefined in {', '.join(undefined)}, and left out of its mean.")
    shared = [note for note in first.notes if all(note in table.notes for table in tables)]
    digest = hashlib.sha256("".join(table.labels_hash for table in tables).encode()).hexdigest()[:16]
    return replace(
        first,
        rows=tuple(rows),
        labels_hash=digest,
        encoder={},
        figures={},
        costs={},
        notes=tuple(dict.fromkeys([*said, *shared])),
        by_class=(),
        folds=tuple(folds),
    )


def _joined(rows: Sequence[Result]) -> Result:
    values = tuple(row.mean for row in rows)
    return replace(
        rows[0],
        mean=float(np.nanmean(values)) if np.isfinite(values).any() else float("nan"),
        spread=spread_of_values(values, False),
        spread_of=f"standard deviation over {len(rows)} folds",
        n_labels=round(float(np.mean([row.n_labels for row in rows]))),
        seconds=sum(row.seconds for row in rows),
        values=values,
    )


def _of_folds(folds: Sequence[FoldInfo]) -> list[str]:
    n_groups = len({group for fold in folds for group in fold.groups})
    sizes = [fold.n_rows for fold in folds]
    rows = f"{min(sizes):,} to {max(sizes):,} rows" if min(sizes) != max(sizes) else f"{sizes[0]:,} rows"
    of_groups = f", and {n_groups} groups in all" if n_groups else ""
    said = [f"Cross-validation of {len(folds)} folds, each with {rows}{of_groups}; every row is held out once."]
    if 0 < n_groups < FEW_GROUPS:
        said.append(
            f"There are {n_groups} groups only: neither mean nor spread over the folds says much about other groups."
        )
    return said
