"""What all sets of features of an evaluation share: labels, draws of them, and resamplings of test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.labels.strata import is_real
from bam_core.probes.folds import varies
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import SplitLabels, labelled
from bam_core.probes.metrics import default_metrics, resamplings
from bam_core.probes.protocol import EvaluationProtocol


class RowsInUse(NamedTuple):
    """Rows of the splits that an evaluation looks at, and their labels: the draws among them are those among all."""

    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray | None
    labels: SplitLabels


def rows_in_use(labels: SplitLabels, protocol: EvaluationProtocol) -> RowsInUse:
    """The rows of which `evaluate` needs features, so that those of dear features can be made for no others.

    Raises:
        InputError: as `evaluate` does.

    Example:
        >>> labels = SplitLabels(train=np.array([0, -1, 1, 0]), test=np.array([1, 0, -1]))
        >>> found = rows_in_use(labels, EvaluationProtocol())
        >>> found.train.tolist(), found.test.tolist(), found.labels.train.tolist()
        ([0, 2, 3], [0, 1], [0, 1, 0])
    """
    task = make_task(labels, protocol)
    train = np.flatnonzero(labelled(task.train))
    validation = None if labels.validation is None else np.flatnonzero(labelled(labels.validation))
    taken = replace(
        labels,
        train=labels.train[train],
        test=task.test,
        validation=None if labels.validation is None else labels.validation[validation],
        train_groups=None if labels.train_groups is None else labels.train_groups[train],
        test_groups=None if labels.test_groups is None else labels.test_groups[task.test_rows],
    )
    return RowsInUse(train, task.test_rows, validation, taken)


@dataclass(frozen=True)
class Task:
    """What all sets of features share. Rows of train and validation that are out of use have the label -1, or NaN."""

    protocol: EvaluationProtocol
    metrics: tuple[str, ...]
    subset: list[int]
    classes: Sequence[str]
    train: np.ndarray
    train_groups: np.ndarray | None
    validation: np.ndarray | None
    test: np.ndarray
    test_rows: np.ndarray
    test_groups: np.ndarray | None


def make_task(labels: SplitLabels, protocol: EvaluationProtocol) -> Task:
    """Labels and protocol as an evaluation uses them.

    Raises:
        InputError: classes that the labels do not have, or labels without a difference.
    """
    unknown = [name for name in protocol.classes if name not in labels.classes]
    if unknown:
        raise InputError(f"the protocol averages over classes {unknown}; the labels have {list(labels.classes)}.")
    for split in ("train", "test"):
        values = getattr(labels, split)
        if not labelled(values).any() or not varies(values[labelled(values)]):
            what = "two different numbers" if labels.regression else "two classes"
            raise InputError(
                f"evaluate expected labels of at least {what} in {split}; got {int(labelled(values).sum())} "
                f"labelled of {len(values)} rows, without a difference. Evaluate without labels, or split otherwise."
            )
    test_rows = draw_rows(labels.test, _share(labels.test, protocol.max_test_rows), seed=protocol.seed)
    groups = None if labels.test_groups is None else labels.test_groups[test_rows]
    return Task(
        protocol=protocol,
        metrics=protocol.metrics
        or default_metrics(labels.n_classes, multi_label=labels.multi_label, regression=labels.regression),
        subset=[list(labels.classes).index(name) for name in protocol.classes],
        classes=labels.classes,
        train=keep_labels(labels.train, _share(labels.train, protocol.max_train_rows), 0, protocol),
        train_groups=labels.train_groups,
        validation=labels.validation,
        test=labels.test[test_rows],
        test_rows=test_rows,
        test_groups=groups if groups is not None and len(np.unique(groups)) > 1 else None,
    )


def _share(labels: np.ndarray, limit: int) -> float:
    return min(1.0, limit / max(int(labelled(labels).sum()), 1))


def keep_labels(labels: np.ndarray, fraction: float, draw: int, protocol: EvaluationProtocol) -> np.ndarray:
    """The labels of a draw; all others are -1, or NaN."""
    rows = draw_rows(labels, fraction, draw=draw, seed=protocol.seed, min_per_class=protocol.min_per_class)
    kept = np.full_like(labels, np.nan if is_real(labels) else -1)
    kept[rows] = labels[rows]
    return kept


def resamplings_of(task: Task) -> Iterator[np.ndarray]:
    """Weights of the rows of test, whole groups together."""
    return resamplings(len(task.test), task.test_groups, count=task.protocol.bootstrap, seed=task.protocol.seed)
