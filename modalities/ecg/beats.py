"""Heartbeats in annotation files: their classes after AAMI EC57, and the intervals between them.

The table is de Chazal's reading of the standard (IEEE Trans. Biomed. Eng. 51(7), 2004), which the literature on MIT-BIH
follows, as is the split of that data base by patient.
"""

import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bam_core.errors import DataError
from modalities.ecg.files import readable

AAMI = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
"""Class -> annotation symbols: normal, supraventricular, ventricular, fusion, unknown or paced."""

OTHER_BEATS = "Brn?"
"""Beats by WFDB's definition that the table leaves without a class."""

MITBIH_INTER_PATIENT = {
    "train": [
        *("101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122"),
        *("124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230"),
    ],
    "test": [
        *("100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210"),
        *("212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234"),
    ],
}
"""DS1 and DS2 of de Chazal; the four records with paced beats (102, 104, 107, 217) are in neither."""


class Beats(NamedTuple):
    """The beats of one record that have a class.

    Attributes:
        seconds: (n,) time of the R peak.
        classes: (n,) keys of `AAMI`.
        rr: (n, 3) float32: seconds since the beat before, seconds to the next one, and the former divided by the mean
            of the ten intervals around. Beats of every kind count.
        n_other: beats without a class.
    """

    seconds: np.ndarray
    classes: np.ndarray
    rr: np.ndarray
    n_other: int


def read_beats(record: Path, extension: str) -> Beats:
    """Read the beats of an annotation file.

    Args:
        record: path of the record without suffix.
        extension: of the annotation file, such as "atr".

    Raises:
        DataError: there is no such file, or it marks fewer than two beats.
    """
    extension = _in_its_case(record, extension)
    import wfdb

    annotation = wfdb.rdann(str(record), extension)
    symbols = np.array(annotation.symbol)
    class_of = {symbol: name for name, symbols_ in AAMI.items() for symbol in symbols_}
    beat = np.isin(symbols, [*class_of, *OTHER_BEATS])
    if beat.sum() < 2:
        raise DataError(f"{record.name}.{extension} marks {beat.sum()} beats; at least two are needed for intervals.")
    seconds, symbols = annotation.sample[beat] / (annotation.fs or _rate_hz(record)), symbols[beat]
    classed = np.isin(symbols, list(class_of))
    classes = np.array([class_of[symbol] for symbol in symbols[classed]], dtype=str)
    return Beats(seconds[classed], classes, rr_intervals(seconds)[classed], int((~classed).sum()))


def _rate_hz(record: Path) -> float:
    import wfdb

    with readable(record) as path:
        return float(wfdb.rdheader(str(path)).fs)


def _in_its_case(record: Path, extension: str) -> str:
    for spelled in (extension, extension.upper()):
        if record.with_name(f"{record.name}.{spelled}").exists():
            return spelled
    beside = sorted(file.suffix for file in record.parent.glob(f"{glob.escape(record.name)}.*"))
    others = [suffix for suffix in beside if suffix.lower() not in (".hea", ".dat", ".mat", ".edf", ".xws", "")]
    there = f"; there is {', '.join(others)}, to be named by annotations" if others else ""
    raise DataError(f"no annotation file {record.name}.{extension}; cut 'beats' needs one{there}.")


def rr_intervals(seconds: np.ndarray) -> np.ndarray:
    """Interval before, interval after, and the former relative to its surroundings, for every beat.

    Args:
        seconds: (n,) rising times of at least two beats. The first beat borrows its first interval from the second,
            the last beat its second from the one before.

    Returns:
        (n, 3) float32.

    Example:
        >>> rr_intervals(np.array([0.0, 1.0, 2.0, 2.5]))
        array([[1. , 1. , 1.2],
               [1. , 1. , 1.2],
               [1. , 0.5, 1.2],
               [0.5, 0.5, 0.6]], dtype=float32)
    """
    intervals = np.diff(seconds)
    before = np.concatenate([intervals[:1], intervals])
    after = np.concatenate([intervals, intervals[-1:]])
    total = np.concatenate([[0], np.cumsum(intervals)])
    here = np.arange(len(seconds))
    first, last = np.maximum(here - 5, 0), np.minimum(here + 5, len(intervals))
    local = (total[last] - total[first]) / (last - first)
    relative = np.divide(before, local, out=np.ones_like(before), where=local > 0)
    return np.stack([before, after, relative], axis=1).astype(np.float32)
