"""Series of unequal length inside files that know only tables and arrays."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bam_core.errors import DataError
from modalities.timeseries.frames import is_list


def listed_arrays(arrays: Mapping[str, np.ndarray], source: str) -> list[np.ndarray] | None:
    """The series of an .npz that was written by `np.savez(file, *series)`, or None if it was not.

    Raises:
        DataError: they differ in their number of channels, or are no numbers.
    """
    if len(arrays) < 2 or not all(re.fullmatch(r"arr_\d+", name) for name in arrays):
        return None
    in_order = [arrays[name] for name in sorted(arrays, key=lambda name: int(name[4:]))]
    if len({array.ndim for array in in_order}) > 1 or in_order[0].ndim not in (1, 2):
        return None
    return same_channels(in_order, source)


def same_channels(arrays: Sequence[np.ndarray], source: str) -> list[np.ndarray]:
    """Arrays (t,) or (c, t) as series (c, t).

    Raises:
        DataError: they differ in their number of channels, or are no numbers.
    """
    series = [np.atleast_2d(array) for array in arrays]
    channels = sorted({len(one) for one in series})
    if len(channels) > 1 or any(one.dtype.kind not in "fiub" for one in series):
        kinds = ", ".join(sorted({str(one.dtype) for one in series}))
        raise DataError(
            f"{source} expected series of numbers (channels, time) with equally many channels; got "
            f"{channels} channels of {kinds}."
        )
    return series


def check_equal(signals: np.ndarray | Sequence[np.ndarray]) -> None:
    """See to it that all series (c, t) have one shape.

    Raises:
        DataError: they have not.
    """
    shapes = {one.shape for one in signals}
    if len(shapes) > 1:
        shown = ", ".join(map(str, sorted(shapes)[:5])) + (", ..." if len(shapes) > 5 else "")
        raise DataError(f"expected records of one shape (channels, time); got {shown}.")


def joined_array(signals: np.ndarray, lengths: np.ndarray, path: Path) -> list[np.ndarray]:
    """Series that lie end to end in one array, (total,) or (channels, total).

    Raises:
        DataError: the lengths do not add up to the array.
    """
    total = signals.shape[-1]
    fits = signals.ndim <= 2 and signals.dtype.kind in "fiub" and lengths.ndim == 1 and lengths.dtype.kind in "iu"
    if not fits or (lengths < 0).any() or lengths.sum() != total:
        raise DataError(
            f"{path.name} expected signals (total,) or (channels, total) with whole lengths (n,) that add up to total; "
            f"got signals of shape {signals.shape} and lengths of shape {lengths.shape}, in all {lengths.sum()}."
        )
    return np.split(np.atleast_2d(signals), np.cumsum(lengths)[:-1], axis=1)


def listed_columns(frame: pd.DataFrame, path: Path) -> list[np.ndarray]:
    """Columns of lists as the channels of a series; or one column of lists of channels.

    Raises:
        DataError: other columns beside them, or lists of something else than numbers.
    """
    others = [str(name) for name, values in frame.items() if not is_list(values)]
    if others:
        raise DataError(
            f"{path.name} expected columns of lists only, as its values are lists; {', '.join(others[:5])} are none. "
            "Name them by label, group, id or split, or take them out."
        )
    series = []
    for row, values in enumerate(frame.itertuples(index=False)):
        try:
            channels = [_numbers(value) for value in values]
            nested = len(channels) == 1 and channels[0].ndim == 2
            series.append(channels[0] if nested else _stacked(channels))
        except (TypeError, ValueError) as error:
            raise DataError(f"row {row} of {path.name} expected lists of numbers, one a channel ({error}).") from error
    return series


def _numbers(value: Any) -> np.ndarray:
    if value is None or isinstance(value, float):  # a missing list
        return np.full(1, np.nan)
    if len(value) and isinstance(value[0], list | tuple | np.ndarray):
        return _stacked([np.asarray(channel, np.float64) for channel in value])
    return np.asarray(value, np.float64)


def _stacked(channels: list[np.ndarray]) -> np.ndarray:
    """(c, t), shorter channels missing at their end."""
    stacked = np.full((len(channels), max(len(channel) for channel in channels)), np.nan)
    for row, channel in zip(stacked, channels, strict=True):
        row[: len(channel)] = channel
    return stacked
