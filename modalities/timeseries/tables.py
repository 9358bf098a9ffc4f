"""Files that hold one series a row: NumPy arrays, CSV, parquet and the archives' formats, as arrays and columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.arrays import plain_array
from bam_core.data.column_names import find_columns, left_out
from bam_core.data.decimals import Decimal
from bam_core.data.numbers import read_numbers
from bam_core.data.numpy_files import member, open_numpy, texts
from bam_core.data.targets import Task
from bam_core.data.text_files import unpacked_name
from bam_core.errors import DataError
from modalities.timeseries.frames import is_list, read_parquet, read_text, with_index
from modalities.timeseries.numbered import channels_of, check_channels
from modalities.timeseries.orientation import check_direction, check_orientation
from modalities.timeseries.ts_files import read_ts
from modalities.timeseries.unequal import joined_array, listed_arrays, listed_columns

COLUMNS = {
    "label": ("label", "labels", "y", "target"),
    "group": ("group", "groups"),
    "id": ("id", "ids"),
    "split": ("split",),
}
"""What is read besides signals -> how it is called where nobody says otherwise."""

Names = Mapping[str, str | None]  # of COLUMNS; None for the usual name


Series = np.ndarray | list[np.ndarray]  # (n, c, t), or n arrays (c, t)


class Table(NamedTuple):
    """What one file holds.

    Attributes:
        signals: (n, c, t) numbers, NaN where missing, that may lie in the file; or n arrays (c, t).
        columns: those of `COLUMNS` that the file has, (n,) each; `id` always, in what `read_table` returns.
        minus_one_is_missing: whether a label of -1 means that there is none.
        broken: row that could not be used -> why.
        repairs: what was mended or left out -> in how many rows.
        notes: what was guessed.
        channels: names of the channels, if they have names.
        task: what the labels are, if the format says so; see `read_target`.
        step_labels: of each series the labels of its steps, if they change within one.
    """

    signals: Series
    columns: Mapping[str, np.ndarray]
    minus_one_is_missing: bool = True
    broken: Mapping[str, str] = {}
    repairs: Mapping[str, int] = {}
    notes: Sequence[str] = ()
    channels: Sequence[str] | None = None
    task: Task | None = None
    step_labels: Sequence[np.ndarray] | None = None


def read_table(
    path: Path,
    names: Names,
    signals: str | None = None,
    *,
    required: bool = True,
    decimal: Decimal | None = None,
    channels: Sequence[str] | None = None,
    channels_last: bool | None = None,
) -> Table:
    """Read a file by its suffix.

    Args:
        path: .npz, .npy, .csv, .tsv, .txt, .parquet or .ts; text also packed, such as .csv.gz.
        names: what the file calls its columns. For .npy, these are files beside it.
        signals: name of the array of signals in an .npz.
        required: whether columns with a name have to be there.
        decimal: mark in front of decimals in text; None to look.
        channels: names and order of the channels, if they are known and have names.
        channels_last: whether arrays of three axes are (n, t, c), not (n, c, t); None if that is not known.

    Raises:
        DataError: no such file, another suffix, or contents that are no table of numbers.
    """
    if not path.is_file():
        raise DataError(f"expected a file at {path}; there is none.")
    readers: dict[str, Callable[[], Table]] = {
        ".npz": lambda: _read_npz(path, names, signals, required, channels_last),
        ".npy": lambda: _read_npy(path, names, required, channels_last),
        ".csv": lambda: _read_text(path, names, required, decimal, channels),
        ".tsv": lambda: _read_text(path, names, required, decimal, channels),
        ".txt": lambda: _read_text(path, names, required, decimal, channels),
        ".parquet": lambda: _read_parquet(path, names, required, channels),
        ".ts": lambda: _read_ts(path),
    }
    inner = unpacked_name(path)
    suffix = inner.suffix.lower()
    if suffix not in readers or (inner != path and suffix not in (".csv", ".tsv", ".txt")):
        raise DataError(f"expected one of {', '.join(readers)}, text also as .gz, .bz2, .xz or .zst; got {path.name}.")
    return complete_table(readers[suffix](), path.name, inner.stem)


def complete_table(table: Table, source: str, stem: str) -> Table:
    """The same table with names for its rows, after a look at its columns.

    Args:
        table: as read.
        source: what it is called in messages.
        stem: what its rows are called, if they have no names.

    Raises:
        DataError: no rows, or a column of another length.
    """
    n = len(table.signals)
    for name, column in table.columns.items():
        if column.shape != (n,) and not (name == "label" and column.ndim == 2 and len(column) == n):
            raise DataError(f"{name!r} of {source} expected one value for each of {n} rows; got shape {column.shape}.")
    if not n:
        raise DataError(f"{source} is empty: it has no rows." + _first(table.broken))
    ids = np.array([f"{stem}:{row}" for row in range(n)])
    return table._replace(columns={"id": ids, **table.columns})


def _first(broken: Mapping[str, str]) -> str:
    return "".join(f" {source}: {reason}." for source, reason in list(broken.items())[:3])


def _read_ts(path: Path) -> Table:
    file = read_ts(path)
    columns = {"id": np.array([f"{unpacked_name(path).stem}:{line}" for line in file.lines], dtype=object)}
    if file.labels is not None:
        columns["label"] = np.array(file.labels, dtype=object)
    return Table(
        file.series,
        columns,
        minus_one_is_missing=False,
        broken={f"{path.name}, line {line}": reason for line, reason in file.broken.items()},
        task="regression" if file.are_targets else "classification",
    )


def _read_npz(path: Path, names: Names, signals: str | None, required: bool, channels_last: bool | None) -> Table:
    with open_numpy(path) as file:
        arrays = {key: member(file, key, path) for key in file.files}
    found = find_columns(names, list(arrays), path.name, usual=COLUMNS, required=None if required else ())
    columns = {role: _one_a_row(arrays.pop(key)) for role, key in found.columns.items() if key is not None}
    series = None if signals else listed_arrays(arrays, path.name)
    if series is not None:
        return Table(series, columns)
    lengths = arrays.pop("lengths", None)
    asked = find_columns(
        {"signals": signals}, list(arrays), path.name, usual={"signals": ("signals", "signal", "X", "x")}
    )
    key = asked.columns["signals"]
    least = 2 if lengths is None else 1
    candidates = [name for name, array in arrays.items() if array.ndim >= least and key in (None, name)]
    if len(candidates) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise DataError(
            f"{path.name} expected one array of signals (n, t) or (n, c, t); got {shapes}. Name it: signals."
        )
    if lengths is not None:
        return Table(joined_array(arrays[candidates[0]], lengths, path), columns)
    return Table(with_channels(arrays[candidates[0]], path.name, channels_last), columns)


def _read_npy(path: Path, names: Names, required: bool, channels_last: bool | None) -> Table:
    columns = {}
    for column, name in names.items():
        if name is not None:
            file = path.parent / name
            if not file.is_file():
                if not required:
                    continue
                raise DataError(f"{column} of {path.name} expected a file {file} with one value a row; there is none.")
            is_npy = file.suffix == ".npy"
            columns[column] = texts(open_numpy(file)) if is_npy else np.array(file.read_text().splitlines())
    return Table(with_channels(open_numpy(path), path.name, channels_last), columns)


def with_channels(signals: np.ndarray, source: str, channels_last: bool | None = None) -> np.ndarray:
    """(n, t) or (n, c, t), or with channels last (n, t, c), as (n, c, t).

    Raises:
        DataError: another shape, no real numbers, or more channels than steps if `channels_last` is not given.
    """
    signals = plain_array(signals) if signals.dtype.kind == "O" else signals
    if signals.ndim not in (2, 3) or signals.dtype.kind not in "fiub":
        raise DataError(
            f"signals of {source} expected real numbers of shape (n, t) or (n, c, t); "
            f"got {signals.dtype} of shape {signals.shape}."
        )
    if signals.ndim == 2:
        return signals[:, None]
    if channels_last:
        return signals.transpose(0, 2, 1)
    if channels_last is None:
        check_orientation(signals.shape[1:], source)
    return signals


def _one_a_row(column: np.ndarray) -> np.ndarray:
    """(n,) from (n,) or (n, 1)."""
    return column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column


def _read_text(
    path: Path, names: Names, required: bool, decimal: Decimal | None, channels: Sequence[str] | None
) -> Table:
    text = read_text(path, [name for name in names.values() if name], decimal=decimal)
    frame = text.frame
    is_ucr = not text.header and names["label"] is None and _is_ucr(path, frame)
    if is_ucr:
        frame = frame.rename(columns={frame.columns[0]: "label"})
    if text.row_names is not None and names["id"] is None and "id" not in frame:
        frame.insert(0, "id", text.row_names)
    lines = ", ".join(map(str, text.short[:3]))
    short = f"lines with fewer fields than the first, taken as missing at the end, such as {lines}"
    repairs = {short: text.n_short} if text.n_short else {}
    table = _from_frame(path, frame, names, required, decimal, channels)
    if text.header and not table.columns and text.row_names is None:
        check_direction(np.asarray(table.signals)[:, 0], path.name)
    return table._replace(
        minus_one_is_missing=not is_ucr,
        task="classification" if is_ucr else None,
        repairs={**repairs, **table.repairs},
        notes=[*(f"{path.name}: {note}." for note in text.notes), *table.notes],
    )


def _is_ucr(path: Path, frame: pd.DataFrame) -> bool:
    """Whether a table of numbers has its labels first, as the UCR archive: a .tsv, or a .txt of its older form."""
    inner = unpacked_name(path)
    in_archive = inner.suffix.lower() == ".txt" and re.search(r"_(train|test)$", inner.stem, re.IGNORECASE) is not None
    return inner.suffix.lower() == ".tsv" or in_archive


def _read_parquet(path: Path, names: Names, required: bool, channels: Sequence[str] | None) -> Table:
    frame, notes = with_index(read_parquet(path))
    table = _from_frame(path, frame, names, required, None, channels)
    return table._replace(notes=[*notes, *table.notes])


def _from_frame(
    path: Path,
    frame: pd.DataFrame,
    names: Names,
    required: bool,
    decimal: Decimal | None,
    channels: Sequence[str] | None = None,
) -> Table:
    if not len(frame):
        raise DataError(f"{path.name} is empty: it has no rows.")
    found = find_columns(names, list(frame.columns), path.name, usual=COLUMNS, required=None if required else ())
    columns = {role: frame.pop(key).to_numpy(dtype=object) for role, key in found.columns.items() if key is not None}
    frame = frame.drop(columns=list(found.others))
    notes = [*found.notes, *(left_out(name, role) for name, role in found.others.items())]
    if not len(frame.columns):
        raise DataError(f"{path.name} has no columns of values besides {', '.join(columns) or 'none'}.")
    if any(is_list(values) for _, values in frame.items()):
        if len(frame.columns) == 1:  # of channels inside, perhaps
            return Table(listed_columns(frame, path), columns, notes=notes)
        if channels is not None:
            check_channels(path.name, list(frame.columns), channels)
        frame = frame if channels is None else frame[list(channels)]
        return Table(listed_columns(frame, path), columns, notes=notes, channels=list(frame.columns))
    numbers = read_numbers(frame, path.name, decimal=decimal)
    missing = {f"values {mark!r} taken as missing": count for mark, count in numbers.missing.items()}
    found_channels = channels_of(numbers.frame, path.name, channels)
    said = [*notes, *numbers.notes, *found_channels.notes]
    return Table(found_channels.signals, columns, repairs=missing, notes=said, channels=found_channels.names)
