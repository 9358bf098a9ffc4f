"""Rows of long tables, gathered from files or memory, and sorted into series at a regular step."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data import SplitWriter
from bam_core.data.progress import track
from bam_core.errors import DataError
from modalities.timeseries.frames import check_numbers, find_column, read_parquet, read_text
from modalities.timeseries.grid import read_times, to_grid, usual_step


class Names(NamedTuple):
    """What the columns are called; None for the usual name."""

    id: str | None
    time: str | None
    values: Sequence[str] | None
    about: dict[str, str | None]
    required: bool = True

    def wanted(self) -> dict[str, str | None]:
        """Usual name -> name, of all columns but the values."""
        return {"id": self.id, "time": self.time, **self.about}


class Rows(NamedTuple):
    """All tables in one frame.

    Attributes:
        frame: the channels; `(series)`, a number; `(time)`; and `(label)`, `(group)`, `(split)` where known. No column
            of a table is likely to be called so.
        names: of the series.
        channels: their names.
        about: what is known of label, group and split.
        are_dates: whether times are seconds, since they were dates.
        are_timed: whether there were times at all.
    """

    frame: pd.DataFrame
    names: list[str]
    channels: list[str]
    about: list[str]
    are_dates: bool
    are_timed: bool


class _File(NamedTuple):
    """One table: the channels, `(time)`, `(series)` and what is said about it, in brackets as well."""

    frame: pd.DataFrame
    channels: Sequence[str]
    are_dates: bool
    are_timed: bool

    @property
    def kind(self) -> str:
        """What files that belong together have in common."""
        return (
            f"the channels {', '.join(sorted(self.channels))} and {'dates' if self.are_dates else 'numbers'} as times"
        )


def read_files(files: list[Path], source: Path, names: Names, writer: SplitWriter) -> Rows | None:
    """All tables in one; files that cannot be used are set aside.

    Raises:
        DataError: `source` itself is a file that cannot be used.
    """
    read: dict[Path, _File] = {}
    for file in track(files, f"Reading {source.name}"):
        name = file.stem if file == source else str(file.relative_to(source).with_suffix(""))
        try:
            read[file] = _take(_read_file(file, names), file.name, name, names)
        except DataError as error:
            if file == source:
                raise
            writer.set_aside(file.relative_to(source), error)
    if not read:
        return None
    usual = Counter(one.kind for one in read.values()).most_common(1)[0][0]
    for file, one in read.items():
        if one.kind != usual:
            writer.set_aside(file.relative_to(source), f"has {one.kind}; most files have {usual}")
    return _join([one for one in read.values() if one.kind == usual], names, writer)


def read_one_frame(frame: pd.DataFrame, names: Names, writer: SplitWriter) -> Rows:
    """One table in memory.

    Raises:
        DataError: columns that do not exist or do not fit.
    """
    named = frame.set_axis(frame.columns.astype(str), axis=1)
    if not named.columns.is_unique:
        twice = named.columns[named.columns.duplicated()].unique()
        raise DataError(f"frame expected columns of different names; {', '.join(twice[:5])} come more than once.")
    return _join([_take(named, "frame", "frame", names)], names, writer)


def _join(tables: Sequence[_File], names: Names, writer: SplitWriter) -> Rows:
    frame = pd.concat([one.frame for one in tables], ignore_index=True)
    unusable = frame["(time)"].isna() | frame["(series)"].isna()
    if unusable.any():
        writer.repaired("rows without a time or the name of a series left out", int(unusable.sum()))
        frame = frame[~unusable]
    code, series = pd.factorize(frame["(series)"].astype(str))
    about = [name for name in names.about if f"({name})" in frame]
    first = tables[0]
    frame = frame.assign(**{"(series)": code})
    return Rows(frame, list(series), list(first.channels), about, first.are_dates, first.are_timed)


def _read_file(file: Path, names: Names) -> pd.DataFrame:
    kept_as_text = [given or usual for usual, given in names.wanted().items() if usual != "time"]
    frame = read_parquet(file) if file.suffix.lower() == ".parquet" else read_text(file, kept_as_text).frame
    return frame.set_axis(frame.columns.astype(str), axis=1)


def _take(frame: pd.DataFrame, source: str, name: str, names: Names) -> _File:
    """What a table says, in columns of our own.

    Args:
        frame: with texts as names of columns.
        source: what it is called in messages.
        name: of its series, if no column names them.
        names: what its columns are called.
    """
    if not len(frame):
        raise DataError(f"{source} is empty: it has no rows.")
    available = list(frame.columns)
    found = {
        usual: find_column(given, (usual,), available, source, required=names.required or usual not in names.about)
        for usual, given in names.wanted().items()
    }
    special = [column for column in found.values() if column]
    channels = [c for c in available if c not in special] if names.values is None else names.values
    if not channels:
        raise DataError(f"{source} has no columns of values besides {', '.join(special)}.")
    for channel in channels:
        check_numbers(frame[find_column(channel, ("values",), available, source)], source)
    out = frame[list(channels)].astype(np.float64)
    are_dates = False
    times = np.arange(len(frame), dtype=np.float64)
    if found["time"]:
        times, are_dates = read_times(frame[found["time"]], source)
    out["(time)"] = times
    out["(series)"] = frame[found["id"]] if found["id"] else name
    for usual in names.about:
        if found[usual]:
            out[f"({usual})"] = frame[found[usual]].astype(object)
    return _File(out, channels, are_dates, found["time"] is not None)


class GridSeries(NamedTuple):
    """Series (c, t) at a regular step, the columns `id` and what is said about each, and the step."""

    series: list[np.ndarray]
    columns: dict[str, np.ndarray]
    step: float


def on_grid(rows: Rows, step: float | None, writer: SplitWriter) -> GridSeries:
    """Every series at its regular step; those whose rows do not fit together are set aside."""
    table = rows.frame.sort_values(["(series)", "(time)"], kind="stable")
    code, times = table["(series)"].to_numpy(), table["(time)"].to_numpy()
    step = step or usual_step(times, code)
    values = table[rows.channels].to_numpy(np.float64)
    about = {name: table[f"({name})"].to_numpy(object) for name in rows.about}
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    series: list[np.ndarray] = []
    columns: dict[str, list[Any]] = {"id": [], **{name: [] for name in about}}
    for name, start, stop in zip(rows.names, starts, [*starts[1:], len(table)], strict=True):
        try:
            found = to_grid(times[start:stop], values[start:stop], step)
            said = {key: _only_value(column[start:stop], key) for key, column in about.items()}
        except DataError as error:
            writer.set_aside(name, error)
            continue
        series.append(found.series)
        for key, value in {"id": name, **said}.items():
            columns[key].append(value)
        if found.n_averaged:
            writer.repaired("steps with several rows averaged", found.n_averaged)
    return GridSeries(series, {key: np.array(values, object) for key, values in columns.items()}, step)


def _only_value(values: np.ndarray, name: str) -> Any:
    known = pd.unique(values[~pd.isna(values)])
    if len(known) > 1:
        raise DataError(f"has {len(known)} values of {name!r} in its rows; one is expected")
    return known[0] if len(known) else None
