"""Files of tables as DataFrames: text with any usual delimiter, with or without a header, and parquet."""

import csv
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bam_core.errors import DataError

PARQUET = (".parquet", ".pq")
N_SNIFFED = 50  # lines that delimiter and header are guessed from


class Table(NamedTuple):
    """What one file, or one frame of the user, holds.

    Attributes:
        frame: the columns, text as it stands in the file; parquet and frames keep their types.
        name: for the names of rows, and for messages.
        notes: what had to be guessed or mended in a way that may surprise.
        row_names: of an index or an unnamed first column, or None.
    """

    frame: pd.DataFrame
    name: str
    notes: tuple[str, ...] = ()
    row_names: pd.Series | None = None


def read_file(path: Path, *, delimiter: str | None = None, header: bool | None = None) -> Table:
    """Read a file of rows and columns.

    Args:
        path: .parquet, or text under any other suffix.
        delimiter: of text; default: the one of tab, `;`, `|` and `,` that divides the first lines evenly.
        header: whether the first line of text names the columns; default: it does if it holds no number and repeats
            no word. Without a header the columns are called "0", "1", ...

    Raises:
        DataError: no such file, no text, no rows, or lines of uneven length.
    """
    if not path.is_file():
        kind = "that is a folder" if path.is_dir() else "there is none"
        raise DataError(f"expected a file at {path}; {kind}.")
    table = _read_parquet(path) if path.suffix.lower() in PARQUET else _read_text(path, delimiter, header)
    if not len(table.frame):
        raise DataError(f"{path.name} is empty: it has no rows.")
    return table


def from_frame(frame: pd.DataFrame, name: str) -> Table:
    """A frame of the user; an index that is more than a count of the rows becomes their names.

    Raises:
        DataError: no rows, or two columns of one name.
    """
    if not len(frame):
        raise DataError(f"{name} is empty: it has no rows.")
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    _check_distinct(list(frame.columns), name)
    row_names = None if isinstance(frame.index, pd.RangeIndex) else frame.index.to_series().astype(str)
    return Table(frame.reset_index(drop=True), name, row_names=row_names)


def sniff_delimiter(lines: Sequence[str]) -> str:
    """The delimiter that divides all lines into equally many fields, else the one that does so for most.

    Example:
        >>> sniff_delimiter(["height;weight", "1,80;75", "1,75;80"])
        ';'
    """
    evenness = {}
    for delimiter in "\t;|,":  # a comma comes last: it may stand inside numbers
        fields = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row)
        usual, count = fields.most_common(1)[0] if fields else (1, 0)
        evenness[delimiter] = count if usual > 1 else 0
    return max(evenness, key=lambda delimiter: evenness[delimiter])


def looks_like_header(fields: Sequence[str]) -> bool:
    """Whether the first line names columns: no number, no word twice; or a count, as pandas writes it.

    Example:
        >>> looks_like_header(["age", "sex"]), looks_like_header(["39", "male"]), looks_like_header(["0", "1", "2"])
        (True, False, True)
    """
    words = [field.strip() for field in fields if field.strip()]
    counts = [[str(i + first) for i in range(len(words))] for first in (0, 1)]
    if len(words) > 2 and words in counts:
        return True
    return bool(words) and len(set(words)) == len(words) and not any(_is_number(word) for word in words)


def _read_parquet(path: Path) -> Table:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable parquet file ({error}).") from error
    return from_frame(frame, path.stem)


def _read_text(path: Path, delimiter: str | None, header: bool | None) -> Table:
    encoding, notes = _encoding(path)
    with path.open(newline="", encoding=encoding) as file:
        lines = list(islice((line for line in file if line.strip()), N_SNIFFED))
    if not lines:
        raise DataError(f"{path.name} is empty: it has no rows.")
    delimiter = delimiter or sniff_delimiter(lines)
    rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    width = max(len(row) for row in rows)
    try:
        frame = pd.read_csv(
            path,
            sep=delimiter,
            header=None,
            names=list(range(width)),
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            encoding=encoding,
            index_col=False,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(
            f"{path.name} is no readable table with the delimiter {delimiter!r}: {str(error).strip()}. Quote fields "
            "that hold the delimiter, or name another delimiter."
        ) from error
    header = looks_like_header(rows[0]) if header is None else header
    names = [name.strip() for name in rows[0]] if header else [str(i) for i in range(width)]
    frame = frame.iloc[1:] if header else frame
    row_names = None
    if header and len(names) == width - 1:  # the header is one shorter than the rows
        if (frame[width - 1].fillna("").str.strip() == "").all():  # lines end in a delimiter
            frame = frame.iloc[:, :-1]
        else:
            row_names, frame = frame[0], frame.iloc[:, 1:]
    elif header and not names[0] and len(names) > 1:  # pandas writes its index so
        row_names, frame, names = frame[0], frame.iloc[:, 1:], names[1:]
    if len(names) != frame.shape[1]:
        raise DataError(
            f"{path.name} expected {len(names)} fields in every line, as in the first; line {_first_long(rows)} has "
            f"{width}. Quote fields that hold the delimiter {delimiter!r}, or name another delimiter."
        )
    _check_distinct(names, path.name)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    return Table(frame, path.stem, notes, None if row_names is None else row_names.reset_index(drop=True))


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    with path.open("rb") as file:
        if b"\0" in file.read(8192):
            raise DataError(
                f"{path.name} is no text (it holds zero bytes). Save it as CSV in UTF-8, or as .parquet; "
                "of a spreadsheet, one sheet."
            )
    try:
        with path.open(encoding="utf-8-sig") as text:
            for _ in iter(lambda: text.read(1 << 20), ""):
                pass
    except UnicodeDecodeError:
        return "cp1252", (f"{path.name} is not UTF-8, read as Windows-1252",)
    return "utf-8-sig", ()


def _check_distinct(names: Sequence[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{what} expected columns of different names; {', '.join(map(repr, twice[:5]))} came more than once. "
            "Rename them; or, if the first line is no header, set header: false."
        )


def _first_long(rows: Sequence[Sequence[str]]) -> int:
    return next(i for i, row in enumerate(rows, 1) if len(row) > len(rows[0]))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return text.lower().strip("+-") not in ("nan", "inf", "infinity")
