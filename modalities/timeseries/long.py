"""Readers of long tables: one row a time, several rows a series; a file, a folder of them, or a frame in memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached, in_memory
from bam_core.data.decimals import Decimal
from bam_core.data.folders import find_files
from bam_core.data.text_files import unpacked_name
from bam_core.errors import DataError
from modalities.timeseries.file_names import take_patterns
from modalities.timeseries.grid import read_step
from modalities.timeseries.long_rows import Names, Rows, read_files, read_one_frame
from modalities.timeseries.long_series import on_grid
from modalities.timeseries.preparation import enough, write_tables
from modalities.timeseries.rows import Missing, Normalize, SeriesOptions
from modalities.timeseries.tables import Table

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")


def read_long(
    *,
    path: str,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    label: str | None = None,
    task: str | None = None,
    purity: float = 0.5,
    group: str | None = None,
    split: str | None = None,
    splits: dict[str, str] | None = None,
    join_files: bool = False,
    decimal: Decimal | None = None,
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
    missing. Series with different values at the same time are set aside.

    Columns are found in any spelling ("ID", "Time [s]", "Subject_ID"), and what was found is said. One that is called
    like a label, person, time or number of the row, but is not taken as such, is left out, unless `values` names it.

    Args:
        path: file or folder.
        id: column that names the series of a row; default: `id`, if there is one, else a file is one series, called
            like the file. As for the other columns, "none" says that there is none.
        time: column of numbers, dates and times, or durations; default: `time`, if there is one, else rows are in order
            and at regular steps.
        values: columns of the channels, in order; default: all others.
        label: column with the label; default: `label`, if there is one. If it changes within a series, the series have
            to be cut into windows, and each has the label of most of its rows.
        task: "classification" or "regression", whether labels are classes or numbers; default: what they look like. The
            number of a window is the mean of those of its rows.
        purity: part of the labelled steps of a window that must have the same label; others stay without one.
        group: the same for groups (persons, machines), which are never divided between splits. Of files, group and
            label may be a regular expression, such as "(?P<group>p[0-9]+)", that is searched for in the path of a file
            below the folder, without suffix; files without a group are set aside, those without a label have none.
        split: the same for "train", "validation", "test"; see `read_arrays`. Default: `split`, if there is one, else
            folders called `train`, `val`, `test` and the like are splits; see `read_layout`.
        splits: folder -> train, validation, test or unlabeled, where names do not say it; others are not read. {} if
            no folder is a split.
        join_files: whether rows of one id in several files belong to one series; if not, they are different series.
        decimal: mark in front of decimals; default: a comma if whole columns of a file are written with it.
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
        Splits with the same facts as from `read_arrays`; `channels`, their names, and `step`, if there are times.

    Raises:
        InputError: options that contradict each other.
        DataError: no usable table, or columns that do not exist or do not fit; the message says which and why.
    """
    options = SeriesOptions(
        label=label, group=group, id=id, split=split, task=task, purity=purity, test_fraction=test_fraction, seed=seed,
        fitted=fitted, sampling_rate_hz=sampling_rate_hz, max_gap=max_gap, missing=missing, normalize=normalize,
        unequal=unequal, window=window, hop=hop,
    ).check()  # fmt: skip
    settings = {"path": path, "time": time, "values": values, "splits": splits, "join_files": join_files,
                "decimal": decimal, "step": step, **options.settings()}  # fmt: skip
    read_step(step)
    source = Path(path).expanduser()
    files = _files(source)
    about, patterns = take_patterns({"label": label, "group": group, "split": split})
    names = _names(id, time, values, about, fitted)
    names = names._replace(join_files=join_files, decimal=decimal, patterns=patterns)

    def build(writer: SplitWriter) -> None:
        rows = read_files(files, source, names, writer, splits)
        if rows is not None:
            write_rows(writer, rows, step, options)

    return enough(cached("long", files, settings, build), source.name, fitted)


def read_frame(
    *,
    frame: Any,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    label: str | None = None,
    task: str | None = None,
    purity: float = 0.5,
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
    """Read a long table in memory, as `read_long` reads files.

    Args:
        frame: pandas DataFrame with a row for every time of every series.
        id: see `read_long`, as for the other options.
        time: as there.
        values: as there.
        label: as there.
        task: as there.
        purity: as there.
        group: as there.
        split: as there.
        step: as there.
        sampling_rate_hz: as there.
        max_gap: as there.
        missing: as there.
        normalize: as there.
        unequal: as there.
        window: as there.
        hop: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Raises:
        InputError: options that contradict each other.
        DataError: columns that do not exist or do not fit, or no usable series; the message says why.

    Example:
        >>> frame = pd.DataFrame({"id": list("aaabbb"), "time": [0, 1, 2] * 2, "x": [1.0, 4, 2, 0, 3, 1]})
        >>> read_frame(frame=frame).facts["shape"]
        [1, 3]
    """
    options = SeriesOptions(
        task=task, purity=purity, test_fraction=test_fraction, seed=seed, fitted=fitted,
        sampling_rate_hz=sampling_rate_hz, max_gap=max_gap, missing=missing, normalize=normalize, unequal=unequal,
        window=window, hop=hop,
    ).check()  # fmt: skip
    read_step(step)
    table = pd.DataFrame(frame)
    names = _names(id, time, values, {"label": label, "group": group, "split": split}, fitted)

    def build(writer: SplitWriter) -> None:
        rows = read_one_frame(table, names, writer)
        write_rows(writer, rows, step, options)

    return enough(in_memory("frame", build), "frame", fitted)


def _names(
    id: str | None,
    time: str | None,
    values: list[str] | None,
    about: dict[str, str | None],
    fitted: Mapping[str, Any] | None,
) -> Names:
    trained_on = None if fitted is None else fitted.get("channels")
    return Names(id, time, values or trained_on, about, required=fitted is None)


def write_rows(
    writer: SplitWriter,
    rows: Rows,
    step: float | str | None,
    options: SeriesOptions,
) -> None:
    """Bring rows to a regular step, and write the series.

    Raises:
        DataError: a step that does not fit the times, or unsuitable series.
    """
    if isinstance(step, str) and not rows.are_dates:
        raise DataError(
            f"step {step!r} is a duration, but the unit of the times is not known: they are numbers. Give step as a "
            "number in their unit."
        )
    given = read_step(step)
    trained_on = (options.fitted or {}).get("step")
    found = on_grid(
        rows, given or trained_on, writer, is_given=given is not None, has_windows=options.window is not None
    )
    if not found.series:
        return
    step = found.step
    rate = options.sampling_rate_hz or (1 / step if rows.are_dates else rows.rate_hz)
    table = Table(found.series, found.columns, step_labels=found.step_labels)
    write_tables(writer, [table], replace(options, sampling_rate_hz=rate))
    writer.facts["channels"] = rows.channels
    if rows.are_timed:
        writer.facts["step"] = step


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if not _is_table(path):
            raise DataError(f"expected one of {', '.join(SUFFIXES)}; got {path.name}.")
        return [path]
    if not path.is_dir():
        raise DataError(f"expected a file or a folder at {path}; there is none.")
    files = [file for file in find_files(path).files if _is_table(file)]
    if not files:
        raise DataError(f"expected tables ({', '.join(SUFFIXES)}) in {path} or below; found none.")
    return files


def _is_table(file: Path) -> bool:
    inner = unpacked_name(file)
    return inner.suffix.lower() in SUFFIXES and (inner == file or inner.suffix.lower() != ".parquet")
