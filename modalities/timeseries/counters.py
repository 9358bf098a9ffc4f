"""Columns that count: times without a name of their own, numbers of rows, and days beside times of day."""

import numpy as np
import pandas as pd

from bam_core.data.column_names import Found, plain
from modalities.timeseries.times import is_time_of_day, join_date_and_time

COUNTERS = ("t", "sec", "secs", "seconds", "ms", "milliseconds", "hours", "minutes", "cycle", "cycles", "frame", "tick")
"""Names of columns that are times if they only rise."""


def find_counter(frame: pd.DataFrame, series: np.ndarray) -> str | None:
    """A column that is called like a time, and rises from row to row of every series."""
    order = np.argsort(series, kind="stable")
    for name in frame.columns:
        if plain(name) in COUNTERS and frame[name].dtype.kind in "fiu":
            steps = np.diff(frame[name].to_numpy(np.float64)[order])[np.diff(series[order]) == 0]
            if len(steps) and (steps > 0).all():
                return str(name)
    return None


def counts_rows(column: pd.Series) -> bool:
    """Whether a column numbers its rows one by one."""
    if column.dtype.kind not in "iu" or len(column) < 10:
        return False
    return bool((np.diff(column.to_numpy()) == 1).all())


def with_day(frame: pd.DataFrame, found: Found) -> pd.Series:
    """The times, joined with the days if these are in a column of their own."""
    time = found.columns["time"]
    for other, role in found.others.items():
        if role == "time" and is_time_of_day(frame[time]) != is_time_of_day(frame[other]):
            days, times = (other, time) if is_time_of_day(frame[time]) else (time, other)
            if pd.api.types.is_numeric_dtype(frame[days].dtype):
                continue
            found.notes.append(f"Columns {days!r} and {times!r} are taken as the time together.")
            return join_date_and_time(frame[days], frame[times])
    return frame[time]
