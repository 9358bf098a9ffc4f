"""What the columns of a table are besides features: label, group, name of the row, split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bam_core.config.registry import did_you_mean
from bam_core.data import SplitWriter
from bam_core.data.column_names import NONE
from bam_core.data.decimals import choose_decimal, to_numbers
from bam_core.data.labels import class_names
from bam_core.data.numbers import MARKS
from bam_core.data.several_labels import is_list
from bam_core.data.splits import read_splits
from bam_core.data.targets import FEW, MULTI_LABEL, REGRESSION, Target, read_target
from bam_core.data.units import common_unit, without_unit
from bam_core.errors import DataError
from modalities.tabular.columns import AS_USUAL, Notation, evidence_of
from modalities.tabular.files import Table
from modalities.tabular.options import TableOptions

USUAL_NAMES = {
    "label": ("label", "labels", "y", "target", "class"),
    "group": ("group", "groups"),
    "id": ("id", "ids"),
    "split": ("split",),
}
"""What is read besides features -> how it is called where nobody says otherwise, in small letters or capitals."""

MAX_CLASSES = 1000


def find_roles(writer: SplitWriter, table: Table, options: TableOptions) -> dict[str, str | None]:
    """Role -> column of the training table.

    Raises:
        DataError: there is no column of a name that was given.
    """
    available = list(table.frame.columns)
    for name in (*options.drop, *options.categorical, *options.keep, *options.label_columns):
        if name not in available and options.fitted is None:
            raise DataError(f"{table.name} has no column {name!r}{_hint(name, available)}")
    used = set() if options.fitted is None else {plan["name"] for plan in options.fitted["columns"]}
    names: dict[str, str | None] = dict.fromkeys(USUAL_NAMES)
    for role, wanted in options.names.items():
        if wanted is None:
            free = [name for name in available if name not in (*options.drop, *options.keep, *used)]
            names[role] = _guessed(writer, role, free, available)
        elif wanted in available:
            names[role] = wanted
        elif wanted != NONE and options.fitted is None:
            raise DataError(f"{table.name} has no column {wanted!r} for {role}{_hint(wanted, available)}")
    return names


def _guessed(writer: SplitWriter, role: str, free: Sequence[str], available: Sequence[str]) -> str | None:
    by_plain = {name.strip().lower(): name for name in reversed(free)}
    found = next((by_plain[usual] for usual in USUAL_NAMES[role] if usual in by_plain), None)
    if found is None or found == role:
        return found
    if found.strip().lower() == "y" and "z" in {name.strip().lower() for name in available}:
        writer.note(f"Column {found!r} beside 'z' is an input, no label; to say otherwise, label: {found!r}.")
        return None
    writer.note(f"Column {found!r} is taken as the {role}; to say otherwise, {role}: NAME, or {role}: none.")
    return found


def read_roles(
    writer: SplitWriter, tables: Sequence[Table], names: Mapping[str, str | None], options: TableOptions
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns `id` and, where known, `label`, `group` and `split`; and the facts about labels.

    Raises:
        DataError: rows without group or split, splits that there are not, or labels that cannot be read.
    """
    about: dict[str, np.ndarray] = {"id": np.concatenate([_ids(table, names["id"]) for table in tables])}
    facts = {"classes": []} | {k: v for k, v in (options.fitted or {}).items() if k in ("classes", "task")}
    if names["label"] is not None or options.label_columns:
        target = _read_label_columns(tables, options)
        if names["label"] is not None and (options.task == MULTI_LABEL or _has_lists(tables, names["label"])):
            frames = [t.frame.get(names["label"], pd.Series([None] * len(t.frame))) for t in tables]
            values = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
            target = read_target(values, name=names["label"], task=options.task, fitted=options.fitted)
        elif names["label"] is not None:
            target = _read_labels(writer, _joined(tables, names["label"], options.notation), names["label"], options)
        if target is not None:
            about["label"], facts = target.values, target.facts
            for note in target.notes:
                writer.note(note)
    elif options.task is not None and options.fitted is None:
        raise DataError(f"{tables[0].name} expected a column of labels for the task {options.task!r}; name it: label.")
    if names["group"] is not None:
        groups = _joined(tables, names["group"])
        about["group"] = (_complete(groups, "group") if options.fitted is None else groups).astype(str)
    if names["split"] is not None and options.fitted is None:
        about["split"] = np.array(read_splits(_complete(_joined(tables, names["split"]), "split")))
    return about, facts


def _has_lists(tables: Sequence[Table], name: str) -> bool:
    return any(name in table.frame and table.frame[name].map(is_list).any() for table in tables)


def _read_label_columns(tables: Sequence[Table], options: TableOptions) -> Target | None:
    """A column of 0 and 1 for every class; None if new data lack one of them."""
    names = options.label_columns
    if not names or not all(name in table.frame for table in tables for name in names):
        return None
    return read_target(pd.DataFrame({name: _joined(tables, name) for name in names}), fitted=options.fitted)


def _read_labels(writer: SplitWriter, values: np.ndarray, name: str, options: TableOptions) -> Target | None:
    unlabelled, is_new = options.unlabelled, options.fitted is not None
    found = {value for value in values if value is not None}
    if unlabelled is None and not is_new and options.task != REGRESSION and "-1" in found:
        if found == {"-1", "0", "1"}:
            raise DataError(
                f"label {name!r} has -1, 0 and 1: -1 may be a class, or mean that a row has no label. Say which: "
                "unlabelled: [] for three classes, unlabelled: [-1] for two."
            )
        if found == {"-1", "1"}:
            unlabelled = []
        else:
            n = int((values == "-1").sum())
            writer.note(f"Label -1 ({n:,} rows) means no label, if labels are classes; unlabelled: [] makes it one.")
    if unlabelled is not None:
        gone = {str(mark) for mark in unlabelled}
        values = np.array([None if value in gone else value for value in values], dtype=object)
    target = read_target(
        _with_points(_without_units(writer, values, name), name, options.notation),
        name=name,
        task=options.task,
        minus_one_is_missing=unlabelled is None,
        fitted=options.fitted,
    )
    if target is None or is_new:
        return target
    if len(target.classes) > MAX_CLASSES:
        raise DataError(
            f"label {name!r} expected classes; got {len(target.classes)} different values in "
            f"{int(pd.notna(values).sum())} rows, such as {target.classes[0]}. Divide them into classes; or train "
            "without labels, label: none."
        )
    marks = [label for label in target.classes if label.lower() in MARKS]
    if marks:
        writer.note(f"Label {marks[0]!r} is a class; unlabelled: [{marks[0]!r}] makes it a missing label.")
    return target


def _without_units(writer: SplitWriter, values: np.ndarray, name: str) -> np.ndarray:
    """Numbers with a unit that all have, such as 45 %, without it, if they are many."""
    known = pd.Series(values, dtype=object).dropna()
    texts = [text for text in pd.unique(known) if text.lower() not in MARKS]
    unit = common_unit(texts)
    if unit is None or len(texts) <= FEW:
        return values
    writer.note(f"Label {name!r}: numbers with {' and '.join(map(repr, filter(None, unit)))}, read without it.")
    return np.array([None if value is None else without_unit(value, unit) for value in values], dtype=object)


def _with_points(values: np.ndarray, name: str, notation: Notation) -> np.ndarray:
    """Numbers with decimal commas, or marks between thousands, as numbers."""
    known = pd.Series(values, dtype=object).dropna()
    found = evidence_of(known)
    if not any(found) or (not known.str.contains(r"[,']|\.\d+\.").any() and notation.decimal != ","):
        return values
    what = f"column {name!r} (label)"
    decimal = choose_decimal(what, found, said=notation.decimal, guessed=notation.guessed)
    numbers = to_numbers(list(values), decimal)
    is_read = np.isfinite(numbers[known.index]) | known.str.lower().isin(MARKS).to_numpy()
    return np.where(np.isfinite(numbers), numbers.astype(object), values) if is_read.all() else values


def _ids(table: Table, name: str | None) -> np.ndarray:
    if name is not None and name in table.frame:
        return table.frame[name].astype(str).to_numpy(dtype=object)
    if table.row_names is not None:
        return table.row_names.to_numpy(dtype=object)
    return np.array([f"{table.name}:{row}" for row in range(len(table.frame))], dtype=object)


def _joined(tables: Sequence[Table], name: str, notation: Notation = AS_USUAL) -> np.ndarray:
    """Names, None where there is none: empty and missing values, and what was said to mean so."""
    columns = [
        table.frame[name].astype(object) if name in table.frame else pd.Series([None] * len(table.frame), dtype=object)
        for table in tables
    ]
    gone = {str(mark) for mark in notation.na_values}
    names = class_names(pd.concat(columns, ignore_index=True))
    return np.array([None if value in gone else value for value in names], dtype=object)


def _complete(values: np.ndarray, role: str) -> np.ndarray:
    empty = np.flatnonzero(pd.isna(values))
    if len(empty):
        raise DataError(f"{role} expected a value in every row; {len(empty)} have none, the first is row {empty[0]}.")
    return values


def _hint(name: str, available: Sequence[Any]) -> str:
    near = did_you_mean(name, available)
    return near if near.endswith("?") else f"; it has {', '.join(available[:20])}."
