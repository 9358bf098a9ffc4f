"""Numbers as people write them: 1,234.5 or 1.234,5, and which of the two a table does; one rule for all readers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

Decimal = Literal[".", ","]
_SPACES = " \u00a0\u2009\u202f'\u2019"
_EXPONENT = r"(?:[eE][+-]?\d+)?"


def _pattern(decimal: Decimal) -> re.Pattern[str]:
    other = "," if decimal == "." else "."
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:([{other}{_SPACES}])\d{{3}}(?:\1\d{{3}})*))"
    return re.compile(rf"[+-]?(?:{whole}(?:[{decimal}]\d*)?|[{decimal}]\d+){_EXPONENT}")


PATTERNS: dict[Decimal, re.Pattern[str]] = {".": _pattern("."), ",": _pattern(",")}
_THOUSANDS = re.compile(rf"[,.{_SPACES}]")
_MARKED = re.compile(r"[,.]")
_IN_BRACKETS = re.compile(r"\([\d.,]+\)")  # negative, as accountants write it
_N_LOOKED = 1000


class Evidence(NamedTuple):
    """What the numbers of a column tell about decimals.

    Attributes:
        points: the first that only decimal points explain, or None.
        commas: the first that only decimal commas explain.
        either: the first that is a number in both readings, but not the same one.
    """

    points: str | None = None
    commas: str | None = None
    either: str | None = None


def evidence(texts: Iterable[str]) -> Evidence:
    """What texts tell about decimals; those that are no numbers tell nothing.

    Example:
        >>> evidence(["950", "1.234"]), evidence(["1.234", "0,5"])
        (Evidence(points=None, commas=None, either='1.234'), Evidence(points=None, commas='0,5', either='1.234'))
        >>> evidence(["(1.234)"]).either
        '(1.234)'
        >>> evidence(["0.500", "1,234.50"]).points, evidence(["1.234.567"]).commas
        ('0.500', '1.234.567')
    """
    points = commas = either = None
    for place, text in enumerate(texts):
        if not _MARKED.search(text):
            continue
        signed = _signed(text)
        with_points, with_commas = (pattern.fullmatch(signed) is not None for pattern in PATTERNS.values())
        if with_points and with_commas:
            either = either or text
        elif with_points:
            points = points or text
        elif with_commas:
            commas = commas or text
        if points and commas and place > _N_LOOKED:
            break
    return Evidence(points, commas, either)


def has_commas(column: pd.Series) -> bool:
    """Whether a column holds texts that are numbers with a comma, in one reading or the other."""
    if column.dtype.kind in "biufcMm":
        return False
    texts = (text.strip() for text in column if isinstance(text, str) and "," in text)
    return any(pattern.fullmatch(text) for text in texts for pattern in PATTERNS.values())


def guess_decimal(columns: Iterable[Evidence], delimiter: str | None = None) -> Decimal | None:
    """The mark in front of decimals that a table has, or None if that cannot be told.

    Where the delimiter is a comma, `1.234` has a decimal point: whoever writes decimal commas takes another delimiter.
    """
    columns = list(columns)
    points, commas = (any(getattr(found, kind) for found in columns) for kind in ("points", "commas"))
    if points != commas:
        return "." if points else ","
    either = [found.either for found in columns if found.either]
    return "." if not points and delimiter in (",", r"\s+") and either and all("." in text for text in either) else None


def choose_decimal(
    what: str, found: Evidence, *, said: Decimal | None = None, guessed: Decimal | None = None
) -> Decimal:
    """The mark in front of decimals in a column.

    Args:
        what: the column is, for messages.
        found: what it tells.
        said: by the user; nothing else counts then.
        guessed: from the rest of the table, if the column does not tell.

    Raises:
        DataError: it has both marks, or its numbers can be read in two ways.

    Example:
        >>> choose_decimal("column 'x'", evidence(["1.234"]), guessed=","), choose_decimal("x", evidence(["7"]))
        (',', '.')
    """
    if said:
        return said
    if found.points and found.commas:
        raise DataError(
            f"{what} has decimal points, as in {found.points!r}, and decimal commas, as in {found.commas!r}. "
            "Write all alike; or say which are meant, decimal: '.' or ',': the others are missing then."
        )
    if found.points or found.commas:
        return "." if found.points else ","
    if found.either and guessed is None:
        raise two_readings(what, found.either)
    return guessed or "."


def two_readings(what: str, text: str) -> DataError:
    """The error about a number that can be read in two ways."""
    mark = "." if "." in text else ","
    as_decimal, as_thousands = text.replace(",", "."), text.replace(mark, "")
    other = "," if mark == "." else "."
    return DataError(
        f"{what} has numbers such as {text!r}, which may be {as_decimal} or {as_thousands}; no other number tells. Say "
        f"which mark stands in front of decimals: decimal: {mark!r} for {as_decimal}, decimal: {other!r} for "
        f"{as_thousands}."
    )


def to_numbers(texts: Sequence[Any], decimal: Decimal) -> np.ndarray:
    """(n,) float64, NaN where a value is no number in this notation; thousands may be set apart, decimals not by them.

    Example:
        >>> to_numbers(["1.234,50", "1.5", "3", "1 000"], ",").tolist()
        [1234.5, nan, 3.0, 1000.0]
    """
    read = [_plain(text, decimal) if isinstance(text, str) else text for text in texts]
    return pd.to_numeric(pd.Series(read, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _signed(text: str) -> str:
    """With a hyphen where a minus sign or an accountant's brackets stand."""
    text = text.replace("\u2212", "-")
    return f"-{text[1:-1]}" if _IN_BRACKETS.fullmatch(text) else text


def _plain(text: str, decimal: Decimal) -> str | None:
    text = _signed(text)
    if not _THOUSANDS.search(text):
        return text
    if not PATTERNS[decimal].fullmatch(text):
        return None
    return "".join("." if c == decimal else c for c in text if c == decimal or not _THOUSANDS.match(c))
