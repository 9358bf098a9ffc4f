"""What may spoil a training or its evaluation, found in prepared rows; a sentence each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.data.prepared import ABOUT
from bam_core.labels.strata import is_real
from bam_core.runs.origin import row_digests

N_ROWS = 4000  # of train that values are looked at
FEW = 10  # rows of a class, or groups of a split
CLIPPED = 0.01  # part of the values of a row that equal its extreme
RUN = 3  # equal extreme values in a row that are more than a peak
GIVEN_AWAY = 0.98  # AUC, or accuracy of the most frequent class of each category
NAMED = 5


def findings(recipe: Resolved, data: PreparedData) -> list[str]:
    """All findings, beyond those that the reader itself tells in `PreparedData.account`.

    Args:
        recipe: whose modality reads the rows.
        data: as the reader prepared them.
    """
    found = [*_sizes(data), *_copies(recipe, data), *_classes(data), *_groups(data)]
    rows = data.splits["train"]
    if len(rows) > N_ROWS:
        rows = rows.select(np.sort(np.random.default_rng(0).permutation(len(rows))[:N_ROWS]))
    part = PreparedData({"train": rows}, data.facts)
    values = {
        name: rows.with_format("numpy")[name][:]
        for name, kind in rows.features.items()
        if name not in ABOUT and getattr(kind, "feature", None) is not None and "binary" not in str(kind)
    }
    if recipe.modality.columns_are_features:
        return [*found, *_given_away(_features(values, data.facts), part.labels("train"))]
    return [*found, *_clipped(values), *_given_away(_measures(values), part.labels("train"))]


def _sizes(data: PreparedData) -> Iterator[str]:
    n = len(data.splits["train"])
    if n < 200:
        yield f"Train has {n:,} rows: too few to learn much from without labels."
    if data.facts.get("unequal"):
        shortest, longest = data.facts.get("shortest"), data.facts.get("longest")
        if shortest and longest and longest > 20 * shortest:
            yield (
                f"Rows are from {shortest:,} to {longest:,} samples long: a batch is padded to its longest. Windows of "
                "one length train faster."
            )


def _copies(recipe: Resolved, data: PreparedData) -> Iterator[str]:
    """Rows with the same values, within train and between splits."""
    where: dict[bytes, Counter[str]] = {}
    for split, rows in data.splits.items():
        if len(rows) > 50 * N_ROWS:
            return
        for digest in row_digests(rows, recipe, data.facts):
            where.setdefault(digest, Counter())[split] += 1
    twice = sum(counts["train"] for counts in where.values() if counts["train"] > 1)
    if twice:
        yield f"{twice:,} rows of train have the same values as another: copies are taken for different samples."
    for split in sorted(set(data.splits) - {"train"}):
        shared = sum(counts[split] for counts in where.values() if counts["train"] and counts[split])
        if shared:
            yield f"{shared:,} rows of {split} have the same values as a row of train: results there are too good."


def _classes(data: PreparedData) -> Iterator[str]:
    for split in data.splits:
        labels, classes = data.labels(split), data.facts.get("classes") or []
        if labels is None or is_real(labels):
            continue
        counts = (
            (labels == 1).sum(axis=0) if labels.ndim == 2 else np.bincount(labels[labels >= 0], minlength=len(classes))
        )
        rare = [f"{name} ({count})" for name, count in zip(classes, counts.tolist(), strict=False) if count < FEW]
        if rare:
            more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
            yield f"Classes of {split} with fewer than {FEW} rows: {', '.join(rare[:NAMED])}{more}."


def _groups(data: PreparedData) -> Iterator[str]:
    known = {split: set(np.unique(found)) for split in data.splits if (found := data.groups(split)) is not None}
    if not known and len(data.splits) > 1:
        yield (
            "No group says which rows are of the same person, machine or recording. If there are several of one, name "
            "it (option group), or train and test share it."
        )
    for split, groups in known.items():
        if len(groups) < FEW:
            yield f"{split[0].upper()}{split[1:]} has {len(groups)} group(s): figures will hardly hold for others."
        shared = groups & known.get("train", set()) if split != "train" else set()
        if shared:
            yield f"{len(shared):,} groups are in train and in {split}, such as {sorted(shared)[0]}."


def _clipped(values: Mapping[str, Any]) -> Iterator[str]:
    """Rows that stay at their largest or smallest value, as of an amplifier that has reached its end."""
    for rows in values.values():
        count = sum(_is_clipped(np.ravel(row)) for row in rows)
        if count > 0.01 * len(rows):
            yield (
                f"{count:,} of {len(rows):,} rows stay at their largest or smallest value for a while: clipped, or cut "
                "off by a filter."
            )


def _is_clipped(row: np.ndarray) -> bool:
    if len(row) < 2 * RUN or row.dtype.kind not in "fiu" or np.ptp(row) == 0:
        return False
    for extreme in (row.max(), row.min()):
        here = row == extreme
        if here.mean() >= CLIPPED and np.convolve(here, np.ones(RUN), "valid").max() == RUN:
            return True
    return False


def _features(values: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of a table by name."""
    found: dict[str, np.ndarray] = {}
    for name, rows in values.items():
        matrix = np.asarray(rows)
        names = facts.get(f"{name}_names") or [f"{name} {i}" for i in range(matrix.shape[1])]
        found |= dict(zip(names, matrix.T, strict=True))
    return found


def _measures(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What is known of a signal without looking at its form."""
    found: dict[str, np.ndarray] = {}
    for rows in values.values():
        flat = [np.ravel(row).astype(np.float64) for row in rows]
        found |= {
            "the length": np.array([len(row) for row in flat]),
            "the mean": np.array([row.mean() for row in flat]),
            "the standard deviation": np.array([row.std() for row in flat]),
            "the largest value": np.array([row.max() for row in flat]),
        }
    return found


def _given_away(features: Mapping[str, np.ndarray], labels: np.ndarray | None) -> Iterator[str]:
    """Single features that tell the label nearly alone."""
    if labels is None or labels.ndim != 1 or is_real(labels) or len(np.unique(labels[labels >= 0])) < 2:
        return
    scores = {name: feature_score(column, labels) for name, column in features.items()}
    for name, score in sorted(scores.items(), key=lambda item: -item[1])[:NAMED]:
        if score >= GIVEN_AWAY:
            yield (
                f"{name!r} alone tells the label ({score:.3f} of 1): is it known when the label is not? If not, leave "
                "it out."
            )


def feature_score(column: np.ndarray, labels: np.ndarray) -> float:
    """How well one feature tells the label, from 0.5 or the share of the largest class to 1.

    Numbers: the mean area under the ROC curve of each class against the others, in whichever direction. Categories:
    accuracy of naming the most frequent class of each, on rows that were left out, if that beats the largest class.

    Args:
        column: (n,) numbers, NaN where missing; or whole numbers of categories.
        labels: (n,) classes, -1 for none.
    """
    from sklearn.metrics import roc_auc_score

    known = (labels >= 0) & ~(np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool))
    column, labels = column[known], labels[known]
    classes = np.unique(labels)
    if len(classes) < 2 or len(labels) < 20:
        return 0.0
    if column.dtype.kind == "f":
        areas = [roc_auc_score(labels == c, column) for c in classes]
        return float(np.mean([max(area, 1 - area) for area in areas]))
    fit = np.random.default_rng(0).permutation(len(labels)) % 2 == 0
    table = np.zeros((int(column.max()) + 1, int(labels.max()) + 1))
    np.add.at(table, (column[fit], labels[fit]), 1)
    accuracy = float((table.argmax(axis=1)[column[~fit]] == labels[~fit]).mean())
    largest = float(np.bincount(labels).max() / len(labels))
    return accuracy if accuracy > largest + 0.02 else 0.0


def facts_in_words(data: PreparedData) -> list[tuple[str, str]]:
    """What the data are: sizes, channels, rate, lengths, classes, groups; name -> text."""
    facts = data.facts
    lines = [("rows", ", ".join(f"{split} {len(rows):,}" for split, rows in data.splits.items()))]
    for name in ("in_channels", "leads", "channels", "sampling_rate_hz", "length", "shortest", "longest", "image_size"):
        if facts.get(name) is not None:
            lines.append((name, _short(facts[name])))
    classes: Sequence[str] = facts.get("classes") or []
    labels = data.labels("train")
    if classes and labels is not None and not is_real(labels):
        counts = (
            (labels == 1).sum(axis=0) if labels.ndim == 2 else np.bincount(labels[labels >= 0], minlength=len(classes))
        )
        parts = [f"{name} {count:,}" for name, count in zip(classes, counts.tolist(), strict=False)]
        lines.append(("classes in train", _short(parts)))
        unlabelled = int((labels < 0).sum()) if labels.ndim == 1 else 0
        if unlabelled:
            lines.append(("rows of train without a label", f"{unlabelled:,}"))
    groups = {s: len(np.unique(found)) for s in data.splits if (found := data.groups(s)) is not None}
    if groups:
        lines.append(("groups", ", ".join(f"{split} {count:,}" for split, count in groups.items())))
    return lines


def _short(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    return ", ".join(map(str, value[:12])) + (f" and {len(value) - 12} more" if len(value) > 12 else "")
