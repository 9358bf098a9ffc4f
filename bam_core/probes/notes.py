"""What a reader of the table should know about the labels behind it."""

import numpy as np

from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import SplitLabels, labelled
from bam_core.probes.protocol import EvaluationProtocol

FEW_GROUPS = 10


def task_notes(labels: SplitLabels, protocol: EvaluationProtocol) -> list[str]:
    """Sentences on rows left out, groups on both sides, classes missing, and the rarest class of small fractions."""
    notes = []
    for split, limit in (("train", protocol.max_train_rows), ("test", protocol.max_test_rows)):
        values = getattr(labels, split)
        n_known = int(labelled(values).sum())
        if n_known < len(values):
            notes.append(
                f"{len(values) - n_known:,} of {len(values):,} rows of {split} have no label and are left out."
            )
        if n_known > limit:
            notes.append(f"A draw of {limit:,} of the {n_known:,} labelled rows of {split} is used.")
    if labels.train_groups is not None and labels.test_groups is not None:
        shared = np.intersect1d(np.unique(labels.train_groups), np.unique(labels.test_groups))
        if len(shared):
            notes.append(
                f"{len(shared)} of {len(np.unique(labels.test_groups))} groups of test are also in train: the figures "
                "say little about new groups."
            )
    return (
        notes + _of_few_groups(labels) + (_of_numbers(labels) if labels.regression else _of_classes(labels, protocol))
    )


def _of_few_groups(labels: SplitLabels) -> list[str]:
    notes = []
    for split in ("train", "test"):
        groups = getattr(labels, f"{split}_groups")
        n_groups = 0 if groups is None else len(np.unique(groups[labelled(getattr(labels, split))]))
        if 0 < n_groups < FEW_GROUPS:
            what = "what is learnt from them may not hold" if split == "train" else "intervals are too narrow"
            notes.append(f"{split.capitalize()} has {n_groups} group(s) only: {what} for other groups.")
    return notes


def _of_numbers(labels: SplitLabels) -> list[str]:
    train, test = (values[labelled(values)] for values in (labels.train, labels.test))
    if not len(train) or not len(test):
        return []
    error = np.abs(test - np.median(train)).mean()
    return [
        f"Labels are numbers: {test.min():.4g} to {test.max():.4g} in test, mean {test.mean():.4g}, standard deviation "
        f"{test.std():.4g}. Saying the median of train every time has R² 0 or less and a mean absolute error of "
        f"{error:.4g}."
    ]


def _of_classes(labels: SplitLabels, protocol: EvaluationProtocol) -> list[str]:
    notes = []
    in_train, in_test = _counts(labels, labels.train), _counts(labels, labels.test)
    missing = [name for name, a, b in zip(labels.classes, in_train, in_test, strict=True) if b and not a]
    if missing:
        notes.append(f"Test has classes that train lacks, which no probe can find: {_some(missing)}.")
    absent = [name for name, b in zip(labels.classes, in_test, strict=True) if not b]
    if absent:
        notes.append(f"Classes that test lacks are left out of averages: {_some(absent)}.")
    for fraction in protocol.fractions:
        rows = draw_rows(labels.train, fraction, seed=protocol.seed, min_per_class=protocol.min_per_class)
        counts = np.where(in_train > 0, _counts(labels, labels.train[rows]), np.iinfo(np.int64).max)
        rarest = int(counts.argmin())
        if fraction < 1 and counts[rarest] < 5:
            n = int(counts[rarest])
            notes.append(
                f"At {fraction * 100:g} % of the labels the rarest class, {labels.classes[rarest]}, has {n} "
                f"label{'s' if n > 1 else ''}."
            )
    return notes


def _counts(labels: SplitLabels, values: np.ndarray) -> np.ndarray:
    values = values[labelled(values)]
    return values.sum(axis=0) if labels.multi_label else np.bincount(values, minlength=labels.n_classes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
