"""Reader of files of tables, one sample a row, and how a table becomes rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.holdout import check_disjoint, hold_out
from bam_core.data.splits import read_splits
from bam_core.data.targets import Target, read_target
from bam_core.errors import DataError, InputError
from bam_core.registry import did_you_mean
from modalities.tabular.columns import tidy
from modalities.tabular.files import Table, read_file
from modalities.tabular.preprocessing import Rows, apply, fit, nothing_known

USUAL_NAMES = {
    "label": ("label", "labels", "y", "target", "class"),
    "group": ("group", "groups"),
    "id": ("id", "ids"),
    "split": ("split",),
}
"""What is read besides features -> how it is called where nobody says otherwise."""

MAX_CLASSES = 1000
N_COUNTED = 20  # rows from which a column that counts them is recognised


class Options(NamedTuple):
    """What readers of files and of frames share; see `read_table`. Roles that have no name here are not looked for."""

    names: Mapping[str, str | None]
    drop: Sequence[str]
    categorical: Sequence[str]
    max_categories: int
    task: str | None
    test_fraction: float
    seed: int
    fitted: Mapping[str, Any] | None


def read_table(
    *,
    path: str,
    test_path: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    drop: list[str] | None = None,
    categorical: list[str] | None = None,
    max_categories: int = 100,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read CSV and the like, packed or not, or parquet; every column that is not named otherwise is a feature.

    What columns hold is found out from the training rows: numbers, categories (texts, booleans), dates. Columns that
    are constant, empty, count the rows, or are ids or free text are set aside by name. Missing are empty fields, `?`,
    `NA` and the like.

    Args:
        path: file; text with any of tab, `;`, `|` and `,`, also as .gz, .bz2, .xz or .zst, or .parquet.
        test_path: file with the test split.
        label: column of labels, strings or numbers; default: `label`, `y`, `target` or `class`, if there is one.
            Labels are optional, also row by row: missing, empty or -1.
        task: "classification" or "regression", whether labels are classes or numbers to be predicted; default: what
            they look like, see `read_target`.
        group: column of persons, machines, ..., whose rows are never divided between splits.
        id: column with names of the rows; default: `id`, else file and row number.
        split: column of "train", "validation", "test". Without any of these ways to a test split, a part of the
            groups, or of every class or quantile, is held out if there are labels.
        drop: columns not to use, such as those that give the label away.
        categorical: columns whose numbers are codes.
        max_categories: a column of texts with more different ones is set aside as id or free text.
        delimiter: of text, if it is not recognised.
        header: whether the first line names the columns, if that is not recognised.
        encoding: of text, if it is not UTF-8, UTF-16 or Windows-1252.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: new data are read as its training data were, all into "train".

    Returns:
        Splits with `numeric`, `categorical`, `id` and where known `label` and `group`; facts as in
        `preprocessing.fit`, and classes.

    Raises:
        InputError: options that contradict each other.
        DataError: unreadable or unsuitable files; the message says which and why.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp(), "people.csv")
        >>> _ = file.write_text("age;city;label\\n41;Bonn;0\\n?;Kiel;1\\n29;Bonn;0\\n58;Bonn;1\\n")
        >>> read_table(path=str(file), test_fraction=0).facts["numeric_names"]
        ['age']
    """
    settings = {name: value for name, value in locals().items() if name != "fitted"}
    if test_path and split:
        raise InputError("test_path and split both say what is for testing; give one of them.")
    paths = [Path(file).expanduser() for file in (path, test_path) if file]
    options = Options(
        {"label": label, "group": group, "id": id, "split": split},
        drop or [], categorical or [], max_categories, task, test_fraction, seed, fitted,
    )  # fmt: skip

    def build(writer: SplitWriter) -> None:
        tables = [read_file(file, delimiter=delimiter, header=header, encoding=encoding) for file in paths]
        write_tables(writer, tables, options)

    files = [file for file in paths if file.is_file()]
    return cached("table", files, {**settings, "fitted": _preprocessing(fitted)}, build)


def write_tables(writer: SplitWriter, tables: Sequence[Table], options: Options) -> None:
    """Turn tables into rows: a training table and, maybe, one for testing; or new data for a saved encoder."""
    names = _named_columns(tables, options)
    about, target = _about_rows(tables, names, options)
    parts = _parts(tables, about, options)
    for table in tables:
        for note in table.notes:
            writer.note(note)
        for kind, count in table.repairs.items():
            writer.repaired(kind, count)
    taken = {name for name in names.values() if name is not None}
    features = [name for name in tables[0].frame.columns if name not in taken and name not in options.drop]
    if options.fitted is None:
        facts = _learn(writer, tables, features, parts, options)
    else:
        facts = _preprocessing(options.fitted)
        known = {plan["name"] for plan in facts["columns"]} | set(options.fitted.get("unused_columns", ()))
        for name in features:
            if name not in known:
                writer.set_aside(f"column {name!r}", "not among the columns that the encoder was trained on")
    for note in target.notes if target is not None else ():
        writer.note(note)
    known_labels = _fitted_labels(options.fitted) if target is None else target.facts
    writer.facts |= facts | known_labels
    if len(tables) > 1:
        _compare_columns(tables, features, writer)
    rows = _joined_rows([apply(facts, table.frame, f"{table.name}") for table in tables], writer)
    empty = nothing_known(rows)
    for row in np.flatnonzero(empty):
        writer.set_aside(about["id"][row], "every value is missing")
    columns = {"numeric": rows.numeric, "categorical": rows.categorical}
    present = {name: values for name, values in columns.items() if values.shape[1]}
    for part in dict.fromkeys(parts.tolist()):
        chosen = (parts == part) & ~empty
        writer.add(
            part, **{n: v[chosen] for n, v in present.items()}, **{n: values[chosen] for n, values in about.items()}
        )


def _learn(
    writer: SplitWriter, tables: Sequence[Table], features: Sequence[str], parts: np.ndarray, options: Options
) -> dict[str, Any]:
    frame = tables[0].frame
    counting = [name for name in features if _counts_rows(frame[name])]
    for name in counting:
        writer.set_aside(f"column {name!r}", "counts the rows")
    training = frame.loc[parts[: len(frame)] == "train", [name for name in features if name not in counting]]
    if len(training) < 2:
        raise DataError(f"{tables[0].name} expected at least two rows for training; got {len(training)}.")
    learnt = fit(training, categorical=options.categorical, max_categories=options.max_categories)
    for name, reason in learnt.set_aside.items():
        writer.set_aside(f"column {name!r}", reason)
    unused = [*counting, *learnt.set_aside, *options.drop]
    return learnt.facts | {"unused_columns": unused}


def _named_columns(tables: Sequence[Table], options: Options) -> dict[str, str | None]:
    """Role -> column of the training table."""
    available = list(tables[0].frame.columns)
    for name in (*options.drop, *options.categorical):
        if name not in available and options.fitted is None:
            raise DataError(f"{tables[0].name} has no column {name!r}{_hint(name, available)}")
    names: dict[str, str | None] = dict.fromkeys(USUAL_NAMES)
    used = set() if options.fitted is None else {plan["name"] for plan in options.fitted["columns"]}
    for role, wanted in options.names.items():
        usual = USUAL_NAMES[role]
        if wanted is None:
            names[role] = next((n for n in usual if n in available and n not in (*options.drop, *used)), None)
        elif wanted in available or options.fitted is not None:
            names[role] = wanted if wanted in available else None
        else:
            raise DataError(f"{tables[0].name} has no column {wanted!r} for {role}{_hint(wanted, available)}")
    return names


def _about_rows(
    tables: Sequence[Table], names: Mapping[str, str | None], options: Options
) -> tuple[dict[str, np.ndarray], Target | None]:
    """Columns `id` and, where known, `label`, `group` and `split`; and what is known of the labels."""
    about: dict[str, np.ndarray] = {"id": np.concatenate([_ids(table, names["id"]) for table in tables])}
    target = None
    if names["label"] is not None:
        values = _joined(tables, names["label"])
        target = read_target(values, name=names["label"], task=options.task, fitted=options.fitted)
        if target is not None:
            _check_classes(values, target.classes, names["label"])
            about["label"] = target.values
    elif options.task is not None and options.fitted is None:
        raise DataError(f"{tables[0].name} expected a column of labels for the task {options.task!r}; name it: label.")
    if names["group"] is not None:
        groups = _joined(tables, names["group"])
        about["group"] = (_complete(groups, "group") if options.fitted is None else groups).astype(str)
    if names["split"] is not None and options.fitted is None:
        about["split"] = np.array(read_splits(_complete(_joined(tables, names["split"]), "split")))
    return about, target


def _parts(tables: Sequence[Table], about: dict[str, np.ndarray], options: Options) -> np.ndarray:
    n, groups = len(about["id"]), about.get("group")
    said = about.pop("split", None)
    if options.fitted is not None:
        return np.full(n, "train")
    if len(tables) == 2:
        parts = np.repeat(["train", "test"], [len(table.frame) for table in tables])
    elif said is not None:
        parts = said
    elif "label" in about and options.test_fraction:
        held_out = hold_out(n, options.test_fraction, seed=options.seed, labels=about["label"], groups=groups)
        parts = np.where(held_out, "test", "train")
    else:
        parts = np.full(n, "train")
    if groups is not None:
        check_disjoint(parts.tolist(), groups.tolist())
    return parts


def _ids(table: Table, name: str | None) -> np.ndarray:
    if name is not None and name in table.frame:
        return table.frame[name].astype(str).to_numpy(dtype=object)
    if table.row_names is not None:
        return table.row_names.to_numpy(dtype=object)
    return np.array([f"{table.name}:{row}" for row in range(len(table.frame))], dtype=object)


def _joined(tables: Sequence[Table], name: str) -> np.ndarray:
    columns = [
        tidy(table.frame[name]).astype(object)
        if name in table.frame
        else pd.Series([None] * len(table.frame), dtype=object)
        for table in tables
    ]
    return pd.concat(columns, ignore_index=True).to_numpy(dtype=object)


def _joined_rows(parts: Sequence[Rows], writer: SplitWriter) -> Rows:
    for part in parts:
        for kind, count in part.notes.items():
            writer.repaired(kind, count)
    return Rows(np.concatenate([p.numeric for p in parts]), np.concatenate([p.categorical for p in parts]), {})


def _complete(values: np.ndarray, role: str) -> np.ndarray:
    empty = np.flatnonzero(pd.isna(values))
    if len(empty):
        raise DataError(f"{role} expected a value in every row; {len(empty)} have none, the first is row {empty[0]}.")
    return values


def _check_classes(values: np.ndarray, classes: Sequence[str], name: str) -> None:
    if len(classes) > MAX_CLASSES:
        known = pd.Series(values).dropna()
        raise DataError(
            f"label {name!r} expected classes; got {len(classes)} different values in {len(known)} rows, such as "
            f"{classes[0]}. Divide them into classes; or drop the column to train without labels."
        )


def _fitted_labels(fitted: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"classes": []} | {key: value for key, value in (fitted or {}).items() if key in ("classes", "task")}


def _compare_columns(tables: Sequence[Table], features: Sequence[str], writer: SplitWriter) -> None:
    for name in tables[1].frame.columns:
        if name not in tables[0].frame.columns:
            writer.set_aside(f"column {name!r} of {tables[1].name}", f"not in {tables[0].name}")


def _counts_rows(values: pd.Series) -> bool:
    if len(values) < N_COUNTED or str(values.iloc[0]) not in ("0", "1"):
        return False
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return bool(np.all(np.diff(numbers) == 1))


def _preprocessing(fitted: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if fitted is None else {key: value for key, value in fitted.items() if key not in ("shape", "shapes")}


def _hint(name: str, available: Sequence[str]) -> str:
    near = did_you_mean(name, available)
    return near if near.endswith("?") else f"; it has {', '.join(available[:20])}."
