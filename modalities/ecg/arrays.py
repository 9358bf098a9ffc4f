"""Readers of equally long ECGs, one a row, from files and from memory."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from bam_core.data import PreparedData
from bam_core.data.storable import taken_out
from bam_core.errors import DataError, InputError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long_memory import is_long, read_long_frame
from modalities.timeseries.memory import as_series, read_unlabelled
from modalities.timeseries.rows import SeriesOptions
from modalities.timeseries.store import write_series
from modalities.timeseries.unequal import check_equal


def read_equal_arrays(
    *,
    path: str,
    test_path: str | None = None,
    signals: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    channels_last: bool | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    normalize: Literal["record", "none"] = "record",
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read records from .npz, .npy, .csv, .tsv, .txt or .parquet; see `modalities.timeseries.data.read_arrays`.

    All records have the same length: the views and networks of this modality count on it. Values missing at the ends
    are gaps like others, and records with longer gaps than `max_gap` are set aside.

    Args:
        path: of the file.
        test_path: file with the test split.
        signals: name of the array in an .npz.
        label: name of the column or array of labels.
        task: "classification", "multi_label" or "regression"; default: what labels look like, see `read_target`.
        group: name of the column or array of groups.
        id: name of the column or array of names.
        split: name of the column or array of splits.
        channels_last: whether arrays are (n, t, leads); default: (n, leads, t), refused if there are
            more leads than steps.
        sampling_rate_hz: of the signals.
        max_gap: longest run of missing values to interpolate, as a fraction of the record.
        normalize: "record" standardises each record and lead; "none" keeps the values.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: classes are numbered as its training data's were, and all go into "train".

    Returns:
        Splits with the facts in_channels, length, shape, classes, and sampling_rate_hz if given.

    Raises:
        BAMError: as `read_arrays` of series does; also records of unequal length.
    """
    return read_arrays(
        path=path, test_path=test_path, signals=signals, label=label, task=task, group=group, id=id, split=split,
        channels_last=channels_last, sampling_rate_hz=sampling_rate_hz, max_gap=max_gap,
        normalize=normalize, test_fraction=test_fraction, seed=seed, fitted=fitted, unequal=False,
    )  # fmt: skip


def from_memory(
    signals: Any,
    *,
    sampling_rate_hz: float,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    channels_last: bool | None = None,
    max_gap: float = 0.1,
    normalize: Literal["record", "none"] = "record",
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read unlabelled records of one length, all to train on or to embed; see `Modality.from_memory`.

    Args:
        signals: array (n, t) or (n, leads, t), or a frame with a row for every sample of every record.
        sampling_rate_hz: of the signals.
        id: of such a frame, see `modalities.timeseries.memory.from_memory`, as for the two that follow.
        time: as there.
        values: columns of the leads; default: all others.
        channels_last: see `read_equal_arrays`, as for the other options.
        max_gap: see `read_equal_arrays`, as for the other options.
        normalize: as there.
        fitted: as there.

    Raises:
        BAMError: as there.
    """
    options = SeriesOptions(
        test_fraction=0, fitted=fitted, sampling_rate_hz=sampling_rate_hz, max_gap=max_gap, normalize=normalize,
        unequal=False,
    ).check()  # fmt: skip
    if is_long(signals, id, time):
        data = read_long_frame(signals, options, id=id, time=time, values=values)
        if "shape" not in data.facts:
            raise DataError("expected records of one length; those of the frame differ.")
        return data
    records = as_series(signals, channels_last)
    check_equal(records)
    return read_unlabelled(records, options)


def to_files(
    signals: Any,
    folder: Path,
    *,
    sampling_rate_hz: float,
    labels: Any = None,
    groups: Any = None,
    channels_last: bool | None = None,
) -> dict[str, Any]:
    """Write records of one length for the reader `arrays`.

    Args:
        signals: array (n, t) or (n, leads, t), or n arrays (t,) or (leads, t).
        folder: to write into.
        sampling_rate_hz: of the signals.
        labels: see `modalities.timeseries.store.to_files`, as for groups.
        groups: as there.
        channels_last: see `read_equal_arrays`.

    Raises:
        InputError: a frame with a row for every sample.
        DataError: no records of one length.
    """
    others, columns = taken_out(signals, label=labels, group=groups)
    if is_long(others, None, None):
        raise InputError("ECGs in memory expected an array (n, leads, t); got a frame with a row for every sample.")
    records = as_series(others, channels_last)
    check_equal(records)
    stacked = np.stack(list(records))
    return {**write_series(stacked, folder, columns["label"], columns["group"]), "sampling_rate_hz": sampling_rate_hz}
