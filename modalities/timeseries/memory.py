"""Reader of series that are in memory already: arrays, or lists of arrays of unequal length."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, SplitWriter, in_memory
from bam_core.data.arrays import plain_array
from bam_core.data.several_labels import label_array
from bam_core.errors import DataError
from modalities.timeseries.long_memory import is_long, read_long_frame
from modalities.timeseries.orientation import check_orientation
from modalities.timeseries.preparation import enough, write_tables
from modalities.timeseries.rows import Missing, Normalize, SeriesOptions
from modalities.timeseries.tables import Series, Table, complete_table, with_channels
from modalities.timeseries.unequal import same_channels


def read_series(
    *,
    series: Any,
    label: Any = None,
    task: str | None = None,
    group: Any = None,
    id: Any = None,
    split: Any = None,
    channels_last: bool | None = None,
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
    """Read series in memory, as `read_arrays` reads files.

    Args:
        series: array (n, t) or (n, channels, t); or n arrays (t,) or (channels, t), of any lengths; or, with a row for
            every time, a frame with an index of series and times, or n frames; or a frame whose cells are series.
        label: (n,) labels; strings, or numbers of which -1 means none; or (n, k), 0 and 1 for each of k classes.
        task: "classification", "multi_label" or "regression"; default: what labels look like, see `read_target`.
        group: (n,) persons or machines, which are never divided between splits.
        id: (n,) names of the rows.
        split: (n,) "train", "validation" or "test".
        channels_last: whether arrays are (n, t, channels) and (t, channels); default: channels first, refused if these
            are more than steps.
        sampling_rate_hz: see `read_arrays`, as for the other options.
        max_gap: as there.
        missing: as there.
        normalize: as there.
        unequal: whether values that are missing on all channels at the ends make a series shorter; if not, they are
            gaps like others.
        window: as there.
        hop: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with the same facts as from `read_arrays`.

    Raises:
        InputError: options that contradict each other.
        DataError: unsuitable series; the message says why.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> read_series(series=[rng.normal(size=(3, t)) for t in (40, 55, 31)]).facts["longest"]
        55
    """
    options = SeriesOptions(
        task=task, test_fraction=test_fraction, seed=seed, fitted=fitted, sampling_rate_hz=sampling_rate_hz,
        max_gap=max_gap, missing=missing, normalize=normalize, unequal=unequal, window=window, hop=hop,
    ).check()  # fmt: skip
    signals = as_series(series, channels_last)
    label = None if label is None else label_array(label)
    given = {"label": label, "group": group, "id": id, "split": split}
    columns = {name: _column(values) for name, values in given.items() if values is not None}
    are_numbers = label is not None and label.dtype.kind in "fiub"
    table = complete_table(Table(signals, columns, minus_one_is_missing=are_numbers), "series", "series")

    def build(writer: SplitWriter) -> None:
        write_tables(writer, [table], options)

    return enough(in_memory("series", build), "series", fitted)


def from_memory(
    series: Any,
    *,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    step: float | str | None = None,
    channels_last: bool | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    missing: Missing = "set_aside",
    normalize: Normalize = "record",
    unequal: bool = True,
    window: int | None = None,
    hop: int | None = None,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read unlabelled series, all to train on or to embed; see `Modality.from_memory`.

    Args:
        series: see `read_series`. A frame with a row for every time is read as `read_long` reads files: by its columns
            or index levels of series and times, which are found if they are called like that; its series are in the
            order in which they come first.
        id: of such a frame, see `read_long`, as for the three that follow.
        time: as there.
        values: as there.
        step: as there.
        channels_last: see `read_series`, as for the options below.
        sampling_rate_hz: as there.
        max_gap: as there.
        missing: as there.
        normalize: as there.
        unequal: as there.
        window: as there.
        hop: as there.
        fitted: as there.

    Raises:
        BAMError: as there.

    Example:
        >>> from_memory([[1.0, 2, 3], [5, 4, 3, 2]], window=2).column("train", "id").tolist()
        ['0@0', '1@0', '1@2']
        >>> frame = pd.DataFrame({"who": list("bbaa"), "day": [2, 1, 1, 2], "x": [1.0, 4.0, 2.0, 0.0]})
        >>> from_memory(frame, id="who", time="day").names
        ['b', 'a']
    """
    options = SeriesOptions(
        test_fraction=0, fitted=fitted, sampling_rate_hz=sampling_rate_hz, max_gap=max_gap, missing=missing,
        normalize=normalize, unequal=unequal, window=window, hop=hop,
    ).check()  # fmt: skip
    if is_long(series, id, time):
        return read_long_frame(series, options, id=id, time=time, values=values, step=step)
    return read_unlabelled(as_series(series, channels_last), options)


def read_unlabelled(series: Series, options: SeriesOptions) -> PreparedData:
    """Series (n, c, t), or a list of (c, t), without labels; their `id` is their place."""
    table = complete_table(Table(series, {"id": np.arange(len(series)).astype(object)}), "series", "series")
    return enough(in_memory("series", partial(write_tables, tables=[table], options=options)), "series", options.fitted)


def as_series(series: Any, channels_last: bool | None = None) -> Series:
    """(n, c, t), or a list of (c, t), from what people hold in their hands; see `read_series`.

    Raises:
        DataError: neither an array of numbers of the right shape nor a list of such arrays.

    Example:
        >>> as_series([[1.0, 2.0], [3.0, 4.0, 5.0]])[1].shape
        (1, 3)
    """
    if isinstance(series, pd.DataFrame):
        series = _of_frame(series)
    if not isinstance(series, Sequence):
        array = plain_array(series)
        if array.dtype.kind != "O" or array.ndim != 1:
            return with_channels(array, "series", channels_last)
    arrays: list[np.ndarray] = []
    steps_last = True
    for index, one in enumerate(series):
        is_last = channels_last
        if isinstance(one, pd.DataFrame):  # times in rows, as in sktime
            one, is_last = _values(one), True
        try:
            array = plain_array(one)
        except ValueError as error:
            raise DataError(f"series[{index}] expected channels of the same length ({error}).") from error
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise DataError(
                f"series[{index}] expected numbers (t,) or (channels, t); got {array.dtype} of shape {array.shape}."
            )
        if array.ndim == 2 and is_last:
            array = array.T
        arrays.append(array)
        steps_last &= is_last is None
    if steps_last and not _differ_in_steps(arrays):
        for index, array in enumerate(arrays):
            if array.ndim == 2:
                check_orientation(array.shape, f"series[{index}]")
    return same_channels(arrays, "series")


def _differ_in_steps(arrays: Sequence[np.ndarray]) -> bool:
    """Whether series agree in their first axis, the channels, and not in the second, and some are long."""
    shapes = {array.shape for array in arrays if array.ndim == 2}
    channels = {shape[0] for shape in shapes}
    return len(shapes) > 1 and len(channels) == 1 and any(shape[1] >= shape[0] for shape in shapes)


def _of_frame(frame: pd.DataFrame) -> Any:
    """A frame of sktime, or of a series in every row."""
    if frame.index.nlevels > 1:
        levels = list(range(frame.index.nlevels - 1))
        return [one.sort_index(level=-1) for _, one in frame.groupby(level=levels, sort=False)]
    if len(frame) and all(isinstance(cell, pd.Series | np.ndarray | list) for cell in frame.iloc[0]):
        try:
            return [np.stack([np.asarray(cell, np.float64) for cell in row]) for row in frame.itertuples(index=False)]
        except ValueError as error:
            raise DataError(f"series expected channels of one length in every row of the frame ({error}).") from error
    if frame.columns.nlevels > 1:
        raise DataError(
            "series expected one row a series with its steps as columns, or a row for every time with id and time; got "
            f"columns of {frame.columns.nlevels} levels, such as {frame.columns[0]}. Bring them to one, or give an "
            "array (n, channels, t)."
        )
    return _values(frame)


def _values(frame: pd.DataFrame) -> np.ndarray:
    try:
        return frame.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return frame.to_numpy(object)  # which is refused with a word


def _column(values: Any) -> np.ndarray:
    return plain_array(values).astype(object)
