"""Columns of times as numbers: counts in a unit of their own, or dates, times of day and durations in seconds."""

import datetime
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

_DAY_FIRST = re.compile(r"^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?=\D|$)")
_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[AaPp]\.?[Mm]\.?)?")
_DURATION = re.compile(r"-?\d+ days?,? .*")


class Times(NamedTuple):
    """A column of times.

    Attributes:
        values: (n,) float64, NaN where missing; seconds unless they are numbers.
        are_dates: whether they are in seconds.
    """

    values: np.ndarray
    are_dates: bool


def read_times(column: pd.Series, file: str, series: np.ndarray | None = None) -> Times:
    """Numbers, dates, times of day, durations or periods, also as texts.

    Args:
        column: the times.
        file: what the table is called in messages.
        series: (n,) to which series a row belongs; default: all to one.

    Raises:
        DataError: a value that is none of these; dates such as 03/04/2024 that can be read in two ways; times of day
            that pass midnight.

    Example:
        >>> np.ptp(read_times(pd.Series(["2024-01-01 00:00", "2024-01-01 00:01"]), "a.csv").values)
        np.float64(60.0)
        >>> read_times(pd.Series(pd.to_timedelta([0, 20], unit="ms")), "a.csv").values.tolist()
        [0.0, 0.02]
    """
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    kind = column.dtype.kind
    if kind == "m":
        return Times(column.to_numpy("timedelta64[ns]") / np.timedelta64(1, "s"), True)
    if kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return Times(_seconds(pd.to_datetime(column, utc=True)), True)
    texts = column.map(lambda value: str(value).strip() if isinstance(value, str | datetime.time) else value)
    texts = texts.mask(texts.map(lambda value: value == ""), None) if texts.dtype == object else texts
    known = texts[texts.notna()]
    first = known.iloc[0] if len(known) else None
    if not isinstance(first, datetime.date | datetime.timedelta):
        numbers = pd.to_numeric(texts, errors="coerce")
        if (numbers.notna() | texts.isna()).all():
            return Times(numbers.to_numpy(np.float64), False)
    if isinstance(first, datetime.timedelta) or (isinstance(first, str) and _DURATION.fullmatch(first)):
        return Times(_durations(texts, column, file), True)
    if isinstance(first, str) and _OF_DAY.fullmatch(first):
        return Times(_times_of_day(texts, column, file, series), True)
    return Times(_seconds(_dates(texts, column, file)), True)


def join_date_and_time(dates: pd.Series, times: pd.Series) -> pd.Series:
    """A column of days and a column of times of day as one of dates and times."""
    pairs = zip(dates.astype(object), times.astype(object), strict=True)
    joined = [None if pd.isna(day) or pd.isna(time) else f"{_day(day)} {str(time).strip()}" for day, time in pairs]
    return pd.Series(joined, index=times.index, name=times.name, dtype=object)


def is_time_of_day(column: pd.Series) -> bool:
    """Whether a column holds times without a day, by its first value."""
    known = column.dropna()
    return len(known) > 0 and _OF_DAY.fullmatch(str(known.iloc[0]).strip()) is not None


def _day(value: object) -> str:
    return value.strftime("%Y-%m-%d") if isinstance(value, datetime.date) else str(value).strip()


def _dates(texts: pd.Series, column: pd.Series, file: str) -> pd.Series:
    parts = texts.astype(str).str.extract(_DAY_FIRST)
    layout: dict[str, object] = {"format": "ISO8601"}
    if texts.notna().any() and parts[0].notna().sum() == texts.notna().sum():
        one, two = (parts[i].astype("float64").max() for i in (0, 2))
        mark = parts[1].dropna().iloc[0]
        if max(one, two) <= 12 and mark != "." and (parts[0] != parts[2])[texts.notna()].any():
            raise DataError(
                f"column {column.name!r} of {file} has dates such as {texts.dropna().iloc[0]!r}, whose day and month "
                "can be read in two ways. Write them as year-month-day."
            )
        layout = {"format": "mixed", "dayfirst": mark == "." or one > 12}
    dates = pd.to_datetime(texts, errors="coerce", utc=True, **layout)  # type: ignore[call-overload]
    _check(dates.isna(), texts, column, file)
    return pd.Series(dates)


def _durations(texts: pd.Series, column: pd.Series, file: str) -> np.ndarray:
    durations = pd.to_timedelta(texts, errors="coerce")
    _check(durations.isna(), texts, column, file)
    return (durations / pd.Timedelta(seconds=1)).to_numpy(np.float64)


def _times_of_day(texts: pd.Series, column: pd.Series, file: str, series: np.ndarray | None) -> np.ndarray:
    day = pd.to_datetime("1970-01-01 " + texts.astype(str).str.replace(",", "."), errors="coerce", format="mixed")
    _check(day.isna(), texts, column, file)
    seconds = _seconds(day.dt.tz_localize("UTC"))
    same = True if series is None else series[1:] == series[:-1]
    falls = np.flatnonzero((np.diff(seconds) < -12 * 3600) & same)
    if len(falls):
        raise DataError(
            f"column {column.name!r} of {file} passes midnight at row {falls[0] + 1}, and holds no days. Write days "
            "and times in one column, such as 2024-05-31 23:59:59."
        )
    return seconds


def _check(unread: pd.Series, texts: pd.Series, column: pd.Series, file: str) -> None:
    wrong = column[unread & texts.notna()]
    if len(wrong):
        raise DataError(
            f"column {column.name!r} of {file} expected times, all numbers or all dates such as 2024-05-31 12:00:01.5; "
            f"row {wrong.index[0]} holds {wrong.iloc[0]!r}."
        )


def _seconds(dates: pd.Series) -> np.ndarray:
    since = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return since.to_numpy(np.float64)
