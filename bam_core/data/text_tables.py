"""Tables of text, whatever wrote them: delimiter and header are found, and a row with too many fields is named.

What was guessed is in `notes`, for `SplitWriter.note`. What the values mean is left to the readers.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bam_core.data.text_files import find_encoding, open_text, read_lines
from bam_core.data.text_sniffing import (
    N_SNIFFED,
    USUAL_MARKS,
    WHITESPACE,
    check_is_table,
    is_lone_column,
    is_number,
    lines_before,
    names_columns,
    sniff_delimiter,
)
from bam_core.errors import DataError

N_NAMED = 1000  # lines of a kind that are remembered


class TextTable(NamedTuple):
    """A table of text.

    Attributes:
        frame: its columns, called "0", "1", ... without a header.
        header: whether the names stood in the file.
        row_names: of a first column without a name, as pandas and R write it, or None.
        delimiter: between its columns, or `WHITESPACE`.
        short: numbers of (the first) lines that have fewer fields than there are columns; the last ones are missing.
        n_short: how many there are.
        notes: what was guessed, without the name of the file.
    """

    frame: pd.DataFrame
    header: bool
    row_names: pd.Series | None
    delimiter: str
    short: tuple[int, ...]
    n_short: int
    notes: tuple[str, ...]


class _Source(NamedTuple):
    """How the lines of a file become rows."""

    path: Path
    encoding: str
    delimiter: str = ","
    skipped: int = 0  # lines before the table
    quoting: int = csv.QUOTE_NONE


def read_text_table(
    path: Path,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    as_text: Callable[[str], bool] = lambda name: True,
) -> TextTable:
    """Read a table of text.

    Args:
        path: of the file; .gz, .bz2, .xz and .zst are unpacked.
        delimiter: default: the one of tab, `;`, `|`, `,` and blanks that divides the first lines evenly.
        header: whether the first line names the columns; default: as `names_columns` says.
        encoding: default: UTF-8, UTF-16 with its mark, else Windows-1252.
        as_text: name of a column -> whether its values stay the texts that stand in the file; in other columns,
            numbers are numbers and `USUAL_MARKS` missing.

    Raises:
        DataError: no table of text, no rows, two columns of one name, a line with more fields than the header, a quote
            that swallows lines, or a lone column that can be read in two ways.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a.csv").write_text("id;x\\nm1;1,5;\\nm2;2,5;\\n")
        ...     table = read_text_table(Path(folder) / "a.csv")
        >>> table.frame.values.tolist(), table.delimiter
        ([['m1', '1,5'], ['m2', '2,5']], ';')
    """
    found, notes = (encoding, []) if encoding else find_encoding(path)
    first = list(itertools.islice(read_lines(path, found), N_SNIFFED))
    check_is_table(path, [line for line in first if line.strip()])
    if said := re.fullmatch(r'"?sep=(.)"?\s*', first[0], re.IGNORECASE):  # as Excel begins its files
        delimiter = delimiter or said[1]
    if delimiter is None:
        delimiter = sniff_delimiter([line for line in first if line.strip()])
        if delimiter == "," and is_lone_column(first, path.name):
            delimiter = ";"
            notes.append("one column of numbers with decimal commas")
    skipped = 1 if said else lines_before(first, delimiter)
    if any(line.strip() for line in first[:skipped]) and not said:
        notes.append(f"{skipped} line(s) in front of the table not read")
    source = _Source(path, found, delimiter, skipped)
    source = source._replace(quoting=_quoting(source, notes))
    rows = [row for _, row in itertools.islice(_rows(source), N_SNIFFED)]
    if header is None:
        header = names_columns(rows)
        if header and not any(is_number(text) for row in rows[1:] for text in row if text.strip()):
            notes.append("the first line is taken as the header; if it is a row, header: false")
        numbers = [name for name in rows[0] if name.strip() and is_number(name)] if header else []
        if numbers:
            notes.append(f"the first line is taken as the header, though it holds {numbers[0].strip()!r}")
    lines = _count_fields(source, skip=header)
    names = _names(lines, rows[0] if header else None, path.name)
    _check_widths(lines, len(names), source)
    frame = _read(source, names, max((len(rows[0]), *(width for width, _ in lines))), header, as_text)
    row_names = frame.pop("") if "" in frame and len(names) > 1 else None
    too_short = [found for (width, _), found in lines.items() if width < len(names)]
    short = sorted(number for found in too_short for number in found.numbers)
    n_short = sum(found.count for found in too_short)
    return TextTable(frame, header, row_names, delimiter, tuple(short[:N_NAMED]), n_short, tuple(notes))


@dataclass
class _Lines:
    """How many lines have a number of fields, and the numbers of the first ones."""

    count: int = 0
    numbers: list[int] = field(default_factory=list)


_Counted = dict[tuple[int, bool], _Lines]  # by number of fields, and whether the last one is empty


def _count_fields(source: _Source, *, skip: bool) -> _Counted:
    counted: _Counted = {}
    for line, width, is_open in itertools.islice(_widths(source), int(skip), None):
        lines = counted.setdefault((width, is_open), _Lines())
        lines.count += 1
        if len(lines.numbers) < N_NAMED:
            lines.numbers.append(line)
    if not counted:
        raise DataError(f"{source.path.name} is empty: it has no rows.")
    return counted


def _names(lines: _Counted, header: Sequence[str] | None, file: str) -> list[str]:
    """Of the columns, "" for the names of the rows; delimiters at the end of lines make no column."""
    widest = max(width for width, _ in lines)
    ends_open = (widest, False) not in lines and widest > 1
    if header is None:
        return [str(i) for i in range(widest - ends_open)]
    names = [name.strip() for name in header]
    if len(names) > 1 and not names[-1] and widest <= len(names) and (ends_open or widest < len(names)):
        names.pop()
    elif not ends_open and {width for width, _ in lines} == {len(names) + 1}:  # the names of the rows have none
        names.insert(0, "")
    names = [name or (f"unnamed {i}" if i else "") for i, name in enumerate(names)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{file} expected columns of different names; {', '.join(map(repr, twice[:5]))} came more than once. "
            "Rename them; or, if the first line is no header, set header: false."
        )
    return names


def _check_widths(lines: _Counted, expected: int, source: _Source) -> None:
    long = {key: found for key, found in lines.items() if key[0] > expected + key[1]}
    if long:
        number, width = min((found.numbers[0], width) for (width, _), found in long.items())
        raise DataError(
            f"{source.path.name} expected {expected} fields in every line, as in the first; line {number} has {width}. "
            f"Quote fields that hold the delimiter {source.delimiter!r}, or name another delimiter."
        )


def _widths(source: _Source) -> Iterator[tuple[int, int, bool]]:
    """Number of a line, of its fields, and whether the last of these is empty."""
    if source.quoting != csv.QUOTE_NONE or source.delimiter == WHITESPACE:
        before = source.skipped
        for number, row in _rows(source):
            if number > before + 2:
                _check_quotes(row, source, before + 1, number)
            before = number
            yield number, len(row), not row[-1].strip()
        return
    for number, line in _table_lines(source):
        text = line.rstrip("\r\n ")
        if text:
            yield number, text.count(source.delimiter) + 1, text.endswith(source.delimiter)


def _rows(source: _Source) -> Iterator[tuple[int, list[str]]]:
    lines = _table_lines(source)
    if source.delimiter == WHITESPACE:
        yield from ((number, line.split()) for number, line in lines if line.strip())
        return
    texts = (line for _, line in lines)
    reader = csv.reader(texts, delimiter=source.delimiter, skipinitialspace=True, quoting=source.quoting)  # type: ignore
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                yield source.skipped + reader.line_num, row
    except csv.Error as error:
        raise DataError(f"line {source.skipped + reader.line_num} of {source.path.name}: {error}.") from error


def _check_quotes(row: Sequence[str], source: _Source, first: int, last: int) -> None:
    """Lines inside of a quoted field that are divided as rows are were swallowed by a quote that nobody closed."""
    for text in row:
        inner = text.splitlines()[1:-1]
        if sum(line.count(source.delimiter) == len(row) - 1 > 0 for line in inner) > len(inner) / 2:
            raise DataError(
                f"{source.path.name}: a quote of line {first} is closed in line {last} only, and the lines between "
                "look like rows. Close it, or double quotes that are part of a text."
            )


def _quoting(source: _Source, notes: list[str]) -> int:
    """Quotes are part of the texts if all lines are then equally long, and would be joined otherwise."""
    if source.delimiter == WHITESPACE or not any('"' in line for _, line in _table_lines(source)):
        return csv.QUOTE_NONE
    quoted = source._replace(quoting=csv.QUOTE_MINIMAL)
    plain = [width for _, width, _ in _widths(source)]
    is_plain = len(set(plain)) == 1 and sum(1 for _ in _rows(quoted)) < len(plain)
    if is_plain:
        notes.append("a quote is never closed; quotes are read as part of the texts")
    return csv.QUOTE_NONE if is_plain else csv.QUOTE_MINIMAL


def _read(
    source: _Source, names: Sequence[str], n_fields: int, header: bool, as_text: Callable[[str], bool]
) -> pd.DataFrame:
    numbers = [i for i, name in enumerate(names) if not as_text(name)]
    options: dict[str, Any] = {
        "sep": source.delimiter,
        "names": range(n_fields),
        "header": 0 if header else None,
        "dtype": {i: str for i in range(n_fields) if i not in set(numbers)},
        "keep_default_na": False,
        "na_values": dict.fromkeys(numbers, USUAL_MARKS),
        "skiprows": source.skipped,
        "skipinitialspace": True,
        "quoting": source.quoting,
        "index_col": False,
        "low_memory": False,
    }
    try:
        with open_text(source.path, source.encoding) as file:
            frame = pd.read_csv(file, **options)
    except (ValueError, pd.errors.ParserError, OSError) as error:
        raise DataError(f"{source.path.name} is no readable table ({str(error).strip()}).") from error
    named: pd.DataFrame = frame.iloc[:, : len(names)].set_axis(list(names), axis=1)
    return named


def _table_lines(source: _Source) -> Iterator[tuple[int, str]]:
    return itertools.islice(enumerate(read_lines(source.path, source.encoding), 1), source.skipped, None)
