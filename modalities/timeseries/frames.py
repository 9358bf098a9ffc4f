"""Tables as pandas frames: read whatever divides their columns, columns found by name, their values looked at."""

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError


class Text(NamedTuple):
    """A table of text.

    Attributes:
        frame: its columns.
        header: whether it has one.
        row_names: the column without a name that pandas writes first.
        n_short: lines with fewer fields than the first; what they lack is missing.
    """

    frame: pd.DataFrame
    header: bool
    row_names: pd.Series | None
    n_short: int


def read_text(path: Path, kept_as_text: Sequence[str]) -> Text:
    """Read a table of text, whatever divides its columns.

    Args:
        path: of the file.
        kept_as_text: columns whose values are names, even if they look like numbers.

    Raises:
        DataError: it is empty, or no table.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in islice((line for line in file if line.strip()), 1)]
        if not lines:
            raise DataError(f"{path.name} is empty: it has no rows.")
        delimiter = max("\t;,|", key=lines[0].count)
        n_short = sum(line.count(delimiter) < lines[0].count(delimiter) for line in file if line.strip())
    fields = next(csv.reader(lines, delimiter=delimiter))
    numeric = all(_is_number(field) for field in fields)
    has_index = not fields[0].strip()  # as pandas writes it
    header = not numeric or _counts(fields[has_index:])
    try:
        frame = pd.read_csv(
            path,
            sep=delimiter,
            header=0 if header else None,
            dtype=dict.fromkeys(set(kept_as_text) & set(fields), str) if header else None,
            low_memory=False,
            encoding="utf-8-sig",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path.name} is no readable table ({error}).") from error
    index = frame.pop(frame.columns[0]) if header and has_index else None
    return Text(frame, header, index, n_short)


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file as a frame.

    Raises:
        DataError: it is none.
    """
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable parquet file ({error}).") from error


def is_list(values: pd.Series) -> bool:
    """Whether a column of a frame holds lists."""
    if values.dtype != object:
        return False
    first = values.dropna().head(1)
    return len(first) > 0 and isinstance(first.iloc[0], list | tuple | np.ndarray)


def check_numbers(values: pd.Series, source: str) -> None:
    """See to it that a column holds numbers.

    Raises:
        DataError: names the column and the first value that is none.
    """
    if values.dtype.kind in "fiub":
        return
    wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
    shown = f"row {wrong.index[0]} holds {wrong.iloc[0]!r}" if len(wrong) else f"it holds {values.dtype}"
    raise DataError(
        f"column {values.name!r} of {source} expected numbers, as all columns of values; {shown}. Missing values "
        "are empty; columns of another kind are named by label, group, id or split, or taken out."
    )


def find_column(
    name: str | None, usual: tuple[str, ...], available: list[str], source: str, *, required: bool = True
) -> str | None:
    """The column called `name`, or if that is None, the first of the usual names that there is.

    Raises:
        DataError: there is no column `name`, and it is required.
    """
    if name is None:
        return next((key for key in usual if key in available), None)
    if name not in available:
        if not required:
            return None
        listed = ", ".join(map(str, available[:10])) + (", ..." if len(available) > 10 else "")
        raise DataError(f"{source} expected {name!r} as {usual[0]}; it has {listed}.")
    return name


def _counts(fields: list[str]) -> bool:
    return len(fields) > 1 and fields in ([str(i) for i in range(first, len(fields) + first)] for first in (0, 1))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip() in ("", "NA", "NaN")
    return True
