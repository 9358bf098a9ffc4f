"""Rows put onto a regular grid: the usual step of their times, and rows that share a time."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

SPARSEST = 100  # steps a row; a series that would be longer has a wrong time somewhere


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


class Merged(NamedTuple):
    """Rows of a series at different times.

    Attributes:
        times: (n,)
        values: (n, c), NaN where missing.
        n_dropped: rows that say nothing which another row of the same time does not say.
    """

    times: np.ndarray
    values: np.ndarray
    n_dropped: int


def merge_repeats(times: np.ndarray, values: np.ndarray, channels: Sequence[str], *, are_dates: bool) -> Merged:
    """Make one row of those of the same time, if they agree wherever both have a value.

    Args:
        times: (n,) in order.
        values: (n, c), NaN where missing.
        channels: names of the columns, for the message.
        are_dates: whether times are seconds since 1970, for the message.

    Raises:
        DataError: two rows of one time with different values.

    Example:
        >>> merge_repeats(np.array([0.0, 1, 1]), np.array([[5.0], [6], [6]]), ["x"], are_dates=False).values.tolist()
        [[5.0], [6.0]]
    """
    first = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    if len(first) == len(times):
        return Merged(times, values, 0)
    low = np.fmin.reduceat(values, first, axis=0)
    differ = np.argwhere(np.fmax.reduceat(values, first, axis=0) > low)
    if len(differ):
        place, channel = differ[0]
        shown = pd.Timestamp(times[first[place]], unit="s").isoformat() if are_dates else f"{times[first[place]]:g}"
        rows_at = np.diff(first, append=len(times))
        raise DataError(
            f"has different values of {channels[channel]!r} at the same time, {shown}; {rows_at[rows_at > 1].sum()} of "
            f"{len(times)} rows share their time with another one. Name what sets them apart (id), give times that are "
            "not cut, or leave them out (time: none) if rows are in order and at a regular rate."
        )
    return Merged(times[first], low, len(times) - len(first))


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
