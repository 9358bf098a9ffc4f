"""Files of loggers whose first lines are no samples."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Logged(NamedTuple):
    """Samples (n, channels) and their rate."""

    frame: pd.DataFrame
    rate_hz: float


def read_logger(frame: pd.DataFrame) -> Logged | None:
    """A table of numbers that begins with the time of its begin and its rate, as Empatica's E4 writes them, or None.

    Args:
        frame: numbers without a header.

    Example:
        >>> read_logger(pd.DataFrame([[1.5e9, 1.5e9], [32, 32], [7, 9]])).rate_hz
        32.0
    """
    if len(frame) < 3 or not all(values.dtype.kind in "fiu" for _, values in frame.items()):
        return None
    begin, rate = frame.iloc[0].to_numpy(np.float64), frame.iloc[1].to_numpy(np.float64)
    in_seconds = 9e8 < begin[0] < 4e9 and (begin == begin[0]).all()
    if not in_seconds or not (rate == rate[0]).all() or not 0 < rate[0] <= 1e5:
        return None
    return Logged(frame.iloc[2:].reset_index(drop=True), float(rate[0]))
