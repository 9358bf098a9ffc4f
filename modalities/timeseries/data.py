"""Reader of arrays and tables of equally long signals, one record a row."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.holdout import check_disjoint, hold_out
from bam_core.data.labels import encode_labels
from bam_core.errors import DataError, InputError
from modalities.timeseries.signals import fill_gaps, standardize
from modalities.timeseries.tables import Table, read_table

CHUNK = 4096  # rows in memory at a time
SPLITS = ("train", "validation", "test")


def read_arrays(
    *,
    path: str,
    test_path: str | None = None,
    signals: str | None = None,
    label: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    normalize: Literal["record", "none"] = "record",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> PreparedData:
    """Read signals from .npz, .npy, .csv, .tsv, .txt or .parquet, one record a row.

    In tables, the columns that are not named by `label`, `group`, `id` or `split` are the values, in order; a header
    is recognised by not being numbers (or by counting them), the delimiter by its number in the first line. A .tsv
    of numbers only is the UCR archive's, with the label first; X_TEST.tsv is found beside X_TRAIN.tsv.

    Args:
        path: file; or the folder of a UCR data set.
        test_path: file with the test split.
        signals: name of the array (n, t) or (n, c, t) in an .npz; default: `signals`, or the only one.
        label: name of the column or array of labels, strings or numbers; for .npy, a file beside it, .npy or one label
            a line. Default: `label`, if there is one. Labels are optional, also row by row: missing, empty or -1.
        group: the same for groups (persons, machines), which are never divided between splits.
        id: the same for names of the rows; default: file and row number.
        split: the same for a column of "train", "validation", "test". Without any of these ways to a test split, a
            part of the groups, or of every class, is held out if there are labels.
        sampling_rate_hz: of the signals, if known.
        max_gap: longest run of missing values to interpolate, as a fraction of the record; records with longer ones
            are set aside, as are those that are constant on every channel.
        normalize: "record" standardises each record and channel; "none" keeps the values.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.

    Returns:
        Splits with the facts in_channels, length, shape, classes, and sampling_rate_hz if given.

    Raises:
        InputError: options that contradict each other.
        DataError: unreadable or unsuitable files; the message says which and why.

    Example:
        >>> from importlib.resources import files
        >>> prepared = read_arrays(path=str(files("modalities.ecg") / "ecg5000.npz"), split="official_split")
        >>> prepared.facts["shape"], len(prepared.splits["test"])
        ([1, 140], 4500)
    """
    settings = dict(locals())
    train_file, test_file = _files(Path(path).expanduser(), test_path)
    if test_file and split:
        raise InputError("test_path and split both say what is for testing; give one of them.")
    names = {"label": label, "group": group, "id": id, "split": split}
    beside = [train_file.parent / name for name in names.values() if name and train_file.suffix == ".npy"]
    files = [file for file in (train_file, test_file, *beside) if file and file.is_file()]

    def build(writer: SplitWriter) -> None:
        tables = [read_table(file, names, signals) for file in (train_file, test_file) if file]
        columns, classes = _columns(tables, [train_file.stem, test_file.stem if test_file else ""])
        parts = _splits(tables, columns, test_fraction, seed)
        shapes = {table.signals.shape[1:] for table in tables}
        if len(shapes) > 1:
            raise DataError(f"both files expected records of one shape (channels, time); got {sorted(shapes)}.")
        offset = 0
        for table in tables:
            for start in range(0, len(table.signals), CHUNK):
                rows = slice(offset + start, offset + min(start + CHUNK, len(table.signals)))
                chunk = {name: column[rows] for name, column in columns.items()}
                _write(writer, table.signals[start : start + CHUNK], chunk, parts[rows], max_gap, normalize)
            offset += len(table.signals)
        channels, length = tables[0].signals.shape[1:]
        writer.facts |= {"in_channels": channels, "length": length, "shape": [channels, length], "classes": classes}
        if sampling_rate_hz is not None:
            writer.facts["sampling_rate_hz"] = float(sampling_rate_hz)

    prepared = cached("arrays", files, settings, build)
    if len(prepared.splits["train"]) < 2:
        raise DataError(f"{train_file.name} expected at least two usable rows for training; got one.")
    return prepared


def _files(path: Path, test_path: str | None) -> tuple[Path, Path | None]:
    if path.is_dir():
        found = sorted(path.glob("*_TRAIN.tsv"))
        if len(found) != 1:
            raise DataError(f"expected a file, or a folder with one *_TRAIN.tsv; {path} has {len(found)} of these.")
        path = found[0]
    if test_path is not None:
        test_file = Path(test_path).expanduser()
        if not test_file.is_file():
            raise DataError(f"expected a file at {test_file}; there is none.")
        return path, test_file
    if path.name.endswith("_TRAIN.tsv"):
        beside = path.with_name(path.name.replace("_TRAIN.tsv", "_TEST.tsv"))
        return path, beside if beside.is_file() else None
    return path, None


def _columns(tables: list[Table], stems: list[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    columns: dict[str, np.ndarray] = {}
    classes: list[str] = []
    if any("label" in table.columns for table in tables):
        labels = encode_labels(
            _joined(tables, "label"), minus_one_is_missing=all(table.minus_one_is_missing for table in tables)
        )
        if labels.classes:
            columns["label"], classes = labels.indices, labels.classes
    if any("group" in table.columns for table in tables):
        groups = _joined(tables, "group")
        empty = np.flatnonzero(pd.isna(groups))
        if len(empty):
            raise DataError(
                f"group expected a value in every row; {len(empty)} have none, the first is row {empty[0]}."
            )
        columns["group"] = groups.astype(str)
    ids = [
        table.columns["id"].astype(str)
        if "id" in table.columns
        else [f"{stem}:{row}" for row in range(len(table.signals))]
        for table, stem in zip(tables, stems, strict=False)
    ]
    columns["id"] = np.concatenate(ids)
    return columns, classes


def _joined(tables: list[Table], name: str) -> np.ndarray:
    return np.concatenate(
        [np.asarray(table.columns.get(name, [None] * len(table.signals)), dtype=object) for table in tables]
    )


def _splits(tables: list[Table], columns: dict[str, np.ndarray], test_fraction: float, seed: int) -> np.ndarray:
    n = len(columns["id"])
    if len(tables) == 2:
        parts = np.repeat(["train", "test"], [len(table.signals) for table in tables])
    elif "split" in tables[0].columns:
        parts = np.array([str(part) for part in tables[0].columns["split"]])
        unknown = sorted(set(parts.tolist()) - set(SPLITS))
        if unknown:
            raise DataError(f"split expected {', '.join(SPLITS)} in every row; got {', '.join(unknown[:5])}.")
    elif "label" in columns and test_fraction:
        held_out = hold_out(n, test_fraction, seed=seed, labels=columns["label"], groups=columns.get("group"))
        parts = np.where(held_out, "test", "train")
    else:
        parts = np.full(n, "train")
    if "group" in columns:
        check_disjoint(parts.tolist(), columns["group"].tolist())
    return parts


def _write(
    writer: SplitWriter, chunk: np.ndarray, columns: dict[str, Any], parts: np.ndarray, max_gap: float, normalize: str
) -> None:
    filled = fill_gaps(np.asarray(chunk, np.float64), round(max_gap * chunk.shape[-1]))
    broken = np.asarray(filled.missing.any(axis=(1, 2)))
    flat = np.all(filled.signal == filled.signal[:, :, :1], axis=(1, 2))
    usable = ~broken & ~flat
    for row in np.flatnonzero(~usable):
        share = filled.missing[row].mean(axis=-1)
        gap = (
            f"{share.max():.0%} of channel {share.argmax()} is missing in runs longer than {max_gap:.0%} of the record"
        )
        writer.set_aside(columns["id"][row], gap if broken[row] else "constant on every channel")
    mended = int((filled.n_gaps.sum(axis=-1) > 0)[usable].sum())
    if mended:
        writer.repaired("records with short gaps interpolated", mended)
    signal = (standardize(filled.signal) if normalize == "record" else filled.signal).astype(np.float32)
    for split in np.unique(parts[usable]):
        rows = usable & (parts == split)
        writer.add(str(split), signal=signal[rows], **{name: column[rows] for name, column in columns.items()})
