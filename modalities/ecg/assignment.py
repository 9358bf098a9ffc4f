"""Which record belongs to which person, class and split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from bam_core.data import SplitWriter
from bam_core.data.column_names import find_columns, plain, role_of
from bam_core.data.folder_layout import splits_of_files
from bam_core.data.text_tables import TextTable, read_text_table
from bam_core.errors import DataError, InputError
from modalities.ecg.beats import MITBIH_INTER_PATIENT

BY_NAME = (
    "Say which is which, such as split: {train: [FOLDER], test: [FOLDER]}, with names of folders or records, of which "
    "others are not read, or split: {} if none of them is a split."
)
Split = Literal["train", "validation", "test"]
Name = str | int  # of a record or a person; YAML reads 101 as a number
PerRecord = dict[Name, Name] | str
NamedSplit = Literal["mitbih_inter_patient"]


def table_file(source: str, folder: Path) -> Path:
    """The file of "table.csv:column", looked for in the folder of the records and in the working folder.

    Raises:
        InputError: no column is named.
        DataError: there is no such file.
    """
    name, _, column = source.rpartition(":")
    if not name or not column:
        raise InputError(
            f"expected 'table.csv:column', 'header:KEY' for a comment of the headers, a regular expression with "
            f"'(?P<label>...)' or '(?P<group>...)' for names of files, or a mapping from records; got {source!r}."
        )
    file = next((file for file in (folder / name, Path(name).expanduser()) if file.is_file()), None)
    if file is None:
        raise DataError(f"expected a table at {folder / name} or {name}; there is none.")
    return file


def per_record(
    source: PerRecord | None, names: Sequence[str], folder: Path, writer: SplitWriter | None = None
) -> dict[str, str]:
    """Record -> value, for the records that have one.

    Args:
        source: a mapping, or "table.csv:column"; the column that names the records is found by what it holds.
        names: of the records.
        folder: where the table may lie.
        writer: is told which rows name no record, and which records have no row.

    Raises:
        DataError: there is no such column, a record has two values, or none has one.
    """
    if source is None:
        return {}
    if isinstance(source, str):
        values = _read_column(source, folder, names, writer)
    else:
        values = {str(record): str(value) for record, value in source.items()}
    found = {name: values[name] for name in names if values.get(name)}
    if not found:
        raise DataError(
            f"none of the {len(names)} records ({', '.join(names[:5])}, ...) has a value in {source}; "
            f"it names {', '.join(list(values)[:5])}, ..."
        )
    return found


def wanted_records(
    available: Sequence[str], split: Mapping[Split, Sequence[Name]] | NamedSplit | None, exclude: Sequence[Name]
) -> dict[str, str]:
    """Record -> split, or "" where that is still open, for the records that are to be read.

    Raises:
        InputError: a record is in two splits.
        DataError: a record does not exist.
    """
    if split is None:
        listed = [(name, "") for name in available]
    else:
        parts = MITBIH_INTER_PATIENT if isinstance(split, str) else split
        listed = [(str(name), part) for part, names in parts.items() for name in names]
    twice = [name for name, count in Counter(name for name, _ in listed).items() if count > 1]
    if twice:
        raise InputError(f"split expected every record once; {', '.join(twice)} came more than once.")
    left_out = {str(name) for name in exclude}
    unknown = [name for name in (*dict(listed), *sorted(left_out)) if name not in available]
    if unknown:
        raise DataError(
            f"records named in split or exclude do not exist: {_listed(unknown)}. The folder has {_listed(available)}."
        )
    return {name: part for name, part in listed if name not in left_out}


def say_folders(writer: SplitWriter, folders: Sequence[str]) -> None:
    """Note that the folders of records may be persons, if most of several hold more than one record."""
    counts = Counter(folders)
    if len(counts) > 1 and 2 * sum(count > 1 for count in counts.values()) > len(counts):
        writer.note(
            f"Records lie in {len(counts)} folders, such as {min(counts)}, several in each. If a folder is a person, "
            "say group: '(?P<group>.+)/': else a person may be in train and test."
        )


def assign_records(
    paths: Mapping[str, Path],
    folder: Path,
    split: Mapping[Split, Sequence[Name]] | NamedSplit | None,
    exclude: Sequence[Name],
    writer: SplitWriter,
    *,
    is_new: bool,
) -> dict[str, str]:
    """As `wanted_records`, where `split` may name folders, and without it folders such as train/ and test/ count.

    Args:
        paths: record -> its file, without suffix.
        folder: that they lie in.
        split: see `read_wfdb`.
        exclude: names of records not to read.
        writer: is told what the folders were taken for.
        is_new: records for a saved encoder, whose folders say nothing.

    Raises:
        InputError: a record is in two splits.
        DataError: a record does not exist, or it is not clear which folders are splits.
    """
    inside = {name: path.relative_to(folder).as_posix() for name, path in paths.items()}
    if split and not isinstance(split, str):
        split = {part: [record for name in names for record in _in(str(name), inside)] for part, names in split.items()}
    wanted = wanted_records(list(paths), split or None, exclude)
    if split is not None or is_new:
        return wanted
    parts = splits_of_files([inside[name] for name in wanted], folder, writer, way_out=BY_NAME)
    return {name: part for name, part in zip(wanted, parts, strict=True) if part is not None}


def _in(name: str, inside: Mapping[str, str]) -> list[str]:
    """Records of a folder, or the record of that name."""
    below = [record for record, place in inside.items() if place.startswith(f"{name.rstrip('/')}/")]
    return [name] if name in inside or not below else below


def _read_column(source: str, folder: Path, names: Sequence[str], writer: SplitWriter | None) -> dict[str, str]:
    file, column = table_file(source, folder), source.rpartition(":")[2]
    table = read_text_table(file)
    columns = {str(name): values for name, values in table.frame.items()}
    found = find_columns({"value": column}, list(columns), file.name, required=()).columns["value"]
    if found is None:
        raise DataError(f"{file.name} expected a column {column!r}; it has {', '.join(columns)}.")
    record = _record_column({name: values for name, values in columns.items() if name != found}, table, names)
    if record is None:
        raise DataError(
            f"none of the {len(names)} records ({', '.join(names[:5])}, ...) has a value in {source}: no column of "
            f"{file.name} names them; it has {', '.join(map(str, columns))}."
        )
    values: dict[str, str] = {}
    unknown = []
    of_name = _by_short_names(names)
    for key, value in zip(record.astype(str), columns[found].astype(str), strict=True):
        name = of_name.get(_short(key)) or of_name.get(_short(key).rpartition("/")[2])
        if name is None:
            unknown.append(key.strip())
        elif value.strip() and values.setdefault(name, value.strip()) != value.strip():
            raise DataError(
                f"{file.name} names record {name} twice with different values of {found!r}: {values[name]!r} and "
                f"{value.strip()!r}. Keep one of them."
            )
    if writer is not None:
        if unknown:
            writer.repaired(f"rows of {file.name} that name no record, such as {unknown[0]!r}", len(unknown))
        lacking = [name for name in names if name not in values]
        if lacking and values:
            writer.repaired(
                f"records without a value of {found!r} in {file.name}, such as {lacking[0]!r}", len(lacking)
            )
    return values


def _record_column(columns: Mapping[str, pd.Series], table: TextTable, names: Sequence[str]) -> pd.Series | None:
    """The column that names the records: the one with most of them, of several the one that is called so."""
    known = _by_short_names(names)
    index = {} if table.row_names is None else {"": table.row_names}
    hits = {
        name: sum(_short(key) in known or _short(key).rpartition("/")[2] in known for key in set(values.astype(str)))
        for name, values in {**columns, **index}.items()
    }
    best = max(hits.values(), default=0)
    if not best:
        return None
    equal = [name for name, count in hits.items() if count == best and name]
    named = [name for name in equal if role_of(name) == "id" or "record" in plain(name) or "file" in plain(name)]
    if len(named) != 1 and len(equal) > 1:
        raise DataError(
            f"columns {_listed(equal)} each name {best} of the {len(names)} records. Call the right one record."
        )
    chosen = (named or equal or [""])[0]
    return index[""] if not chosen else columns[chosen]


def _by_short_names(names: Sequence[str]) -> dict[str, str]:
    return {_short(name): name for name in names}


def _short(name: str) -> str:
    """A name of a record without blanks and the suffix of one of its files."""
    short = name.strip().replace("\\", "/")
    head, dot, suffix = short.rpartition(".")
    return head if dot and suffix.lower() in ("hea", "dat", "mat", "atr", "edf") else short


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
