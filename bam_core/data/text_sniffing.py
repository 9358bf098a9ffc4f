"""What a table of text looks like, guessed from its first lines: delimiter, header, and what stands in front of it."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bam_core.errors import DataError

N_SNIFFED = 50  # lines that delimiter and header are guessed from
WHITESPACE = r"\s+"  # the delimiter of columns that are set apart by blanks

USUAL_MARKS = ("", "NA", "N/A", "n/a", "#N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>")
"""Texts that stand for a missing number wherever tables are read."""

_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_MISSING = frozenset((*(mark.lower() for mark in USUAL_MARKS), "?", "-", ".", "--"))


def sniff_delimiter(lines: Sequence[str]) -> str:
    """The delimiter that divides all lines into equally many fields, else the one that does so for most.

    Example:
        >>> sniff_delimiter(["height;weight", "1,80;75", "1,75;80"]), sniff_delimiter(["  1.0  2.5", "  2.0  3.5"])
        (';', '\\\\s+')
    """
    evenness = {}
    for delimiter in "\t;|,":  # a comma comes last: it may stand inside numbers
        fields = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row)
        usual, count = fields.most_common(1)[0] if fields else (1, 0)
        evenness[delimiter] = count if usual > 1 else 0
    if not any(evenness.values()):
        words = [line.split() for line in lines]
        if min(map(len, words)) > 1 and all(is_number(word) for word in words[-1]):
            return WHITESPACE
    return max(evenness, key=lambda delimiter: evenness[delimiter])


def names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: words above numbers, different words only, or numbers that count.

    Example:
        >>> names_columns([["t", "x"], ["0", "1.5"]]), names_columns([["a", "1"], ["b", "2"]])
        (True, False)
        >>> names_columns([["label", "0", "1", "2"], ["a", "0.1", "0.7", "0.3"]])
        True
        >>> names_columns([["city", "2019", "2020"], ["Bonn", "327", "330"]])
        True
    """
    fields, below = [field.strip() for field in rows[0]], rows[1:N_SNIFFED]
    numbers = [field for field in fields if is_number(field) and field.lower() not in _MISSING]
    words = [field for field in fields if field and not is_number(field)]
    if len(numbers) > 2 and numbers in [[str(i + first) for i in range(len(numbers))] for first in (0, 1)]:
        return True
    if len(numbers) > 9 and _evenly_rising(numbers) and not any(_evenly_rising(row[-len(numbers) :]) for row in below):
        return True  # times of the samples
    if len(numbers) > 1 and _are_years(numbers) and not any(_are_years(row[-len(numbers) :]) for row in below):
        return True
    for place, name in enumerate(fields):
        known = [row[place] for row in below if len(row) > place and row[place].strip().lower() not in _MISSING]
        if name in words and known and all(is_number(value) for value in known):
            return True
    return bool(words) and not numbers and len(set(words)) == len(words)


def lines_before(first: Sequence[str], delimiter: str) -> int:
    """Lines in front of the table: comments, and texts without any delimiter; a comment may hold the header."""
    widths = [len(line.split() if delimiter == WHITESPACE else line.split(delimiter)) for line in first]
    is_comment = [line.startswith("#") for line in first]
    usual = Counter(w for w, comment in zip(widths, is_comment, strict=True) if not comment).most_common(1)[0][0]
    start = next(i for i, (w, c) in enumerate(zip(widths, is_comment, strict=True)) if not c and (w > 1 or usual == 1))
    full = next(i for i, (w, c) in enumerate(zip(widths, is_comment, strict=True)) if not c and w == usual)
    fields = [text.strip(' "\r\n') for text in first[full].split(delimiter)]
    in_front = [line for line in first[:full] if line.strip()]
    are_pairs = len(in_front) > 1 or max(widths[:full], default=usual) < usual - 1
    if delimiter == WHITESPACE or any(map(is_number, [*fields, *(line.split(delimiter)[0] for line in in_front)])):
        are_pairs = False
    if are_pairs and max(widths[:full]) < usual:
        start = full  # names and values, as devices write them in front of a header
    if start == 1 and usual == 2 and any(map(is_number, fields)):
        start = 0  # the header of a column beside names of rows
    return start - 1 if start and is_comment[start - 1] and widths[start - 1] == usual else start


def check_is_table(path: Path, first: Sequence[str]) -> None:
    """Refuse what is no table of text though it is text.

    Raises:
        DataError: no lines, JSON, or ARFF.
    """
    if not first:
        raise DataError(f"{path.name} is empty: it has no rows.")
    begin = first[0].lstrip().lower()
    is_arff = all(line.startswith("%") for line in first) or any(
        line.lower().startswith("@relation") and all(before.startswith("%") for before in first[:i])
        for i, line in enumerate(first)
    )
    kind = "JSON" if begin.startswith(("{", "[")) else "ARFF" if is_arff else None
    if kind:
        raise DataError(f"{path.name} expected a table with delimiters; it begins as {kind} does. Save it as CSV.")


def is_lone_column(first: Sequence[str], file: str) -> bool:
    """Whether commas are those of decimals, and there is but one column.

    Raises:
        DataError: that cannot be told.

    Example:
        >>> is_lone_column(["height", "1,80", "1,75"], "a.csv"), is_lone_column(["x", "1,5", "2,7"], "a.csv")
        (True, False)
    """
    head, *below = [line.strip().strip('"') for line in first if line.strip()]
    named = "," not in head and not is_number(head)
    texts = below if named else [head, *below]
    if not texts or not all(re.fullmatch(r"[+-]?\d*,\d+", text) for text in texts):
        return False
    whole, decimals = zip(*(text.split(",") for text in texts), strict=True)
    if not named and not any(re.match(r"0\d", text) for text in decimals):
        return False  # two columns of whole numbers
    counting = [[str(i + start) for i in range(len(texts))] for start in (0, 1)]
    if list(whole) in counting and len(texts) > 1:
        return False  # names of rows, as R writes them
    if named and len(set(whole)) < len(whole):
        return True
    raise DataError(
        f"{file} has lines such as {texts[0]!r}, which may be one number with a decimal comma or two fields. Name the "
        "delimiter: delimiter: ';' for one column, delimiter: ',' for two."
    )


def is_number(text: str) -> bool:
    """Whether a field holds a number, in whatever notation, or a mark of a missing one."""
    return _NUMBER.fullmatch(text.strip()) is not None or text.strip().lower() in _MISSING


def _are_years(fields: Sequence[str]) -> bool:
    numbers = [text.strip() for text in fields]
    return all(re.fullmatch(r"(19|20)\d\d", text) for text in numbers) and numbers == sorted(set(numbers))


def _evenly_rising(fields: Sequence[str]) -> bool:
    try:
        numbers = [float(text.replace(",", ".")) for text in fields]
    except ValueError:
        return False
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    return len(steps) > 1 and min(steps) > 0 and max(steps) - min(steps) < 0.5 * max(steps)
