"""Times of rows: as numbers, their usual step, and rows put onto a regular grid."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

SPARSEST = 100  # steps a row; a series that would be longer has a wrong time somewhere


class Times(NamedTuple):
    """A column of times.

    Attributes:
        values: (n,) float64, NaN where missing; seconds if they are dates.
        are_dates: whether they were dates.
    """

    values: np.ndarray
    are_dates: bool


def read_times(column: pd.Series, file: str) -> Times:
    """Numbers, or texts and objects with date and time, as numbers.

    Raises:
        DataError: a value that is neither.

    Example:
        >>> np.ptp(read_times(pd.Series(["2024-01-01 00:00", "2024-01-01 00:01"]), "a.csv").values)
        np.float64(60.0)
    """
    numbers = pd.to_numeric(column, errors="coerce") if column.dtype.kind != "M" else pd.Series(np.nan, column.index)
    if column.dtype.kind != "M" and (numbers.notna() | column.isna()).all():
        return Times(numbers.to_numpy(np.float64), False)
    dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601" if column.dtype.kind != "M" else None)
    wrong = column[dates.isna() & column.notna()]
    if len(wrong):
        raise DataError(
            f"column {column.name!r} of {file} expected times, all numbers or all dates such as 2024-05-31 12:00:01.5; "
            f"row {wrong.index[0]} holds {wrong.iloc[0]!r}."
        )
    seconds = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return Times(seconds.to_numpy(np.float64), True)


def read_step(step: float | str | None) -> float | None:
    """A step as a number; texts such as "10ms" in seconds.

    Raises:
        DataError: neither a number nor a duration, or not positive.

    Example:
        >>> read_step("10ms"), read_step(2)
        (0.01, 2.0)
    """
    if step is None:
        return None
    try:
        number = pd.Timedelta(step).total_seconds() if isinstance(step, str) else float(step)
    except ValueError as error:
        raise DataError(f"step expected a number, or a duration such as '10ms'; got {step!r}.") from error
    if not (number > 0 and math.isfinite(number)):
        raise DataError(f"step expected a positive duration; got {step!r}.")
    return number


def usual_step(times: np.ndarray, series: np.ndarray) -> float:
    """Mean of the usual distances between times of one series, without pauses; both sorted by series, then time.

    Example:
        >>> usual_step(np.array([0.0, 33, 66, 100, 900]), np.zeros(5))
        33.333333333333336
    """
    between = np.diff(times)[np.diff(series) == 0]
    between = between[between > 0]
    if not len(between):
        return 1.0
    middle = np.median(between)
    return float(between[np.abs(between - middle) < middle / 2].mean())


class OnGrid(NamedTuple):
    """A series (c, t) at a regular step, NaN where there is no row, and in how many steps rows were averaged."""

    series: np.ndarray
    n_averaged: int


def to_grid(times: np.ndarray, values: np.ndarray, step: float) -> OnGrid:
    """Put rows (n, c) at rising times (n,) to the nearest steps.

    Raises:
        DataError: the times span far more steps than there are rows.

    Example:
        >>> found = to_grid(np.array([0, 0.9, 3, 3.1]), np.array([[1.0], [2], [4], [6]]), 1.0)
        >>> found.series.tolist(), found.n_averaged
        ([[1.0, 2.0, nan, 5.0]], 1)
    """
    place = np.ceil((times - times[0]) / step - 0.5 - 1e-6)  # halves go down, always
    if place[-1] + 1 > SPARSEST * len(times) + SPARSEST:
        raise DataError(
            f"has {len(times)} rows, but its times span {place[-1] + 1:.0f} steps of {step:g}: correct a time, or set "
            "step."
        )
    place = place.astype(np.int64)
    if (np.diff(place) == 1).all():
        return OnGrid(values.T, 0)
    present = np.isfinite(values)
    total = np.zeros((place[-1] + 1, values.shape[1]))
    count = np.zeros_like(total)
    np.add.at(total, place, np.where(present, values, 0))
    np.add.at(count, place, present)
    rows_at = np.bincount(place)
    with np.errstate(invalid="ignore"):
        return OnGrid((total / count).T, int((rows_at > 1).sum()))
