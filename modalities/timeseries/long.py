"""Reader of long tables: one row a time, several rows a series; a file, or a folder of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.progress import track
from bam_core.errors import DataError
from modalities.timeseries.data import assign_splits, label_columns
from modalities.timeseries.grid import read_step, read_times, to_grid, usual_step
from modalities.timeseries.rows import Missing, Normalize, RowWriter, Treatment, scaling
from modalities.timeseries.tables import Table, check_numbers, find_column, read_parquet, read_text

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")


def read_long(
    *,
    path: str,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    step: float | str | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    missing: Missing = "set_aside",
    normalize: Normalize = "record",
    unequal: bool = True,
    window: int | None = None,
    hop: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read series from long tables: .csv, .tsv, .txt or .parquet with a row for every time of every series.

    A folder may hold many such files, also in folders below it; a file that cannot be used is set aside. Rows are put
    in the order of time, at a regular step: several rows at one step are averaged, and a step without a row is
    missing.

    Args:
        path: file or folder.
        id: column that names the series of a row; default: `id`, if there is one, else a file is one series, called
            like the file.
        time: column of numbers, or of dates and times; default: `time`, if there is one, else rows are in order and at
            regular steps.
        values: columns of the channels, in order; default: all others.
        label: column with the label, the same in all rows of a series, or missing; default: `label`, if there is one.
        group: the same for groups (persons, machines), which are never divided between splits.
        split: the same for "train", "validation", "test"; see `read_arrays`.
        step: of time between rows, a number in the unit of `time`, or for dates a text such as "10ms"; default: the
            usual one.
        sampling_rate_hz: of the series; default: from the step, if times are dates.
        max_gap: longest run of missing values to interpolate, as a fraction of the series, or of the window.
        missing: see `read_arrays`, as for the options below.
        normalize: as there.
        unequal: as there.
        window: as there.
        hop: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with the same facts as from `read_arrays`, and `channels`, their names.

    Raises:
        InputError: options that contradict each other.
        DataError: no usable table, or columns that do not exist or do not fit; the message says which and why.
    """
    settings = {name: value for name, value in locals().items() if name != "fitted"} | scaling(fitted)
    how = Treatment(max_gap, missing, normalize, unequal, window, hop).check()
    given_step = read_step(step)
    source = Path(path).expanduser()
    files = _files(source)
    names = _Names(id, time, values, {"label": label, "group": group, "split": split})

    def build(writer: SplitWriter) -> None:
        rows = _read_files(files, source, names, writer)
        if rows is None:
            return
        series, columns, step_of_grid = _on_grid(rows, given_step, writer)
        if not series:
            return
        table = Table(series, columns)
        written, classes = label_columns([table])
        parts = assign_splits([table], written, test_fraction, seed)
        row_writer = RowWriter(writer, how)
        row_writer.add(series, written, parts)
        rate = 1 / step_of_grid if sampling_rate_hz is None and rows.are_dates else sampling_rate_hz
        row_writer.finish(classes, rate, fitted)
        writer.facts["channels"] = rows.channels

    prepared = cached("long", files, settings, build)
    if len(prepared.splits["train"]) < 2:
        raise DataError(f"{source.name} expected at least two usable series for training; got one.")
    return prepared


class _Names(NamedTuple):
    """What the columns are called; None for the usual name."""

    id: str | None
    time: str | None
    values: Sequence[str] | None
    about: dict[str, str | None]


class _Rows(NamedTuple):
    """All files in one frame: columns `series` (a number), `time`, the channels, and what is said about a series."""

    frame: pd.DataFrame
    names: list[str]
    channels: list[str]
    about: list[str]
    are_dates: bool


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"expected one of {', '.join(SUFFIXES)}; got {path.name}.")
        return [path]
    if not path.is_dir():
        raise DataError(f"expected a file or a folder at {path}; there is none.")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"expected tables ({', '.join(SUFFIXES)}) in {path} or below; found none.")
    return files


def _read_files(files: list[Path], source: Path, names: _Names, writer: SplitWriter) -> _Rows | None:
    read: dict[Path, _File] = {}
    for file in track(files, f"Reading {source.name}"):
        name = file.stem if file == source else str(file.relative_to(source).with_suffix(""))
        try:
            read[file] = _read_file(file, name, names)
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
    of_usual_kind = [one for one in read.values() if one.kind == usual]
    frame = pd.concat([one.frame for one in of_usual_kind], ignore_index=True)
    unusable = frame["time"].isna() | frame["series"].isna()
    if unusable.any():
        writer.repaired("rows without a time or the name of a series left out", int(unusable.sum()))
        frame = frame[~unusable]
    code, series = pd.factorize(frame["series"].astype(str))
    about = [name for name in names.about if name in frame]
    first = of_usual_kind[0]
    return _Rows(frame.assign(series=code), list(series), list(first.channels), about, first.are_dates)


class _File(NamedTuple):
    frame: pd.DataFrame
    channels: Sequence[str]
    are_dates: bool

    @property
    def kind(self) -> str:
        """What files that belong together have in common."""
        return (
            f"the channels {', '.join(sorted(self.channels))} and {'dates' if self.are_dates else 'numbers'} as times"
        )


def _read_file(file: Path, name: str, names: _Names) -> _File:
    wanted = {"id": names.id, "time": names.time, **names.about}
    kept_as_text = [given or usual for usual, given in wanted.items() if usual != "time"]
    frame = read_parquet(file) if file.suffix.lower() == ".parquet" else read_text(file, kept_as_text).frame
    if not len(frame):
        raise DataError(f"{file.name} is empty: it has no rows.")
    frame.columns = [str(column) for column in frame.columns]
    found = {usual: find_column(given, (usual,), list(frame.columns), file) for usual, given in wanted.items()}
    special = [column for column in found.values() if column]
    channels = [c for c in frame.columns if c not in special] if names.values is None else names.values
    if not channels:
        raise DataError(f"{file.name} has no columns of values besides {', '.join(special)}.")
    for channel in channels:
        check_numbers(frame[find_column(channel, (channel,), list(frame.columns), file)], file)
    out = frame[list(channels)].astype(np.float64)
    are_dates = False
    times = np.arange(len(frame), dtype=np.float64)
    if found["time"]:
        times, are_dates = read_times(frame[found["time"]], file.name)
    out["time"] = times
    out["series"] = frame[found["id"]] if found["id"] else name
    for usual in names.about:
        if found[usual]:
            out[usual] = frame[found[usual]].astype(object)
    return _File(out, channels, are_dates)


class _Series(NamedTuple):
    series: list[np.ndarray]
    columns: dict[str, np.ndarray]
    step: float


def _on_grid(rows: _Rows, step: float | None, writer: SplitWriter) -> _Series:
    """Every series (c, t) at a regular step, and the columns `id` and what is said about it."""
    table = rows.frame.sort_values(["series", "time"], kind="stable")
    code, times = table["series"].to_numpy(), table["time"].to_numpy()
    step = step or usual_step(times, code)
    values = table[rows.channels].to_numpy(np.float64)
    about = {name: table[name].to_numpy(object) for name in rows.about}
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
    return _Series(series, {key: np.array(values, object) for key, values in columns.items()}, step)


def _only_value(values: np.ndarray, name: str) -> Any:
    known = pd.unique(values[~pd.isna(values)])
    if len(known) > 1:
        raise DataError(f"has {len(known)} values of {name!r} in its rows; one is expected")
    return known[0] if len(known) else None
