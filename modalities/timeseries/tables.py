"""Files that hold one series a row: NumPy arrays, CSV, parquet and the archives' formats, as arrays and columns."""

import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError
from modalities.timeseries.ts_files import read_ts
from modalities.timeseries.unequal import is_list, joined_array, listed_arrays, listed_columns

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
    """

    signals: Series
    columns: Mapping[str, np.ndarray]
    minus_one_is_missing: bool = True
    broken: Mapping[str, str] = {}
    repairs: Mapping[str, int] = {}


def read_table(path: Path, names: Names, signals: str | None = None) -> Table:
    """Read a file by its suffix.

    Args:
        path: .npz, .npy, .csv, .tsv, .txt, .parquet or .ts.
        names: what the file calls its columns. For .npy, these are files beside it.
        signals: name of the array of signals in an .npz.

    Raises:
        DataError: no such file, another suffix, or contents that are no table of numbers.
    """
    if not path.is_file():
        raise DataError(f"expected a file at {path}; there is none.")
    readers: dict[str, Callable[[], Table]] = {
        ".npz": lambda: _read_npz(path, names, signals),
        ".npy": lambda: _read_npy(path, names),
        ".csv": lambda: _read_text(path, names),
        ".tsv": lambda: _read_text(path, names),
        ".txt": lambda: _read_text(path, names),
        ".parquet": lambda: _from_frame(path, read_parquet(path), names),
        ".ts": lambda: _read_ts(path),
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"expected one of {', '.join(readers)}; got {path.name}.")
    table = readers[path.suffix.lower()]()
    for name, column in table.columns.items():
        if column.shape != (len(table.signals),):
            raise DataError(
                f"{name!r} of {path.name} expected one value for each of {len(table.signals)} rows; "
                f"got shape {column.shape}."
            )
    if not len(table.signals):
        raise DataError(f"{path.name} is empty: it has no rows." + _first(table.broken))
    ids = np.array([f"{path.stem}:{row}" for row in range(len(table.signals))])
    return table._replace(columns={"id": ids, **table.columns})


def _first(broken: Mapping[str, str]) -> str:
    return "".join(f" {source}: {reason}." for source, reason in list(broken.items())[:3])


def _read_ts(path: Path) -> Table:
    file = read_ts(path)
    columns = {"id": np.array([f"{path.stem}:{line}" for line in file.lines], dtype=object)}
    if file.labels is not None:
        columns["label"] = np.array(file.labels, dtype=object)
    return Table(
        file.series,
        columns,
        minus_one_is_missing=False,
        broken={f"{path.name}, line {line}": reason for line, reason in file.broken.items()},
        repairs={"targets of a regression left out": file.n_targets} if file.n_targets else {},
    )


def _read_npz(path: Path, names: Names, signals: str | None) -> Table:
    with _numpy(path) as file:
        arrays = {key: _member(file, key, path) for key in file.files}
    columns = {}
    for column, usual in COLUMNS.items():
        key = find_column(names[column], usual, list(arrays), path)
        if key is not None:
            columns[column] = arrays.pop(key)
    series = None if signals else listed_arrays(arrays, path)
    if series is not None:
        return Table(series, columns)
    lengths = arrays.pop("lengths", None)
    key = find_column(signals, ("signals", "signal", "X", "x"), list(arrays), path)
    least = 2 if lengths is None else 1
    candidates = [name for name, array in arrays.items() if array.ndim >= least and key in (None, name)]
    if len(candidates) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise DataError(
            f"{path.name} expected one array of signals (n, t) or (n, c, t); got {shapes}. Name it: signals."
        )
    if lengths is not None:
        return Table(joined_array(arrays[candidates[0]], lengths, path), columns)
    return Table(_with_channels(arrays[candidates[0]], path), columns)


def _read_npy(path: Path, names: Names) -> Table:
    columns = {}
    for column, name in names.items():
        if name is not None:
            file = path.parent / name
            if not file.is_file():
                raise DataError(f"{column} of {path.name} expected a file {file} with one value a row; there is none.")
            columns[column] = _numpy(file) if file.suffix == ".npy" else np.array(file.read_text().splitlines())
    return Table(_with_channels(_numpy(path), path), columns)


def _numpy(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name} is no readable NumPy file ({_no_pickle(error)}).") from error


def _member(file: Any, key: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(file[key])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"array {key!r} of {path.name} cannot be read ({_no_pickle(error)}).") from error


def _no_pickle(error: Exception) -> str:
    if any(word in str(error) for word in ("pickle", "Python objects")):
        return "it holds Python objects, and reading those could run code; save strings with .astype(str)"
    return str(error)


def _with_channels(signals: np.ndarray, path: Path) -> np.ndarray:
    if signals.ndim not in (2, 3) or signals.dtype.kind not in "fiub":
        raise DataError(
            f"signals of {path.name} expected real numbers of shape (n, t) or (n, c, t); "
            f"got {signals.dtype} of shape {signals.shape}."
        )
    return signals[:, None] if signals.ndim == 2 else signals


def _read_text(path: Path, names: Names) -> Table:
    text = read_text(path, [name or column for column, name in names.items()])
    frame = text.frame
    is_ucr = path.suffix.lower() == ".tsv" and not text.header and names["label"] is None
    frame.columns = ["label" if is_ucr and i == 0 else str(name) for i, name in enumerate(frame.columns)]
    if text.row_names is not None and names["id"] is None and "id" not in frame:
        frame.insert(0, "id", text.row_names)
    return _from_frame(path, frame, names)._replace(minus_one_is_missing=not is_ucr)


class Text(NamedTuple):
    """A table of text: its frame, whether it has a header, and the column without a name that pandas writes first."""

    frame: pd.DataFrame
    header: bool
    row_names: pd.Series | None


def read_text(path: Path, kept_as_text: Sequence[str]) -> Text:
    """Read a table of text, whatever divides its columns.

    Args:
        path: of the file.
        kept_as_text: columns whose values are names, even if they look like numbers.

    Raises:
        DataError: it is empty, or no table.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in islice((line for line in file if line.strip()), 1)]
    if not lines:
        raise DataError(f"{path.name} is empty: it has no rows.")
    delimiter = max("\t;,|", key=lines[0].count)
    fields = next(csv.reader(lines, delimiter=delimiter))
    numeric = all(_is_number(field) for field in fields)
    has_index = not fields[0].strip()  # as pandas writes it
    header = not numeric or _counts(fields[has_index:])
    try:
        frame = pd.read_csv(
            path,
            sep=delimiter,
            header=0 if header else None,
            dtype=dict.fromkeys(set(kept_as_text) & set(fields), str) if header else None,
            low_memory=False,
            encoding="utf-8-sig",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path.name} is no readable table ({error}).") from error
    index = frame.pop(frame.columns[0]) if header and has_index else None
    return Text(frame, header, index)


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file as a frame.

    Raises:
        DataError: it is none.
    """
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable parquet file ({error}).") from error


def _from_frame(path: Path, frame: pd.DataFrame, names: Names) -> Table:
    if not len(frame):
        raise DataError(f"{path.name} is empty: it has no rows.")
    columns = {}
    for column, usual in COLUMNS.items():
        key = find_column(names[column], usual, list(frame.columns), path)
        if key is not None:
            columns[column] = frame.pop(key).to_numpy(dtype=object)
    if not len(frame.columns):
        raise DataError(f"{path.name} has no columns of values besides {', '.join(columns) or 'none'}.")
    if any(is_list(values) for _, values in frame.items()):
        return Table(listed_columns(frame, path), columns)
    for _, values in frame.items():
        check_numbers(values, path)
    return Table(frame.to_numpy(dtype=np.float64)[:, None], columns)


def check_numbers(values: pd.Series, path: Path) -> None:
    """See to it that a column holds numbers.

    Raises:
        DataError: names the column and the first value that is none.
    """
    if values.dtype.kind in "fiub":
        return
    wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
    shown = f"row {wrong.index[0]} holds {wrong.iloc[0]!r}" if len(wrong) else f"it holds {values.dtype}"
    raise DataError(
        f"column {values.name!r} of {path.name} expected numbers, as all columns of values; {shown}. Missing values "
        "are empty; columns of another kind are named by label, group, id or split, or taken out."
    )


def find_column(name: str | None, usual: tuple[str, ...], available: list[str], path: Path) -> str | None:
    """The column called `name`, or if that is None, the first of the usual names that there is.

    Raises:
        DataError: there is no column `name`.
    """
    if name is None:
        return next((key for key in usual if key in available), None)
    if name not in available:
        listed = ", ".join(map(str, available[:10])) + (", ..." if len(available) > 10 else "")
        raise DataError(f"{path.name} expected {name!r} as {usual[0]}; it has {listed}.")
    return name


def _counts(fields: list[str]) -> bool:
    return len(fields) > 1 and fields in ([str(i) for i in range(first, len(fields) + first)] for first in (0, 1))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip() in ("", "NA", "NaN")
    return True
