"""Rows of long tables, gathered from files or memory."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.data import SplitWriter
from bam_core.data.column_names import NONE, find_columns, left_out
from bam_core.data.decimals import Decimal
from bam_core.data.folder_layout import splits_of_files
from bam_core.data.numbers import read_numbers
from bam_core.data.progress import track
from bam_core.data.text_files import unpacked_name
from bam_core.errors import DataError
from modalities.timeseries.counters import counts_rows, find_counter, with_day
from modalities.timeseries.file_names import add_said, said_by_names
from modalities.timeseries.frames import read_parquet, read_text, with_index
from modalities.timeseries.loggers import read_logger
from modalities.timeseries.times import read_times


class Names(NamedTuple):
    """What the columns are called; None for the usual name, "none" if there is no such column.

    Attributes:
        id: of the series.
        time: of the times.
        values: of the channels; None for all other columns.
        about: of label, group and split.
        required: whether the latter have to be there if they are named.
        join_files: whether rows of one id in several files belong together.
        decimal: mark in front of decimals; None to look.
        patterns: role of `about` -> regular expression for the names of files.
    """

    id: str | None
    time: str | None
    values: Sequence[str] | None
    about: dict[str, str | None]
    required: bool = True
    join_files: bool = False
    decimal: Decimal | None = None
    patterns: Mapping[str, re.Pattern[str]] = {}

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
        rate_hz: that stands in the files, or None.
    """

    frame: pd.DataFrame
    names: list[str]
    channels: list[str]
    about: list[str]
    are_dates: bool
    are_timed: bool
    rate_hz: float | None


class _File(NamedTuple):
    """One table: the channels, `(time)`, `(series)` and what is said about it, in brackets as well."""

    frame: pd.DataFrame
    name: str
    channels: Sequence[str]
    are_dates: bool
    are_timed: bool
    has_ids: bool
    rate_hz: float | None = None

    @property
    def kind(self) -> str:
        """What files that belong together have in common."""
        rate = f", {self.rate_hz:g} a second" if self.rate_hz else ""
        times = "dates" if self.are_dates else "numbers"
        return f"the channels {', '.join(sorted(self.channels))} and {times} as times{rate}"


def read_files(
    files: list[Path], source: Path, names: Names, writer: SplitWriter, splits: Mapping[str, str] | None = None
) -> Rows | None:
    """All tables in one; files that cannot be used are set aside.

    Raises:
        DataError: `source` itself is a file that cannot be used, or folders of which it is not clear whether they are
            splits.
    """
    read: dict[Path, _File] = {}
    inner = [unpacked_name(file) for file in files]
    named = [
        name.stem if file == source else name.relative_to(source).with_suffix("").as_posix()
        for file, name in zip(files, inner, strict=True)
    ]
    said = said_by_names(names.patterns, named, is_new=not names.required)
    for file, name, by_name in zip(track(files, f"Reading {source.name}"), named, said, strict=True):
        try:
            one = _read_file(file, name, names, writer)
            read[file] = one._replace(frame=add_said(one.frame, by_name, name, is_new=not names.required))
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
    kept = {file: one for file, one in read.items() if one.kind == usual}
    return _join(
        _with_splits(kept, source, names, splits, writer) if source.is_dir() else [*kept.values()], names, writer
    )


def _with_splits(
    read: Mapping[Path, _File], source: Path, names: Names, splits: Mapping[str, str] | None, writer: SplitWriter
) -> list[_File]:
    """Files with the split that their folder says, unless a column says it."""
    tables = list(read.values())
    if not names.required or names.about.get("split") == NONE or any("(split)" in one.frame for one in tables):
        return tables
    parts = splits_of_files([file.relative_to(source).as_posix() for file in read], source, writer, splits=splits)
    kept = [(one, part) for one, part in zip(tables, parts, strict=True) if part is not None]
    return [one._replace(frame=one.frame.assign(**{"(split)": part})) if part else one for one, part in kept]


def read_one_frame(frame: pd.DataFrame, names: Names, writer: SplitWriter) -> Rows:
    """One table in memory.

    Raises:
        DataError: columns that do not exist or do not fit.
    """
    named, notes = with_index(frame)
    if not named.columns.is_unique:
        twice = named.columns[named.columns.duplicated()].unique()
        raise DataError(f"frame expected columns of different names; {', '.join(twice[:5])} come more than once.")
    for note in notes:
        writer.note(note)
    return _join([_take(named, "frame", "frame", names, writer)], names, writer)


def _read_file(file: Path, name: str, names: Names, writer: SplitWriter) -> _File:
    if file.suffix.lower() == ".parquet":
        frame, notes = with_index(read_parquet(file))
        for note in notes:
            writer.note(note)
        return _take(frame, file.name, name, names, writer)
    kept = [given for usual, given in names.wanted().items() if given and usual != "time"]
    text = read_text(file, kept, decimal=names.decimal)
    for note in text.notes:
        writer.repaired(f"files: {note}")
    if text.n_short:
        lines = ", ".join(map(str, text.short[:3]))
        writer.repaired(f"lines with fewer fields than the first, such as {lines} of {file.name}", text.n_short)
    logger = None if text.header else read_logger(text.frame)
    if logger is None:
        return _take(text.frame, file.name, name, names, writer)
    writer.note(
        "Two lines in front of the samples are the time of their begin and their rate, as Empatica writes them."
    )
    return _take(logger.frame, file.name, name, names, writer)._replace(rate_hz=logger.rate_hz)


def _join(tables: Sequence[_File], names: Names, writer: SplitWriter) -> Rows:
    if len(tables) > 1 and not names.join_files and any(one.has_ids for one in tables):
        ids = [set(one.frame["(series)"].dropna().astype(str)) for one in tables]
        if sum(map(len, ids)) > len(set().union(*ids)):
            tables = [one._replace(frame=one.frame.assign(**{"(series)": _in_file(one)})) for one in tables]
            writer.note(
                "Some ids are in several files, and are taken as different series; join_files: true joins them."
            )
    frame = pd.concat([one.frame for one in tables], ignore_index=True)
    unusable = frame["(time)"].isna() | frame["(series)"].isna()
    if unusable.any():
        writer.repaired("rows without a time or the name of a series left out", int(unusable.sum()))
        frame = frame[~unusable]
    code, series = pd.factorize(frame["(series)"].astype(str))
    about = [name for name in names.about if f"({name})" in frame]
    first = tables[0]
    frame = frame.assign(**{"(series)": code})
    if not first.are_timed:
        frame["(time)"] = frame.groupby("(series)").cumcount().astype(np.float64)
    return Rows(
        frame, list(series), list(first.channels), about, first.are_dates, first.are_timed, rate_hz=first.rate_hz
    )


def _in_file(one: _File) -> pd.Series:
    """Names of the series, with that of their file in front."""
    ids = one.frame["(series)"]
    return (one.name + "/" + ids.astype(str)).where(ids.notna())


def _take(frame: pd.DataFrame, source: str, name: str, names: Names, writer: SplitWriter) -> _File:
    """What a table says, in columns of our own.

    Args:
        frame: with texts as names of columns.
        source: what it is called in messages.
        name: of its series, if no column names them.
        names: what its columns are called.
        writer: is told what was guessed.
    """
    if not len(frame):
        raise DataError(f"{source} is empty: it has no rows.")
    required = ["id", "time", *(names.about if names.required else ())]
    found = find_columns(names.wanted(), list(frame.columns), source, required=required)
    columns = found.columns
    series = np.zeros(len(frame)) if columns["id"] is None else pd.factorize(frame[columns["id"]])[0]
    if columns["time"] is None and names.time is None:
        columns["time"] = find_counter(frame.drop(columns=list(names.values or ()), errors="ignore"), series)
        if columns["time"]:
            found.notes.append(
                f"Column {columns['time']!r} is taken as the time, since it only rises; to say otherwise, "
                "time: NAME, or time: none."
            )
    special = [column for column in columns.values() if column]
    channels = names.values and [_channel(channel, frame, source) for channel in names.values]
    if channels is not None and not names.required:
        more = [
            column for column in frame.columns if column not in (*special, *channels) and column not in found.others
        ]
        found.notes.extend(f"Column {column!r} is not read: no channel of the training." for column in more)
    if channels is None:
        unasked = [column for column in frame.columns if column not in special]
        asked = [role for role, given in names.wanted().items() if given not in (None, NONE)]
        elsewhere = {
            column: role for column, role in found.others.items() if role in asked
        }  # the user named another one
        found.notes.extend(f"Column {column!r} is a channel, not the {role}." for column, role in elsewhere.items())
        unnamed = [column for column in unasked if column not in found.others or column in elsewhere]
        channels = [column for column in unnamed if not counts_rows(frame[column])] or unnamed
        for column in unasked:
            if column not in channels:
                found.notes.append(left_out(column, found.others.get(column, "row")))
    if not channels:
        raise DataError(f"{source} has no columns of values besides {', '.join(special)}.")
    numbers = read_numbers(frame[channels], source, decimal=names.decimal)
    out = numbers.frame.set_axis(list(names.values or channels), axis=1)
    times = None
    if columns["time"]:
        times = read_times(with_day(frame, found), source, series)
    out["(time)"] = 0.0 if times is None else times.values
    out["(series)"] = _known(frame[columns["id"]]) if columns["id"] else name
    for usual in names.about:
        if columns[usual]:
            out[f"({usual})"] = _known(frame[columns[usual]])
    _check_series(out, columns, names, source)
    for note in (*found.notes, *numbers.notes):
        writer.note(note)
    for mark, count in numbers.missing.items():
        writer.repaired(f"values {mark!r} taken as missing", count)
    return _File(
        out,
        name,
        list(names.values or channels),
        times is not None and times.are_dates,
        times is not None,
        columns["id"] is not None,
    )


def _known(column: pd.Series) -> pd.Series:
    """Names, None where they are empty."""
    names = column.astype(object)
    return names.mask(names.map(lambda name: isinstance(name, str) and not name.strip()), None)


def _channel(name: str, frame: pd.DataFrame, source: str) -> str:
    return find_columns({"values": name}, list(frame.columns), source).columns["values"] or name


def _check_series(rows: pd.DataFrame, columns: dict[str, str | None], names: Names, source: str) -> None:
    """See to it that a person whose name was guessed is not the name of the series itself."""
    guessed = columns.get("group")
    is_open = columns["id"] is None and names.id != NONE and names.about.get("group") is None
    if guessed and is_open and rows["(group)"].nunique() > 1:
        raise DataError(
            f"column {guessed!r} of {source} changes within the table, and no column names the series. Say which one "
            f"does, such as id: {guessed}; or group: none, if all rows are of one series."
        )
