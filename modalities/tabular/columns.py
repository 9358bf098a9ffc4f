"""What a column holds, decided once on training rows.

A plan of a column is plain JSON, and `reading` reads every later table by it. A *number* becomes one number, a *date*
several (see `DATE_PARTS`), a *category* an index: 0 for unknown (never seen in training, or masked by a view), 1 for
missing, then the categories.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd

from bam_core.data.decimals import PATTERNS, Decimal, Evidence, choose_decimal, evidence, to_numbers
from bam_core.data.labels import sort_names
from bam_core.data.numbers import MARKS, find_filler
from bam_core.data.units import Unit, common_unit, without_unit
from modalities.tabular.dates import COMPACT, ISO, are_compact, find_format
from modalities.tabular.texts import is_zero_padded, shown, texts_of

UNKNOWN, MISSING, FIRST = 0, 1, 2
"""Indices of categories."""

MISSING_MARKS = frozenset(
    ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "#NA")
)
"""Texts that stand for a missing value: those of pandas, and the question mark of UCI's tables. Among numbers, `MARKS`
such as "-" and "n.a." do so, too."""

_STRAY_SHARE = 0.1  # of texts among numbers or dates that are taken as missing
_FEW = 20  # different values that look like codes rather than measurements
_NOT_FINITE = frozenset(("inf", "-inf", "+inf", "infinity", "-infinity"))
_FEW_MARKS = 3  # different texts among many numbers that stand for a missing one
_N_LOOKED = 200


class Plan(TypedDict):
    """How to read a column; `boolean`: its numbers are 0 and 1; `filler`: a number that stands for a missing one;
    `unit`: what stands before and after its numbers."""

    name: str
    kind: str
    decimal_comma: NotRequired[bool]
    boolean: NotRequired[bool]
    filler: NotRequired[int]
    unit: NotRequired[list[str]]
    categories: NotRequired[list[str]]
    codes: NotRequired[bool]
    format: NotRequired[str]


class Notation(NamedTuple):
    """How the values of a table are written.

    Attributes:
        na_values: texts and numbers that stand for a missing value, besides `MISSING_MARKS`.
        decimal: mark in front of decimals, if it was said.
        guessed: that mark where a column does not tell, from other columns of the table.
    """

    na_values: Sequence[str | float] = ()
    decimal: Decimal | None = None
    guessed: Decimal | None = None


AS_USUAL = Notation()


def plan_column(
    values: pd.Series, *, as_category: bool = False, max_categories: int = 100, notation: Notation = AS_USUAL
) -> Plan | str:
    """Decide what a column holds.

    Args:
        values: the training rows; its name is the name of the column.
        as_category: its numbers are codes.
        max_categories: a column with more different texts is an id or free text.
        notation: how values are written.

    Returns:
        The plan, or the reason why the column is of no use.

    Raises:
        DataError: numbers that can be read in two ways.

    Example:
        >>> plan_column(pd.Series(["1,5", "2,25", "?"], name="height"))
        {'name': 'height', 'kind': 'number', 'decimal_comma': True}
        >>> plan_column(pd.Series(["x", "x"], name="unit"))
        "constant: every value is 'x'"
    """
    as_category = as_category or isinstance(values.dtype, pd.CategoricalDtype)
    name, values = str(values.name), tidy(values, notation.na_values)
    known = values.dropna()
    if known.empty:
        return "every value is missing"
    try:
        n_different = known.nunique()
    except TypeError:
        nested = next(value for value in known if isinstance(value, Sequence | np.ndarray | dict | set))
        return f"holds values of kind {type(nested).__name__}, not single ones"
    if n_different == 1 and len(known) == len(values):
        return f"constant: every value is {shown(known.iloc[0])}"
    if pd.api.types.is_complex_dtype(values.dtype):
        return "holds complex numbers"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return {"name": name, "kind": "date", "format": ISO}
    is_text = not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
    if not as_category and n_different > 1:
        if not is_text and are_compact(known):
            return {"name": name, "kind": "date", "format": COMPACT}
        if not is_text:
            return _number(name, known.to_numpy(np.float64, na_value=np.nan), ".")
        found = _plan_text(name, known.astype(str), notation)
        if found is not None:
            return found
    if n_different > max_categories or (is_text and n_different == len(known) >= 10):
        return _why_no_category(known, n_different, max_categories)
    codes = as_category and not pd.api.types.is_bool_dtype(values.dtype)
    plan: Plan = {"name": name, "kind": "category", "categories": sort_names(set(texts_of(known, codes)))}
    return plan | {"codes": True} if codes else plan


def tidy(values: pd.Series, na_values: Sequence[str | float] = ()) -> pd.Series:
    """The column with texts stripped and the marks of missing values taken as such; other types as they are.

    Example:
        >>> tidy(pd.Series([" a", "?", None])).isna().tolist()
        [False, True, True]
    """
    missing = {float(mark) for mark in na_values if _is_float(mark)}
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return values.mask(values.isin(missing)) if missing else values
    is_category = isinstance(values.dtype, pd.CategoricalDtype)
    if not (is_category or pd.api.types.is_object_dtype(values.dtype) or pd.api.types.is_string_dtype(values.dtype)):
        return values
    values = values.astype(object)
    typed = values.dropna().infer_objects()  # a frame of objects may hold numbers, booleans or dates only
    if len(typed) and not (pd.api.types.is_object_dtype(typed.dtype) or pd.api.types.is_string_dtype(typed.dtype)):
        inferred = values.where(values.notna(), None).infer_objects()
        return tidy(inferred, na_values) if inferred.dtype != object else inferred
    try:
        codes, different = pd.factorize(values)
    except TypeError:  # lists and the like; `plan_column` says so
        return values
    marks = MISSING_MARKS | {str(mark) for mark in na_values}
    texts = [value.strip() if isinstance(value, str) else value for value in different]
    gone = [
        isinstance(v, str) and (v in marks or (bool(missing) and _is_float(v) and float(v) in missing)) for v in texts
    ]
    cleaned = [None if is_gone else text for text, is_gone in zip(texts, gone, strict=True)]
    of_code = np.array([*cleaned, None], dtype=object)  # missing has the code -1
    return pd.Series(of_code[codes], index=values.index, name=values.name, dtype=object)


def evidence_of(values: pd.Series) -> Evidence:
    """What a tidy column tells about decimals: nothing, unless more than half of its values are numbers."""
    if values.dtype != object:
        return Evidence()
    try:
        different = [value for value in pd.unique(values.dropna()) if isinstance(value, str)]
    except TypeError:
        return Evidence()
    some, _ = _without_units([text for text in different[:_N_LOOKED] if text.lower() not in MARKS])
    numbers = sum(any(pattern.fullmatch(text) for pattern in PATTERNS.values()) for text in some)
    return evidence(_without_units(different)[0]) if numbers > len(some) / 2 else Evidence()


def _without_units(texts: Sequence[str]) -> tuple[list[str], Unit | None]:
    """Texts without the unit that all of them have, and that unit."""
    unit = common_unit(text for text in texts if text.lower() not in MARKS)
    return [text if unit is None else without_unit(text, unit) for text in texts], unit


def _plan_text(name: str, known: pd.Series, notation: Notation) -> Plan | str | None:
    codes, different = pd.factorize(known)
    texts, unit = _without_units(list(different))
    counts = np.bincount(codes, minlength=len(texts))
    is_mark = np.array([text.lower() in MARKS | _NOT_FINITE for text in texts])
    is_whole = np.array([text.isdecimal() for text in texts])
    if any(map(is_zero_padded, texts)) and counts[is_whole].sum() >= (1 - _STRAY_SHARE) * len(known):
        return None  # codes
    if unit is None and are_compact(known):
        return {"name": name, "kind": "date", "format": COMPACT}
    found, guessed = evidence_of(pd.Series(texts, dtype=object)), notation.guessed
    if unit is not None and unit.is_currency and found.either and (guessed or "") in found.either:
        guessed = None  # money has no three decimals: thousands, written otherwise
    decimal = choose_decimal(f"column {name!r}", found, said=notation.decimal, guessed=guessed)
    numbers = to_numbers(texts, decimal)
    is_number = np.isfinite(numbers) & ~is_mark
    n_numbers, n_marks, n = counts[is_number].sum(), counts[is_mark].sum(), len(known)
    are_many = is_number.sum() > _FEW
    strays = [text for text, stray in zip(texts, ~is_number & ~is_mark, strict=True) if stray]
    n_strays = n - n_numbers - n_marks
    if n_numbers and (n_marks <= 0.5 * n or are_many):
        have_digits = any(c.isdigit() for text in strays for c in text)
        few = len({text.lower() for text in strays}) <= _FEW_MARKS and n_strays <= 0.7 * n
        if not strays or (are_many and (n_strays <= _STRAY_SHARE * n or (few and not have_digits))):
            plan = _number(name, numbers[is_number], decimal)
            return plan if unit is None else plan | {"unit": list(unit)}
        if are_many and few:
            return _why_neither(n_numbers / n, texts[int(np.argmax(is_number))], strays[0])
    return _plan_date(name, known, share=1 - _STRAY_SHARE if len(texts) > _FEW else 1.0)


def _number(name: str, numbers: np.ndarray, decimal: Decimal) -> Plan:
    plan: Plan = {"name": name, "kind": "number"}
    if decimal == ",":
        plan["decimal_comma"] = True
    filler = find_filler(numbers)
    rest = np.unique(numbers[np.isfinite(numbers) & (numbers != filler)])
    if filler is not None and len(rest) > 1:
        plan["filler"] = filler
    if set(rest) == {0, 1}:
        plan["boolean"] = True
    return plan


def _plan_date(name: str, known: pd.Series, *, share: float) -> Plan | str | None:
    found = find_format(known, share=share)
    if found is None:
        return None
    if found.either:
        first = str(known.iloc[0])
        return f"dates such as {first!r} may begin with the day or the month. Write them as 2024-12-31"
    return {"name": name, "kind": "date", "format": found.format}


def _why_no_category(known: pd.Series, n_different: int, max_categories: int) -> str:
    numbers = np.isfinite(to_numbers(known.tolist(), "."))
    if numbers.any() and not numbers.all():
        return _why_neither(numbers.mean(), known[numbers].iloc[0], known[~numbers].iloc[0])
    if n_different == len(known):
        return f"an id or free text: all {n_different} values differ, such as {shown(known.iloc[0])}"
    return (
        f"an id or free text: {n_different} different values, such as {shown(known.iloc[0])}; as categories "
        f"max_categories ({max_categories}) would have to be higher"
    )


def _why_neither(share: float, number: object, text: object) -> str:
    return (
        f"neither numbers nor categories: {share:.0%} of its values are numbers such as {shown(number)}, others are "
        f"not, such as {shown(text)}; na_values: [...] says which texts stand for missing ones"
    )


def _is_float(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
