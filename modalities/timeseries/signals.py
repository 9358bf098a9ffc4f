"""Mending and scaling of sampled signals; time is the last axis everywhere."""

from typing import Any, NamedTuple

import numpy as np


class Filled(NamedTuple):
    """A signal without missing values.

    Attributes:
        signal: (..., t), missing values replaced along straight lines (zero where nothing is known).
        missing: (..., t), true where a value was replaced in a gap longer than allowed.
        n_gaps: (...) number of short gaps that were filled.
    """

    signal: np.ndarray
    missing: np.ndarray
    n_gaps: np.ndarray


def fill_gaps(signal: np.ndarray, max_gap: int) -> Filled:
    """Interpolate missing values; gaps of more than `max_gap` samples are filled too, but marked.

    Args:
        signal: (..., t), NaN or infinite where missing.
        max_gap: longest gap, in samples, that a straight line may bridge unmarked.

    Example:
        >>> filled = fill_gaps(np.array([1.0, np.nan, 3.0, np.nan, np.nan, 9.0]), max_gap=1)
        >>> filled.signal.tolist(), filled.missing.tolist(), int(filled.n_gaps)
        ([1.0, 2.0, 3.0, 5.0, 7.0, 9.0], [False, False, False, True, True, False], 1)
    """
    known = np.isfinite(signal)
    n_gaps = np.zeros(signal.shape[:-1], np.int64)
    if known.all():
        return Filled(signal, ~known, n_gaps)
    filled = np.where(known, signal, 0)
    missing = np.zeros_like(known)
    time = np.arange(signal.shape[-1])
    for place in np.argwhere(~known.all(axis=-1)):
        channel = tuple(place)
        here = known[channel]
        if here.any():
            filled[channel] = np.interp(time, time[here], signal[channel][here])
        steps = np.diff(np.concatenate([[True], here, [True]]).astype(np.int8))
        for start, stop in zip(np.flatnonzero(steps < 0), np.flatnonzero(steps > 0), strict=True):
            if stop - start > max_gap:
                missing[channel][start:stop] = True
            else:
                n_gaps[channel] += 1
    return Filled(filled, missing, n_gaps)


def standardize(signal: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Zero mean and unit standard deviation over time; a flat channel becomes zero.

    Args:
        signal: (..., t).
        known: (..., t), false for values that mean and deviation are not to see; default: all are seen.

    Example:
        >>> standardize(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
        [[-1.0, 1.0], [0.0, 0.0]]
    """
    seen: Any = True if known is None else known | ~known.any(axis=-1, keepdims=True)
    lowest = signal.min(axis=-1, keepdims=True, where=seen, initial=np.inf)
    highest = signal.max(axis=-1, keepdims=True, where=seen, initial=-np.inf)
    flat = highest == lowest  # rounding leaves a tiny spread in a constant
    centred = signal - signal.mean(axis=-1, keepdims=True, where=seen)
    spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True, where=seen))
    return np.where(flat, 0, centred / np.where(flat, 1, spread)).astype(signal.dtype)
