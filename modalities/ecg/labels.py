"""Labels and persons of whole records: from a mapping, a table, the names of the files, or comments of the headers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data import SplitWriter
from bam_core.data.name_patterns import compile_pattern, is_pattern, match_names
from bam_core.data.targets import MULTI_LABEL, Target, read_target
from bam_core.data.text_tables import read_text_table
from bam_core.errors import DataError
from modalities.ecg.assignment import PerRecord, per_record, table_file
from modalities.ecg.files import comments

HEADER = "header"
DIAGNOSES = "Dx"  # of the PhysioNet/CinC challenges of 2020 and 2021


def _from_header(source: PerRecord | None) -> bool:
    return isinstance(source, str) and source.partition(":")[0] == HEADER


def names_a_table(source: str) -> bool:
    """Whether this is "table.csv:column", not "header:KEY" or a regular expression."""
    return not _from_header(source) and not is_pattern(source)


def persons(
    source: PerRecord | None, paths: Mapping[str, Path], folder: Path, writer: SplitWriter, *, is_new: bool = False
) -> dict[str, str]:
    """Record -> person, for the records of which it is known.

    Args:
        source: a mapping, "table.csv:column", or a regular expression with `(?P<group>...)`.
        paths: record -> path without suffix.
        folder: of the records.
        writer: is told what was not found.
        is_new: whether the records are new data for a saved encoder.

    Raises:
        BAMError: as `per_record` and `match_names` do.
    """
    if is_pattern(source):
        return _by_name(str(source), "group", paths, folder, writer, is_new=is_new)
    return per_record(source, list(paths), folder, writer)


def _by_name(
    source: str, role: str, paths: Mapping[str, Path], folder: Path, writer: SplitWriter, *, is_new: bool
) -> dict[str, str]:
    pattern = compile_pattern(source, option=role, roles=[role])
    below = [path.relative_to(folder).as_posix() for path in paths.values()]
    said = match_names(pattern, below, option=role, is_new=is_new)
    found = {name: one[role] for name, one in zip(paths, said, strict=True) if one is not None and one[role]}
    lacking = [name for name in paths if name not in found]
    if lacking and not is_new:
        what = "a person each" if role == "group" else "left without a label"
        named = ", ".join(lacking[:3])
        writer.repaired(f"records whose name does not match {role}, {what}, such as {named}", len(lacking))
    return found


def record_labels(
    source: PerRecord | None,
    paths: Mapping[str, Path],
    folder: Path,
    writer: SplitWriter,
    *,
    task: str | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> Target | None:
    """Labels in the order of the records; None if there are none.

    Args:
        source: record -> label; "table.csv:column"; "table.csv:a,b,c" for a column of 0 and 1 for every class;
            "header" for comments such as `#Dx: 426783006,164934002`; "header:KEY" for those of another key; or a
            regular expression with `(?P<label>...)` for the paths below the folder.
        paths: record -> path without suffix.
        folder: where the table may lie.
        writer: is told what was guessed, and which records have no label.
        task: see `read_target`; headers with a comma in a value hold several labels a record if it is not given.
        fitted: facts of a saved encoder.

    Raises:
        DataError: no record has a label, or as `read_target` and `per_record` do.
    """
    if source is None:
        return None
    names = list(paths)
    if is_pattern(source):
        by_name = _by_name(str(source), "label", paths, folder, writer, is_new=fitted is not None)
        values: pd.Series | pd.DataFrame = pd.Series([by_name.get(name) for name in names], dtype=object)
        name = "label"
    elif _from_header(source):
        key = str(source).partition(":")[2] or DIAGNOSES
        found = _of_headers(key, paths, writer, new=fitted is not None)
        if task is None and any("," in text for text in found.values()):
            task = MULTI_LABEL
        values = pd.Series([found.get(name) for name in names], dtype=object)
        name = f"#{key}"
    else:
        columns = _columns(source, folder)
        tables = {column: per_record(asked, names, folder, writer) for column, asked in columns.items()}
        frame = pd.DataFrame({c: [table.get(n) for n in names] for c, table in tables.items()}, dtype=object)
        values, name = (frame, "") if len(columns) > 1 else (frame.iloc[:, 0], next(iter(columns)))
    target = read_target(values, name=name, task=task, minus_one_is_missing=False, fitted=fitted)
    for note in () if target is None else target.notes:
        writer.note(note)
    return target


def _of_headers(key: str, paths: Mapping[str, Path], writer: SplitWriter, *, new: bool) -> dict[str, str]:
    of_record = {}
    for name, path in paths.items():
        try:
            of_record[name] = comments(path)
        except OSError:  # it will be set aside when it is read
            of_record[name] = {}
    found = {name: said[key.lower()] for name, said in of_record.items() if said.get(key.lower())}
    if not found and not new:
        keys = dict.fromkeys(other for said in of_record.values() for other in said)
        some = f"they have {', '.join([*keys][:10])}" if keys else "they have no comments of the form '#key: value'"
        raise DataError(f"none of the {len(paths)} headers has a line '#{key}: ...'; {some}. Name another: header:KEY.")
    lacking = [name for name in paths if name not in found]
    if lacking and found:
        writer.repaired(f"records without a line '#{key}: ...' in the header, such as {lacking[0]!r}", len(lacking))
    return found


def _columns(source: PerRecord, folder: Path) -> dict[str, PerRecord]:
    """Column -> what `per_record` takes; several where the name of a table's column is a list that it does not have."""
    if not isinstance(source, str):
        return {"label": source}
    table, _, asked = source.rpartition(":")
    parts: Sequence[str] = [part.strip() for part in asked.split(",") if part.strip()]
    if len(parts) < 2 or asked in map(str, read_text_table(table_file(source, folder)).frame.columns):
        return {asked: source}
    return {part: f"{table}:{part}" for part in parts}


def repeated(target: Target, record: int, n: int) -> np.ndarray:
    """The label of a record for each of its n rows."""
    return np.repeat(target.values[record : record + 1], n, axis=0)
