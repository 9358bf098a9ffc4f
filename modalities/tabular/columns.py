"""What a column holds, decided once on training rows, and the same reading for every later table.

A plan of a column is plain JSON. A *number* becomes one number, a *date* several (see `DATE_PARTS`), a *category* an
index: 0 for unknown (never seen in training, or masked by a view), 1 for missing, then the categories.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd

from bam_core.data.labels import sort_names

UNKNOWN, MISSING, FIRST = 0, 1, 2
"""Indices of categories."""

MISSING_MARKS = frozenset(
    ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "#NA")
)
"""Texts that stand for a missing value: those of pandas, and the question mark of UCI's tables."""

ISO = "ISO8601"
_DAYS = ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%b %d, %Y", "%Y.%m.%d")
_DATE_FORMATS = [ISO, *(day + time for day in _DAYS for time in ("", " %H:%M", " %H:%M:%S"))]
_ISO_LIKE = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_STRAY_SHARE = 0.1  # of texts among numbers that are taken as missing
_FEW = 20  # different values that look like codes rather than measurements


class Plan(TypedDict):
    """How to read a column."""

    name: str
    kind: str
    decimal_comma: NotRequired[bool]
    categories: NotRequired[list[str]]
    codes: NotRequired[bool]
    format: NotRequired[str]


class Read(NamedTuple):
    """What a column says by its plan.

    Attributes:
        numbers: name of the feature -> (n,) float64, NaN where missing.
        indices: (n,) int64 of a category, or None.
        notes: kind of repair -> count.
    """

    numbers: dict[str, np.ndarray]
    indices: np.ndarray | None
    notes: dict[str, int]


def plan_column(values: pd.Series, *, as_category: bool = False, max_categories: int = 100) -> Plan | str:
    """Decide what a column holds.

    Args:
        values: the training rows; its name is the name of the column.
        as_category: its numbers are codes.
        max_categories: a column with more different texts is an id or free text.

    Returns:
        The plan, or the reason why the column is of no use.

    Example:
        >>> plan_column(pd.Series(["1,5", "2,25", "?"], name="height"))
        {'name': 'height', 'kind': 'number', 'decimal_comma': True}
        >>> plan_column(pd.Series(["x", "x"], name="unit"))
        "constant: every value is 'x'"
    """
    name, values = str(values.name), tidy(values)
    known = values.dropna()
    if known.empty:
        return "every value is missing"
    try:
        n_different = known.nunique()
    except TypeError:
        nested = next(value for value in known if isinstance(value, Sequence | np.ndarray | dict | set))
        return f"holds values of kind {type(nested).__name__}, not single ones"
    if n_different == 1 and len(known) == len(values):
        return f"constant: every value is {_shown(known.iloc[0])}"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return {"name": name, "kind": "date", "format": ISO}
    is_text = not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
    if not as_category and n_different > 1:
        if not is_text:
            return {"name": name, "kind": "number"}
        found = _plan_text(name, known.astype(str), n_different)
        if found is not None:
            return found
    if n_different > max_categories or (is_text and n_different == len(known) >= 10):
        return _why_no_category(known, n_different, max_categories)
    codes = as_category and not pd.api.types.is_bool_dtype(values.dtype)
    plan: Plan = {"name": name, "kind": "category", "categories": sort_names(set(_texts(known, codes)))}
    return plan | {"codes": True} if codes else plan


def read_column(plan: Plan, values: pd.Series) -> Read:
    """Read the rows of any table by a plan; what does not fit it is missing, or an unknown category, and counted.

    Args:
        plan: from `plan_column`.
        values: a column of that name.
    """
    values = tidy(values)
    known = values.notna()
    if plan["kind"] == "category":
        return _read_category(plan, values, known)
    if plan["kind"] == "date":
        dates = _dates(values, plan["format"])
        readable = dates.notna()
        return Read(_date_parts(plan["name"], dates), None, _strays(plan, values, known & ~readable, "dates"))
    numbers = _numbers(values, plan.get("decimal_comma", False))
    notes = _strays(plan, values, known & ~np.isfinite(numbers), "numbers")
    if plan.get("decimal_comma"):
        notes[f"column {plan['name']!r}: decimal commas, read as points"] = int(known.sum())
    return Read({plan["name"]: np.where(np.isfinite(numbers), numbers, np.nan)}, None, notes)


def tidy(values: pd.Series) -> pd.Series:
    """The column with texts stripped and the marks of missing values taken as such; other types as they are.

    Example:
        >>> tidy(pd.Series([" a", "?", None])).isna().tolist()
        [False, True, True]
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if not (pd.api.types.is_object_dtype(values.dtype) or pd.api.types.is_string_dtype(values.dtype)):
        return values
    values = values.astype(object)
    typed = values.dropna().infer_objects()  # a frame of objects may hold numbers, booleans or dates only
    if len(typed) and not (pd.api.types.is_object_dtype(typed.dtype) or pd.api.types.is_string_dtype(typed.dtype)):
        return values.where(values.notna(), None).infer_objects()
    try:
        codes, different = pd.factorize(values)
    except TypeError:  # lists and the like; `plan_column` says so
        return values
    texts = [value.strip() if isinstance(value, str) else value for value in different]
    cleaned = [None if isinstance(text, str) and text in MISSING_MARKS else text for text in texts]
    of_code = np.array([*cleaned, None], dtype=object)  # missing has the code -1
    return pd.Series(of_code[codes], index=values.index, name=values.name, dtype=object)


def _plan_text(name: str, known: pd.Series, n_different: int) -> Plan | str | None:
    points, commas = (_numbers(known, comma) for comma in (False, True))
    share, comma_share = (np.isfinite(numbers).mean() for numbers in (points, commas))
    if comma_share > share and comma_share > 1 - _STRAY_SHARE and (n_different > _FEW or comma_share == 1):
        with_comma = known[known.str.contains(",", regex=False)]
        if with_comma.map(lambda text: bool(_THOUSANDS.fullmatch(text))).all():
            return (
                f"commas in {_shown(with_comma.iloc[0])} and all others may separate decimals or thousands. Write "
                "decimals with a point, thousands without a mark"
            )
        return {"name": name, "kind": "number", "decimal_comma": True}
    if share == 1 or (share >= 1 - _STRAY_SHARE and n_different > _FEW):
        return {"name": name, "kind": "number"}
    return _plan_date(name, known) if share == 0 else None


def _plan_date(name: str, known: pd.Series) -> Plan | str | None:
    first = str(known.iloc[0])
    if len(first) > 40 or not any(mark in first for mark in "-/.: ") or not any(c.isdigit() for c in first):
        return None
    some = known.iloc[:: max(1, len(known) // 100)]
    fitting = [f for f in _DATE_FORMATS if _dates(some, f).notna().all() and _dates(known, f).notna().all()]
    if not fitting:
        return None
    if any("%d/%m" in f or "%d-%m" in f for f in fitting) and any("%m/%d" in f or "%m-%d" in f for f in fitting):
        return f"dates such as {first!r} may begin with the day or the month. Write them as 2024-12-31"
    return {"name": name, "kind": "date", "format": fitting[0]}


def _why_no_category(known: pd.Series, n_different: int, max_categories: int) -> str:
    numbers = np.isfinite(_numbers(known, False))
    if numbers.any() and not numbers.all():
        return (
            f"neither numbers nor categories: {numbers.mean():.0%} of its values are numbers such as "
            f"{_shown(known[numbers].iloc[0])}, others are not, such as {_shown(known[~numbers].iloc[0])}"
        )
    if n_different == len(known):
        return f"an id or free text: all {n_different} values differ, such as {_shown(known.iloc[0])}"
    return (
        f"an id or free text: {n_different} different values, such as {_shown(known.iloc[0])}; as categories "
        f"max_categories ({max_categories}) would have to be higher"
    )


def _read_category(plan: Plan, values: pd.Series, known: pd.Series) -> Read:
    index = {category: FIRST + i for i, category in enumerate(plan.get("categories", []))}
    texts = pd.Series(_texts(values[known], plan.get("codes", False)), dtype=object)
    indices = np.full(len(values), MISSING, np.int64)
    indices[known.to_numpy()] = texts.map(index).fillna(UNKNOWN).to_numpy(np.int64)
    unseen = indices == UNKNOWN
    first = _texts(values[unseen].iloc[:1], plan.get("codes", False))
    note = f"column {plan['name']!r}: categories not seen in training, such as {first[0]!r}" if first else ""
    return Read({}, indices, {note: int(unseen.sum())} if note else {})


def _texts(known: pd.Series, codes: bool) -> list[str]:
    if not codes:
        return known.astype(str).tolist()
    numbers = _numbers(known, False)  # 1, 1.0 and "1" are the same code
    return [
        str(int(number)) if np.isfinite(number) and number.is_integer() else str(value)
        for value, number in zip(known, numbers.tolist(), strict=True)
    ]


def _numbers(values: pd.Series, decimal_comma: bool) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, different = pd.factorize(values)
    texts = [_with_point(text) if decimal_comma and isinstance(text, str) else text for text in different]
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.append(numbers, np.nan)[codes]


def _with_point(text: str) -> str:
    is_number = re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?", text)
    return text.replace(".", "").replace(",", ".") if is_number else text


def _dates(values: pd.Series, date_format: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.to_datetime(values, utc=True)
    codes, different = pd.factorize(values)
    texts = [v if date_format != ISO or not isinstance(v, str) or _ISO_LIKE.fullmatch(v) else None for v in different]
    dates = pd.to_datetime(pd.Series([*texts, None], dtype=object), errors="coerce", utc=True, format=date_format)
    return dates.take(codes).set_axis(values.index)


DATE_PARTS = ("year", "season sin", "season cos", "weekday sin", "weekday cos", "hour sin", "hour cos")
"""Numbers that a date becomes: years since 2000 with their fraction, and its place in the year, the week and the day;
parts that are constant in training are dropped."""


def _date_parts(name: str, dates: pd.Series) -> dict[str, np.ndarray]:
    day = dates.dt
    hour = day.hour + day.minute / 60 + day.second / 3600
    year = (day.day_of_year - 1 + hour / 24) / np.where(day.is_leap_year, 366, 365)
    parts = [day.year - 2000 + year]
    for turn in (year, (day.day_of_week + hour / 24) / 7, hour / 24):
        parts += [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]
    known = dates.notna()
    return {
        f"{name}: {part}": np.where(known, values.to_numpy(np.float64, na_value=np.nan), np.nan)
        for part, values in zip(DATE_PARTS, parts, strict=True)
    }


def _strays(plan: Plan, values: pd.Series, stray: pd.Series, kind: str) -> dict[str, int]:
    if not stray.any():
        return {}
    row = int(np.flatnonzero(stray)[0])
    note = f"column {plan['name']!r}: no {kind}, such as {_shown(values.iloc[row])} in row {row}, taken as missing"
    return {note: int(stray.sum())}


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")
