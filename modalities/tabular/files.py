"""Files of tables as DataFrames: text as `read_text_table` reads it, and parquet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.folders import printable
from bam_core.data.text_files import unpacked_name
from bam_core.data.text_tables import read_text_table
from bam_core.errors import DataError

PARQUET = (".parquet", ".pq")


class Table(NamedTuple):
    """What one file, or one frame of the user, holds.

    Attributes:
        frame: the columns, text as it stands in the file; parquet and frames keep their types.
        name: for the names of rows, and for messages.
        notes: what had to be guessed.
        row_names: of an index or an unnamed first column, or None.
        delimiter: of text.
        repairs: what was mended -> how often.
    """

    frame: pd.DataFrame
    name: str
    notes: tuple[str, ...] = ()
    row_names: pd.Series | None = None
    delimiter: str | None = None
    repairs: dict[str, int] = {}  # noqa: RUF012


def read_file(
    path: Path, *, delimiter: str | None = None, header: bool | None = None, encoding: str | None = None
) -> Table:
    """Read a file of rows and columns.

    Args:
        path: .parquet, or text under any other suffix, packed (.gz, .bz2, .xz, .zst) or not.
        delimiter: of text; default: see `read_text_table`.
        header: whether the first line of text names the columns; default: as `names_columns` says. Without a header
            the columns are called "0", "1", ...
        encoding: of text; default: UTF-8, UTF-16 with its mark, else Windows-1252.

    Raises:
        DataError: no such file, no text, no rows, or lines with more fields than the others.
    """
    if not path.is_file():
        kind = "that is a folder" if path.is_dir() else "there is none"
        raise DataError(f"expected a file at {path}; {kind}.")
    if path.suffix.lower() in PARQUET:
        return _read_parquet(path)
    found = read_text_table(path, delimiter=delimiter, header=header, encoding=encoding)
    repairs = {}
    if found.n_short:
        kind = f"{path.name}: lines with too few fields, such as line {found.short[0]}; the last columns are missing"
        repairs[kind] = found.n_short
    names = None if found.row_names is None else found.row_names.reset_index(drop=True)
    notes = tuple(f"{path.name}: {note}." for note in found.notes)
    frame = found.frame.reset_index(drop=True)
    return Table(frame, printable(unpacked_name(path).stem), notes, names, found.delimiter, repairs)


def from_frame(frame: pd.DataFrame, name: str) -> Table:
    """A frame of the user; an index that is more than a count of the rows becomes their names.

    Raises:
        DataError: no rows, or two columns of one name.
    """
    if not len(frame):
        raise DataError(f"{name} is empty: it has no rows.")
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    check_distinct(list(frame.columns), name)
    swapped = {column: kind.newbyteorder("=") for column, kind in frame.dtypes.items() if _is_swapped(kind)}
    frame = frame.astype(swapped)
    row_names = None if isinstance(frame.index, pd.RangeIndex) else frame.index.to_series().astype(str)
    return Table(frame.reset_index(drop=True), name, row_names=row_names)


def _read_parquet(path: Path) -> Table:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable parquet file ({error}).") from error
    return from_frame(frame, printable(path.stem))


def _is_swapped(kind: Any) -> bool:
    """Whether numbers are of the other byte order, which pandas does not compute with."""
    return isinstance(kind, np.dtype) and not kind.isnative


def check_distinct(names: Sequence[str], what: str) -> None:
    """See to it that every column has a name of its own.

    Raises:
        DataError: some have not.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{what} expected columns of different names; {', '.join(map(repr, twice[:5]))} came more than once. "
            "Rename them."
        )
