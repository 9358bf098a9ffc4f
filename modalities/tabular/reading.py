"""Reading the columns of any table by the plans that were made of the training rows.

The plan says what a value means. How it is written may differ from the training rows where that can be told: decimal
commas, `TRUE` for `True`, 1.0 for 1, 0 and 1 for booleans, dates in another order. What cannot be told is unknown.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.decimals import Decimal, to_numbers
from bam_core.data.numbers import MARKS
from bam_core.data.units import Unit, without_unit
from modalities.tabular.columns import (
    AS_USUAL,
    FIRST,
    MISSING,
    UNKNOWN,
    Notation,
    Plan,
    evidence_of,
    tidy,
)
from modalities.tabular.dates import COMPACT, date_parts, drop_fillers, find_format, to_dates
from modalities.tabular.texts import shown, texts_of

_PAIRS = ("false true", "f t", "no yes", "n y", "0 1", "off on", "falsch wahr", "nein ja", "faux vrai", "non oui")
_BOOLEANS = {word: bool(i) for pair in _PAIRS for i, word in enumerate(pair.split())}


class Read(NamedTuple):
    """What a column says by its plan.

    Attributes:
        numbers: name of the feature -> (n,) float64, NaN where missing.
        indices: (n,) int64 of a category, or None.
        notes: kind of repair -> count.
        n_known: values that are not missing.
        n_unread: of these, those that do not fit the plan.
        unread: what these are.
    """

    numbers: dict[str, np.ndarray]
    indices: np.ndarray | None
    notes: dict[str, int]
    n_known: int = 0
    n_unread: int = 0
    unread: str = ""


def read_column(plan: Plan, values: pd.Series, notation: Notation = AS_USUAL) -> Read:
    """Read the rows of any table by a plan; what does not fit it is missing, or an unknown category, and counted.

    Args:
        plan: from `plan_column`.
        values: a column of that name.
        notation: how the table is written.

    Example:
        >>> plan = Plan(name="member", kind="category", categories=["False", "True"])
        >>> read_column(plan, pd.Series(["TRUE", "0"])).indices.tolist()
        [3, 2]
    """
    values = tidy(values, notation.na_values).reset_index(drop=True)
    if plan["kind"] == "category":
        return _read_category(plan, values)
    return _read_date(plan, values) if plan["kind"] == "date" else _read_number(plan, values, notation)


def _read_number(plan: Plan, values: pd.Series, notation: Notation) -> Read:
    name, known = plan["name"], values.notna().to_numpy()
    notes: dict[str, int] = {}
    numbers = np.full(len(values), np.nan)
    if pd.api.types.is_numeric_dtype(values.dtype):  # booleans are 0 and 1
        numbers = values.to_numpy(np.float64, na_value=np.nan)
    elif values.dtype == object:
        codes, different = pd.factorize(values)
        decimal = _decimal_of(plan, values, notation)
        texts = _without_unit(plan, list(different), np.bincount(codes[codes >= 0]), notes)
        found = to_numbers(texts, decimal)
        if plan.get("boolean"):
            words = [_as_boolean(value) if np.isnan(x) else None for value, x in zip(different, found, strict=True)]
            found = np.where([word is not None for word in words], np.array(words, np.float64), found)
        numbers = np.append(found, np.nan)[codes]
        n_commas = int(sum(np.bincount(codes[codes >= 0])[["," in str(value) for value in different]]))
        if decimal == "," and n_commas:
            notes[f"column {name!r}: decimal commas, read as points"] = n_commas
    if "filler" in plan:
        here = numbers == plan["filler"]
        if here.any():
            notes[f"column {name!r}: {plan['filler']} taken as missing"] = int(here.sum())
        numbers, known = np.where(here, np.nan, numbers), known & ~here
    is_number = np.isfinite(numbers)
    marks = np.array([isinstance(v, str) and v.lower() in MARKS for v in values[known & ~is_number]], dtype=bool)
    what = _strays(name, values, known & ~is_number, "numbers", notes)
    n_unread = int((known & ~is_number).sum() - marks.sum())
    return Read(
        {name: np.where(is_number, numbers, np.nan)}, None, notes, int(known.sum() - marks.sum()), n_unread, what
    )


def _without_unit(plan: Plan, texts: list[object], counts: np.ndarray, notes: dict[str, int]) -> list[object]:
    """Texts without the unit of training, which is noted, as is its absence."""
    if "unit" not in plan:
        return texts
    unit = Unit(*plan["unit"])
    plain = [without_unit(text, unit) if isinstance(text, str) else text for text in texts]
    has_unit = np.array([text != number for text, number in zip(texts, plain, strict=True)], dtype=bool)
    said = f"column {plan['name']!r}: numbers with {' and '.join(map(repr, filter(None, unit)))}"
    for kind, here in ((f"{said}, read without it", has_unit), (f"{said} in training, and now without it", ~has_unit)):
        if here.any() and (here is has_unit or not has_unit.any()):
            notes[kind] = int(counts[here].sum())
    return plain


def _decimal_of(plan: Plan, values: pd.Series, notation: Notation) -> Decimal:
    """What was said; else what the column itself tells, what the table does, and what the training rows had."""
    trained: Decimal = "," if plan.get("decimal_comma") else "."
    if notation.decimal:
        return notation.decimal
    found = evidence_of(values)
    if bool(found.points) != bool(found.commas):
        return "." if found.points else ","
    return trained if found.points else notation.guessed or trained


def _read_date(plan: Plan, values: pd.Series) -> Read:
    name, known = plan["name"], values.notna()
    dates = to_dates(values, plan["format"])
    notes: dict[str, int] = {}
    if not dates[known].notna().all() and values.dtype == object:
        other = find_format(values[known].astype(str))
        if other is not None and not other.either:
            dates = to_dates(values.where(~known, values.astype(str)), other.format)
            first = shown(values[known].iloc[0])
            notes[f"column {name!r}: dates written otherwise than in training, such as {first}"] = int(known.sum())
    unread = (known & dates.isna()).to_numpy()
    what = _strays(name, values, unread, "dates", notes)
    dates, fillers = drop_fillers(dates)
    notes |= {f"column {name!r}: dates of the year {year} taken as missing": count for year, count in fillers.items()}
    if plan["format"] == COMPACT and dates.notna().any():
        notes[f"column {name!r}: whole numbers such as {values[known].iloc[0]} read as dates"] = int(known.sum())
    return Read(date_parts(name, dates), None, notes, int(known.sum()), int(unread.sum()), what)


def _read_category(plan: Plan, values: pd.Series) -> Read:
    name, codes = plan["name"], plan.get("codes", False)
    known = values.notna().to_numpy()
    texts = pd.Series(texts_of(values[known], codes), dtype=object)
    of_value, different = pd.factorize(texts)
    places, loosely = _places(list(different), plan.get("categories", []))
    indices = np.full(len(values), MISSING, np.int64)
    indices[known] = np.array(places, np.int64)[of_value] if len(different) else indices[known]
    notes: dict[str, int] = {}
    counts = np.bincount(of_value, minlength=len(different))
    if any(loosely):
        first = list(different)[loosely.index(True)]
        meant = plan["categories"][places[loosely.index(True)] - FIRST]
        kind = f"column {name!r}: categories written otherwise than in training, such as {first!r} for {meant!r}"
        notes[kind] = int(counts[np.array(loosely)].sum())
    unseen = np.array(places, np.int64) == UNKNOWN
    n_unseen = int(counts[unseen].sum())
    what = ""
    if n_unseen:
        what = f"categories not seen in training, such as {list(different)[int(np.argmax(unseen))]!r}"
        notes[f"column {name!r}: {what}"] = n_unseen
    return Read({}, indices, notes, int(known.sum()), n_unseen, what)


def _places(texts: Sequence[str], categories: Sequence[str]) -> tuple[list[int], list[bool]]:
    """Index of every text, and whether it is written otherwise than the category."""
    exact = {category: FIRST + i for i, category in enumerate(categories)}
    plain = [_plain(category) for category in categories]
    count = Counter(plain)
    loose = {key: FIRST + i for i, key in enumerate(plain) if count[key] == 1}
    booleans = {_as_boolean(category): FIRST + i for i, category in enumerate(categories)}
    are_booleans = len(categories) == 2 and booleans.keys() == {True, False}
    places, loosely = [], []
    for text in texts:
        place = exact.get(text) or loose.get(_plain(text))
        if place is None and are_booleans:
            place = booleans.get(_as_boolean(text))
        places.append(UNKNOWN if place is None else place)
        loosely.append(place is not None and text not in exact)
    return places, loosely


def _plain(text: str) -> str:
    """Without case, and without the decimals of a whole number: "1.0" and "1" are the same, "007" and "7" are not."""
    head, point, tail = text.partition(".")
    is_whole = point and head.lstrip("+-").isdecimal() and not tail.strip("0")
    return head if is_whole else text.casefold()


def _as_boolean(value: object) -> bool | None:
    return _BOOLEANS.get(_plain(str(value)))


def _strays(name: str, values: pd.Series, stray: np.ndarray, kind: str, notes: dict[str, int]) -> str:
    """Notes values that do not fit, and says what they are."""
    if not stray.any():
        return ""
    row = int(np.flatnonzero(stray)[0])
    what = f"no {kind}, such as {shown(values.iloc[row])} in row {row}"
    notes[f"column {name!r}: {what}, taken as missing"] = int(stray.sum())
    return what
