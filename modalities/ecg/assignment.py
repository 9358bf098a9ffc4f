"""Which record belongs to which person, class and split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from bam_core.data.holdout import check_disjoint, hold_out
from bam_core.errors import DataError, InputError
from modalities.ecg.beats import MITBIH_INTER_PATIENT

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
        raise InputError(f"expected 'table.csv:column' or a mapping from records; got {source!r}.")
    file = next((file for file in (folder / name, Path(name).expanduser()) if file.is_file()), None)
    if file is None:
        raise DataError(f"expected a table at {folder / name} or {name}; there is none.")
    return file


def per_record(source: PerRecord | None, names: Sequence[str], folder: Path) -> dict[str, str]:
    """Record -> value, for the records that have one.

    Args:
        source: a mapping, or "table.csv:column" of which the first column names the record.
        names: of the records.
        folder: where the table may lie.

    Raises:
        DataError: there is no such column, or no record has a value.
    """
    if source is None:
        return {}
    if isinstance(source, str):
        values = _read_column(source, folder)
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


def complete_splits(
    split_of: Mapping[str, str], person: Mapping[str, str], *, test_fraction: float, seed: int
) -> dict[str, str]:
    """Hold out persons where the split is open, and see to it that no person is in two splits.

    Args:
        split_of: record -> split, or "" for all of them.
        person: record -> person.
        test_fraction: of the persons; 0 for none.
        seed: of the choice.

    Raises:
        DataError: a person in two splits.
    """
    names = list(split_of)
    if not any(split_of.values()):
        if not test_fraction:
            return dict.fromkeys(names, "train")
        held_out = hold_out(len(names), test_fraction, seed=seed, groups=[person[name] for name in names])
        return {name: "test" if out else "train" for name, out in zip(names, held_out, strict=True)}
    check_disjoint(list(split_of.values()), [person[name] for name in names])
    return dict(split_of)


def _read_column(source: str, folder: Path) -> dict[str, str]:
    file, column = table_file(source, folder), source.rpartition(":")[2]
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        delimiter = max(",;\t|", key=lines.readline().count)
    try:
        table = pd.read_csv(file, dtype=str, sep=delimiter, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{file.name} is no readable table ({error}).") from error
    if column not in table.columns:
        raise DataError(f"{file.name} expected a column {column!r}; it has {', '.join(table.columns)}.")
    known = table[[table.columns[0], column]].dropna()
    return {record.strip(): value.strip() for record, value in known.itertuples(index=False)}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
