"""From tables of series to the rows of splits, for training or for a saved encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bam_core.data import PreparedData, SplitWriter
from bam_core.data.holdout import named_groups
from bam_core.data.prepared import listed
from bam_core.data.targets import read_target
from bam_core.errors import DataError
from modalities.timeseries.rows import RowWriter, SeriesOptions
from modalities.timeseries.step_labels import encode_steps
from modalities.timeseries.tables import Table

Facts = Mapping[str, Any]


def write_tables(
    writer: SplitWriter,
    tables: Sequence[Table],
    options: SeriesOptions,
) -> None:
    """Write one table, or one for training and one for testing; see `read_arrays` for the options.

    Raises:
        DataError: labels, groups, splits or channels that do not fit.
    """
    for table in tables:
        for source, reason in table.broken.items():
            writer.set_aside(source, reason)
        for kind, count in table.repairs.items():
            writer.repaired(kind, count)
        for note in table.notes:
            writer.note(note)
    columns, about_labels, step_labels = label_columns(tables, options.task, options.fitted)
    for note in about_labels.pop("notes", ()):
        writer.note(note)
    named = tables[0].columns.get("split")
    if len(tables) == 2:
        named = np.repeat(["train", "test"], [len(table.signals) for table in tables])
    n, labels, groups = len(columns["id"]), columns.get("label"), columns.get("group")
    parts = options.assign(n, named, labels=labels, groups=groups)
    if step_labels is not None:
        columns.pop("label")
    rows = RowWriter(writer, options)
    start = 0
    for table in tables:
        of_table = slice(start, start + len(table.signals))
        rows.add(
            table.signals, {name: column[of_table] for name, column in columns.items()}, parts[of_table], step_labels
        )
        start += len(table.signals)
    rows.finish(about_labels)
    if tables[0].channels is not None:
        writer.facts["channels"] = list(tables[0].channels)


def enough(prepared: PreparedData, source: str, fitted: Facts | None) -> PreparedData:
    """The same data, after a look at whether they are enough to train.

    Raises:
        DataError: one row only, unless it is for a saved encoder.
    """
    if fitted is None and len(prepared.splits["train"]) < 2:
        raise DataError(
            f"{source} expected at least two usable series for training; got one.{listed(prepared.set_aside)}"
        )
    return prepared


def label_columns(
    tables: Sequence[Table], task: str | None, fitted: Facts | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], list[np.ndarray] | None]:
    """The columns `id`, `label` and `group` of all tables, end to end.

    With the facts of a saved encoder, classes are its own; other labels are as good as missing.

    Returns:
        The columns; facts on the labels, and `notes` on them; and the labels of steps, if they change within a series:
        then the column `label` is of no use but to say that there are labels.

    Raises:
        DataError: labels that cannot be read, or rows without a group.
    """
    columns: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {"classes": []}
    if fitted is not None:
        about |= {name: fitted[name] for name in ("classes", "task") if fitted.get(name)}
    task = task or tables[0].task
    step_labels = None
    if tables[0].step_labels is not None:
        encoded = encode_steps(tables[0].step_labels, task=task, fitted=fitted)
        if encoded is not None:
            target, step_labels = encoded
            columns["label"] = np.zeros(len(step_labels), np.int64)
            about = {**target.facts, "notes": target.notes}
    elif any("label" in table.columns for table in tables):
        found = read_target(
            _joined(tables, "label"),
            task=task,
            minus_one_is_missing=all(table.minus_one_is_missing for table in tables),
            fitted=fitted,
        )
        if found is not None:
            columns["label"], about = found.values, {**found.facts, "notes": found.notes}
    if any("group" in table.columns for table in tables):
        groups = _joined(tables, "group")
        columns["group"] = groups.astype(str) if fitted is not None else np.array(named_groups(groups), dtype=object)
    columns["id"] = np.concatenate([table.columns["id"].astype(str) for table in tables])
    return columns, about, step_labels


def _joined(tables: Sequence[Table], name: str) -> np.ndarray:
    found = [np.asarray(table.columns[name], dtype=object) for table in tables if name in table.columns]
    none = np.full((1, *found[0].shape[1:]), None, dtype=object)
    return np.concatenate(
        [
            np.asarray(table.columns[name], dtype=object)
            if name in table.columns
            else np.repeat(none, len(table.signals), axis=0)
            for table in tables
        ]
    )
