"""Numbers as people write them: 1,234.5 or 1.234,5, and which of the two a table does."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.numbers import Decimal

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
        >>> evidence(["0.500", "1,234.50"]).points, evidence(["1.234.567"]).commas
        ('0.500', '1.234.567')
    """
    points = commas = either = None
    for place, text in enumerate(texts):
        if not _MARKED.search(text):
            continue
        text = text.replace("\u2212", "-")
        with_points, with_commas = (pattern.fullmatch(text) is not None for pattern in PATTERNS.values())
        if with_points and with_commas:
            either = either or text
        elif with_points:
            points = points or text
        elif with_commas:
            commas = commas or text
        if points and commas and place > _N_LOOKED:
            break
    return Evidence(points, commas, either)


def to_numbers(texts: Sequence[Any], decimal: Decimal) -> np.ndarray:
    """(n,) float64, NaN where a value is no number in this notation; thousands may be set apart, decimals not by them.

    Example:
        >>> to_numbers(["1.234,50", "1.5", "3", "1 000"], ",").tolist()
        [1234.5, nan, 3.0, 1000.0]
    """
    read = [_plain(text, decimal) if isinstance(text, str) else text for text in texts]
    return pd.to_numeric(pd.Series(read, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _plain(text: str, decimal: Decimal) -> str | None:
    text = text.replace("\u2212", "-")
    if _IN_BRACKETS.fullmatch(text):
        text = f"-{text[1:-1]}"
    if not _THOUSANDS.search(text):
        return text
    if not PATTERNS[decimal].fullmatch(text):
        return None
    return "".join("." if c == decimal else c for c in text if c == decimal or not _THOUSANDS.match(c))
