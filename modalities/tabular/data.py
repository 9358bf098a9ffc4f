"""Reader of files of tables, one sample a row, and how a table becomes rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.decimals import Decimal
from bam_core.errors import DataError, InputError
from modalities.tabular.files import Table, read_file
from modalities.tabular.ids import find_ids
from modalities.tabular.options import TableOptions, Thousands, preprocessing_of
from modalities.tabular.preprocessing import Rows, apply, fit, nothing_known
from modalities.tabular.roles import find_roles, read_roles


def read_table(
    *,
    path: str,
    test_path: str | None = None,
    label: str | list[str] | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    drop: list[str] | None = None,
    keep: list[str] | None = None,
    categorical: list[str] | None = None,
    max_categories: int = 100,
    max_unknown: float = 0.5,
    unlabelled: list[str | int] | None = None,
    decimal: Decimal | None = None,
    thousands: Thousands | None = None,
    na_values: list[str | float] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read CSV and the like, packed or not, or parquet; every column that is not named otherwise is a feature.

    What columns hold is found out from the training rows: numbers, categories (texts, booleans), dates. Columns that
    are constant, empty, ids or free text are set aside by name. Missing are empty fields, `?`, `NA` and the like, and
    among numbers also `-`, `.` and `n.a.`.

    Args:
        path: file; text with any of tab, `;`, `|` and `,`, also as .gz, .bz2, .xz or .zst, or .parquet.
        test_path: file with the test split.
        label: column of labels, strings or numbers; default: `label`, `y`, `target` or `class`, if there is one; "none"
            for no labels. Labels are optional, also row by row: missing, empty or -1. A list of columns of 0 and 1 is a
            class each, of which a row may carry several.
        task: "classification", "regression" for numbers to be predicted, or "multi_label" for several labels in a cell,
            such as "AF,LBBB"; default: what labels look like, see `read_target`.
        group: column of persons, machines, ..., whose rows are never divided between splits; "none" as for labels.
        id: column with names of the rows; default: `id`, else file and row number.
        split: column of "train", "validation", "test". Without any of these ways to a test split, a part of the
            groups, or of every class or quantile, is held out if there are labels.
        drop: columns not to use, such as those that give the label away.
        keep: columns that are features although they look like ids: called so, or of whole numbers that never repeat.
        categorical: columns whose numbers are codes.
        max_categories: a column of texts with more different ones is set aside as id or free text.
        max_unknown: share of the values of a column in new or test data that training may not have known (no numbers,
            no dates, new categories); more is an error, less is counted.
        unlabelled: labels that mean that a row has none; default: -1, unless the labels are -1 and 1.
        decimal: "." or ",", in front of decimals; default: what the numbers of the table tell.
        thousands: between thousands. Blanks and apostrophes are understood anyway, and the mark that `decimal` is not.
        na_values: texts and numbers that stand for a missing value, besides the usual ones.
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
        DataError: unreadable or unsuitable files, or numbers, labels or texts that can be read in two ways; the message
            says which and why.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp(), "people.csv")
        >>> _ = file.write_text("age;city;label\\n41;Bonn;0\\n?;Kiel;1\\n29;Bonn;0\\n58;Bonn;1\\n")
        >>> read_table(path=str(file), test_fraction=0).facts["numeric_names"]
        ['age']
    """
    if test_path and split:
        raise InputError("test_path and split both say what is for testing; give one of them.")
    paths = [Path(file).expanduser() for file in (path, test_path) if file]
    options = TableOptions(
        label=label, task=task, group=group, id=id, split=split, drop=drop or (), keep=keep or (),
        categorical=categorical or (), max_categories=max_categories, max_unknown=max_unknown, unlabelled=unlabelled,
        decimal=decimal, thousands=thousands, na_values=na_values, test_fraction=test_fraction, seed=seed,
        fitted=fitted,
    ).checked()  # fmt: skip
    settings = {"path": path, "test_path": test_path, "delimiter": delimiter, "header": header, "encoding": encoding,
                **options.settings()}  # fmt: skip

    def build(writer: SplitWriter) -> None:
        tables = [read_file(file, delimiter=delimiter, header=header, encoding=encoding) for file in paths]
        write_tables(writer, tables, options)

    files = [file for file in paths if file.is_file()]
    return cached("table", files, settings, build)


def write_tables(writer: SplitWriter, tables: Sequence[Table], options: TableOptions) -> None:
    """Turn tables into rows: a training table and, maybe, one for testing; or new data for a saved encoder."""
    names = find_roles(writer, tables[0], options)
    about, label_facts = read_roles(writer, tables, names, options)
    named = about.pop("split", None)
    if len(tables) == 2:
        named = np.repeat(["train", "test"], [len(table.frame) for table in tables])
    n, labels, groups = len(about["id"]), about.get("label"), about.get("group")
    parts = options.assign(n, named, labels=labels, groups=groups)
    for table in tables:
        for note in table.notes:
            writer.note(note)
        for kind, count in table.repairs.items():
            writer.repaired(kind, count)
    taken = {name for name in names.values() if name is not None} | {*options.label_columns}
    features = [name for name in tables[0].frame.columns if name not in taken and name not in options.drop]
    if options.fitted is None:
        facts = _learn(writer, tables, features, parts, options)
    else:
        facts = preprocessing_of(options.fitted)
        known = {plan["name"] for plan in facts["columns"]} | set(options.fitted.get("unused_columns", ()))
        for name in features:
            if name not in known:
                writer.set_aside(f"column {name!r}", "not among the columns that the encoder was trained on")
    writer.facts |= facts | label_facts
    if len(tables) > 1:
        _compare_columns(tables, features, writer)
    parts_read = []
    for i, table in enumerate(tables):
        is_new = i > 0 or options.fitted is not None
        read = apply(
            facts,
            table.frame,
            table.name,
            notation=options.notation,
            delimiter=table.delimiter,
            max_unknown=options.max_unknown if is_new else None,
        )
        parts_read.append(read)
    rows = _joined_rows(parts_read, writer)
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
    writer: SplitWriter, tables: Sequence[Table], features: Sequence[str], parts: np.ndarray, options: TableOptions
) -> dict[str, Any]:
    frame = tables[0].frame
    training = frame.loc[parts[: len(frame)] == "train", list(features)]
    if len(training) < 2:
        raise DataError(f"{tables[0].name} expected at least two rows for training; got {len(training)}.")
    ids = find_ids(frame[list(features)], {*options.keep, *options.categorical})
    for name, reason in ids.items():
        writer.set_aside(f"column {name!r}", reason)
    learnt = fit(
        training[[name for name in features if name not in ids]],
        categorical=options.categorical,
        max_categories=options.max_categories,
        notation=options.notation,
        delimiter=tables[0].delimiter,
    )
    for name, reason in learnt.set_aside.items():
        writer.set_aside(f"column {name!r}", reason)
    for note in learnt.notes:
        writer.note(note)
    unused = [*ids, *learnt.set_aside, *options.drop]
    return learnt.facts | {"unused_columns": unused}


def _joined_rows(parts: Sequence[Rows], writer: SplitWriter) -> Rows:
    for part in parts:
        for kind, count in part.notes.items():
            writer.repaired(kind, count)
    return Rows(np.concatenate([p.numeric for p in parts]), np.concatenate([p.categorical for p in parts]), {})


def _compare_columns(tables: Sequence[Table], features: Sequence[str], writer: SplitWriter) -> None:
    for name in tables[1].frame.columns:
        if name not in tables[0].frame.columns:
            writer.set_aside(f"column {name!r} of {tables[1].name}", f"not in {tables[0].name}")
