"""Numbers as they stand in tables: with points or commas, as texts or decimals, and marks where one is missing."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.decimals import Decimal, Evidence, choose_decimal, evidence, guess_decimal, to_numbers
from bam_core.errors import DataError

MARKS = frozenset(
    ("", "na", "n/a", "n.a.", "#n/a", "#na", "nan", "-nan", "null", "none", "<na>", "nat", "nil", "?", "-", ".", "--")
)
"""Texts, in lower case, that stand for a missing number."""

FILLERS = tuple(sign * (10**digits - 1) for digits in (3, 4, 5, 6) for sign in (-1, 1))
"""Numbers that loggers write where they have none, such as -999."""


class Numbers(NamedTuple):
    """Columns as numbers.

    Attributes:
        frame: of float64, NaN where missing.
        missing: text or number that was taken as missing -> how often; empty fields and NaN are not counted.
        notes: what was guessed.
    """

    frame: pd.DataFrame
    missing: dict[str, int]
    notes: list[str]


def read_numbers(columns: pd.DataFrame, source: str, *, decimal: Decimal | None = None) -> Numbers:
    """Columns of any type as numbers.

    Args:
        columns: the columns.
        source: what the table is called in messages.
        decimal: mark in front of decimals; default: what the numbers of a column tell, else those of the others.

    Numbers of `FILLERS` that are nine times as large as all others of their column are missing, too.

    Raises:
        DataError: a value that is no number, or numbers such as 1,234 that can be read in two ways, see
            `choose_decimal`; column and row are named.

    Example:
        >>> found = read_numbers(pd.DataFrame({"x": ["0,5", "?", "1,25"]}), "a.csv")
        >>> found.frame["x"].tolist(), found.missing
        ([0.5, nan, 1.25], {'?': 1})
    """
    missing: Counter[str] = Counter()
    values: list[pd.Series] = []
    found: dict[int, Evidence] = {}
    for place, (_, column) in enumerate(columns.items()):
        if pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c":
            values.append(column.astype("float64"))
            continue
        texts = column.astype(object)
        texts = texts.map(lambda value: value.strip() if isinstance(value, str) else value)
        marks = texts.map(lambda value: isinstance(value, str) and value.lower() in MARKS)
        missing.update(text for text in texts[marks] if text)
        values.append(texts.mask(marks | texts.isna(), None))
        found[place] = evidence(value for value in values[-1] if isinstance(value, str))
    guessed = guess_decimal(found.values())
    decimals = {
        place: choose_decimal(f"column {columns.columns[place]!r} of {source}", one, said=decimal, guessed=guessed)
        for place, one in found.items()
    }
    notes = [f"Numbers of {source} are read with decimal commas."] if "," in decimals.values() and not decimal else []
    frame = pd.DataFrame(
        {i: _numbers(column, source, decimals.get(i, ".")) for i, column in enumerate(values)}, index=columns.index
    )
    fillers = _drop_fillers(frame)
    return Numbers(frame.set_axis(columns.columns, axis=1), {**missing, **fillers}, notes)


def find_filler(values: np.ndarray) -> int | None:
    """The number of `FILLERS` that a column holds, if it is nine times as large as all others.

    Example:
        >>> find_filler(np.array([3.0, 5.0, -999.0])), find_filler(np.array([3.0, 500.0, -999.0]))
        (-999, None)
    """
    for filler in FILLERS:
        here = values == filler
        rest = values[np.isfinite(values) & ~here]
        if here.any() and len(rest) and abs(filler) > 9 * max(np.abs(rest).max(), np.ptp(rest)):
            return filler
    return None


def _drop_fillers(frame: pd.DataFrame) -> dict[str, int]:
    """Make NaN of numbers such as -999 that lie far outside of the rest of their column, and count them."""
    found: Counter[str] = Counter()
    for name, column in frame.items():
        filler = find_filler(column.to_numpy())
        if filler is not None:
            here = column == filler
            frame[name] = column.mask(here)
            found[str(filler)] += int(here.sum())
    return dict(found)


def _numbers(column: pd.Series, source: str, decimal: Decimal) -> pd.Series:
    if column.dtype == np.float64:
        return column
    numbers = pd.Series(to_numbers(column.tolist(), decimal), index=column.index)
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        raise DataError(
            f"column {column.name!r} of {source} expected numbers, as all columns of values; row {wrong.index[0]} "
            f"holds {wrong.iloc[0]!r}. Columns of another kind are named by label, group, id or split, or taken out."
        )
    return numbers
