"""Dates as people write them, and the numbers that a date becomes."""

import datetime
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

ISO = "ISO8601"
COMPACT = "%Y%m%d"
_FILLERS = (1, 9999)  # years that stand for "never" and "not yet"
_DAYS = ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%b %d, %Y", "%Y.%m.%d")
_FORMATS = [ISO, *(day + time for day in _DAYS for time in ("", " %H:%M", " %H:%M:%S"))]
_ISO_LIKE = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?)?")
_OFFSET = re.compile(r"(\d{2}:\d{2}(:\d{2}(\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})$")
_COMPACT = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_N_LOOKED = 100  # values that formats are tried on first


class Format(NamedTuple):
    """How the dates of a column are written.

    Attributes:
        format: as `to_dates` takes it.
        either: whether they can be read with day and month swapped, too.
    """

    format: str
    either: bool


def find_format(known: pd.Series, *, share: float = 1.0) -> Format | None:
    """The format that fits most texts of a column, and at least a share of them; None if there is none.

    Example:
        >>> find_format(pd.Series(["31.12.2024", "01.02.2023"]))
        Format(format='%d.%m.%Y', either=False)
    """
    some = known.iloc[:: max(1, len(known) // _N_LOOKED)]
    least = share if len(some) < len(known) or share == 1 else 0.0
    if sum(map(_may_be_date, some)) < share * len(some) - 1:
        return None
    shares = {}
    for date_format in _FORMATS:
        if to_dates(some, date_format).notna().mean() >= least - 0.1 * (share < 1):
            shares[date_format] = to_dates(known, date_format).notna().mean()
    best = max(shares.values(), default=0.0)
    if best < share or best == 0:
        return None
    fitting = [date_format for date_format, found in shares.items() if found == best]
    return Format(fitting[0], _has(fitting, "%d/%m", "%d-%m") and _has(fitting, "%m/%d", "%m-%d"))


def are_compact(known: pd.Series) -> bool:
    """Whether whole numbers, or texts of them, are dates such as 20241231: ten different ones, and no other number.

    Example:
        >>> are_compact(pd.Series(range(20240101, 20240131))), are_compact(pd.Series(range(20240100, 20240130)))
        (True, False)
    """
    different = pd.unique(known)
    if len(different) < 10 or not all(_COMPACT.fullmatch(_digits(value)) for value in different):
        return False
    return bool(to_dates(pd.Series(different), COMPACT).notna().all())


def _digits(value: object) -> str:
    """A whole number as text, also of 20241231.0, as pandas writes it beside missing ones."""
    is_whole = isinstance(value, np.number) and np.isfinite(value) and value == np.floor(value)
    return str(int(value) if is_whole else value).removesuffix(".0")  # type: ignore[call-overload]


def drop_fillers(dates: pd.Series) -> tuple[pd.Series, dict[int, int]]:
    """The dates without those of years that stand for a missing one, such as 9999-12-31, and how many each year has."""
    counts = {year: int((dates.dt.year == year).sum()) for year in _FILLERS}
    return dates.mask(dates.dt.year.isin(_FILLERS)), {year: count for year, count in counts.items() if count}


def to_dates(values: pd.Series, date_format: str) -> pd.Series:
    """The column as dates, NaT where a value is none in this format; without zones: the clock on the wall counts."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        times = pd.to_datetime(values, utc=True)
        if isinstance(values.dtype, pd.ArrowDtype):
            times = times.astype("datetime64[us, UTC]")
        zone = getattr(getattr(values.dtype, "pyarrow_dtype", values.dtype), "tz", None)
        return times if zone is None else times.dt.tz_convert(zone).dt.tz_localize(None).dt.tz_localize("UTC")
    codes, different = pd.factorize(values)
    plain = [_digits(value) if date_format == COMPACT else _on_the_wall(value) for value in different]
    texts = [v if date_format != ISO or not isinstance(v, str) or _ISO_LIKE.fullmatch(v) else None for v in plain]
    texts = [None if isinstance(text, int | float | np.number) else text for text in texts]  # no count of nanoseconds
    dates = pd.to_datetime(pd.Series([*texts, None], dtype=object), errors="coerce", utc=True, format=date_format)
    return dates.take(codes).set_axis(values.index)


DATE_PARTS = ("year", "season sin", "season cos", "weekday sin", "weekday cos", "hour sin", "hour cos")
"""Numbers that a date becomes: years since 2000 with their fraction, and its place in the year, the week and the day;
parts that are constant in training are dropped."""


def date_parts(name: str, dates: pd.Series) -> dict[str, np.ndarray]:
    """Name of the part -> (n,) float64, NaN where there is no date."""
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


def _on_the_wall(value: object) -> object:
    if isinstance(value, str):
        return _OFFSET.sub(r"\1", value)
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


def _may_be_date(text: object) -> bool:
    text = str(text)
    return len(text) <= 40 and any(mark in text for mark in "-/.: ") and any(c.isdigit() for c in text)


def _has(formats: list[str], *parts: str) -> bool:
    return any(part in date_format for date_format in formats for part in parts)
