"""Which axis is time: arrays and tables that look transposed are refused."""

import numpy as np

from bam_core.errors import DataError


def check_orientation(shape: tuple[int, ...], source: str) -> None:
    """See to it that a series (channels, time) is not (time, channels).

    Raises:
        DataError: it has more channels than steps.
    """
    channels, steps = shape
    if channels > steps > 0:
        raise DataError(
            f"{source} expected series (channels, time); got {channels} channels of {steps} steps, as if time came "
            "first. Say which is right: channels_last: true for (time, channels), false for (channels, time)."
        )


def check_direction(values: np.ndarray, source: str) -> None:
    """See to it that rows of a table (n, t) are series, and not times.

    Raises:
        DataError: neighbouring rows are alike, and neighbouring columns are not.
    """
    if len(values) < 20 or values.shape[1] < 3:
        return
    down, across = (_alike(np.diff(values, axis=axis), values) for axis in (0, 1))
    if down < 0.2 and across > 0.5:
        raise DataError(
            f"{source} expected a series in every row; neighbouring rows are alike, neighbouring columns are not, as "
            "if rows were times and columns channels. Read it with reader: long; or name the rows in a column id."
        )


def _alike(steps: np.ndarray, values: np.ndarray) -> float:
    """Mean square of the differences of neighbours against that of any two values: 0 for the same, 1 for noise."""
    spread = 2 * np.nanvar(values)
    return float(np.nanmean(np.square(steps)) / spread) if spread > 0 else 1.0
