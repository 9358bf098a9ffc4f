"""Rows out of a record: a stretch around every beat, or windows at regular steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from bam_core.data import SplitWriter
from bam_core.errors import DataError, InputError
from modalities.ecg.beats import AAMI, read_beats
from modalities.ecg.leads import Lead
from modalities.ecg.records import MissingLeads, Strip, read_strip, reason, scale_by_record
from modalities.timeseries.signals import standardize

CutKind = Literal["beats", "windows"]
Normalize = Literal["record", "window", "none"]


class Cut(NamedTuple):
    """How records are cut; see `read_wfdb` for the meaning of the options."""

    kind: CutKind
    window_s: float
    before_s: float
    hop_s: float
    normalize: Normalize
    annotations: str
    classes: Sequence[str]
    from_median: bool = False

    def length(self, rate_hz: float) -> int:
        """Samples of a row."""
        return round(self.window_s * rate_hz)


class Rows(NamedTuple):
    """What was cut out of a record.

    Attributes:
        signal: (n, c, length) float32; (n, 2 c, length) with `Cut.from_median`.
        samples: (n,) R peak or start of the window, in samples of the file.
        start_s: (n,) where the row begins in the record, in seconds.
        beats: columns `label` and `rr`, for beats only.
        left_out: reason -> count.
        repairs: what was mended, with counts.
    """

    signal: np.ndarray
    samples: np.ndarray
    start_s: np.ndarray
    beats: Mapping[str, np.ndarray]
    left_out: dict[str, int]
    repairs: dict[str, int]


def check_cut(
    kind: CutKind,
    *,
    window_s: float,
    before_s: float | None = None,
    hop_s: float | None = None,
    normalize: Normalize = "record",
    annotations: str = "atr",
    classes: Sequence[str] | None = None,
    from_median: bool = False,
) -> Cut:
    """Fill in the defaults.

    Raises:
        InputError: an option that has no meaning for this kind, or a value out of range.
    """
    idle = {"hop_s": hop_s} if kind == "beats" else {"before_s": before_s, "classes": classes}
    idle |= {"from_median": True} if from_median and kind != "beats" else {}
    given = [name for name, value in idle.items() if value is not None]
    if given:
        raise InputError(f"cut {kind!r} has no use for {', '.join(given)}; leave it out or choose the other cut.")
    before_s = window_s / 3 if before_s is None else before_s
    hop_s = window_s if hop_s is None else hop_s
    if not (window_s > 0 and hop_s > 0 and 0 <= before_s <= window_s):
        raise InputError(
            "expected window_s > 0, hop_s > 0 and before_s between 0 and window_s; "
            f"got window_s={window_s}, hop_s={hop_s}, before_s={before_s}."
        )
    classes = list(AAMI) if classes is None else classes
    unknown = [name for name in classes if name not in AAMI]
    if unknown or not classes:
        raise InputError(f"classes expected a choice of {', '.join(AAMI)}; got {', '.join(unknown) or 'none'}.")
    return Cut(kind, window_s, before_s, hop_s, normalize, annotations, classes, from_median)


def read_rows(
    path: Path,
    name: str,
    cut: Cut,
    writer: SplitWriter,
    *,
    leads: Sequence[Lead],
    rate_hz: float,
    missing_leads: MissingLeads = "set_aside",
    max_gap_s: float = 0.1,
) -> Rows | None:
    """Read and cut one record, and tell the writer what could not be used or had to be mended.

    Args:
        path: of the record, without suffix.
        name: of the record in the report.
        cut: how to cut it.
        writer: takes the report, not the rows.
        leads: see `read_strip`, as for the other options.
        rate_hz: as there.
        missing_leads: as there.
        max_gap_s: as there.

    Returns:
        The rows, or None if the record is set aside.
    """
    try:
        strip = read_strip(path, leads=leads, missing_leads=missing_leads, rate_hz=rate_hz, max_gap_s=max_gap_s)
        rows = cut_record(strip, cut, path, rate_hz)
    except Exception as error:  # wfdb raises all sorts on damaged files
        writer.set_aside(name, reason(error))
        return None
    n_considered = len(rows.signal) + sum(rows.left_out.values())
    for why, count in rows.left_out.items():
        writer.set_aside(name, f"{count} of {n_considered} {cut.kind}: {why}")
    for kind, count in (strip.repairs | rows.repairs).items():
        writer.repaired(kind, count)
    return rows


def cut_record(strip: Strip, cut: Cut, path: Path, rate_hz: float) -> Rows:
    """Cut all rows out of a record.

    Args:
        strip: the record's leads.
        cut: what to cut.
        path: of the record without suffix; its annotation file lies beside it.
        rate_hz: sampling rate of the strip.

    Raises:
        DataError: nothing to cut.
    """
    length, time = cut.length(rate_hz), strip.signal.shape[1]
    left_out: Counter[str] = Counter()
    columns: dict[str, np.ndarray] = {}
    if cut.kind == "beats":
        beats = read_beats(path, cut.annotations)
        wanted = np.isin(beats.classes, cut.classes)
        if not wanted.any():
            raise DataError(f"has no beat of the classes {', '.join(cut.classes)}.")
        seconds = beats.seconds[wanted]
        columns = {
            "label": np.array([cut.classes.index(name) for name in beats.classes[wanted]], np.int64),
            "rr": beats.rr[wanted],
        }
        starts = np.round(seconds * rate_hz).astype(np.int64) - round(cut.before_s * rate_hz)
        left_out["of a kind without a class"] = beats.n_other
    else:
        if time < length:
            raise DataError(f"lasts {time / rate_hz:g} s, less than one window of {cut.window_s:g} s.")
        n_windows = int((time - length) / (cut.hop_s * rate_hz)) + 1
        starts = np.round(np.arange(n_windows) * cut.hop_s * rate_hz).astype(np.int64)
        starts = starts[starts + length <= time]
        seconds = starts / rate_hz
    missing, flat = _faults(strip, starts, length, rate_hz)
    left_out["samples missing for longer than max_gap_s"] = int(missing.sum())
    left_out["flat on every lead"] = int((~missing & flat.all(axis=1)).sum())
    keep = ~missing & ~flat.all(axis=1)
    padded = int((keep & ((starts < 0) | (starts + length > time))).sum())
    signal = _cut_out(strip, starts[keep], length, rate_hz, cut.normalize, flat[keep])
    if cut.from_median and len(signal):
        signal = np.concatenate([signal, signal - np.median(signal, axis=0)], axis=1)
    return Rows(
        signal=signal,
        samples=np.round(seconds * strip.source_rate_hz).astype(np.int64)[keep],
        start_s=starts[keep] / rate_hz,
        beats={name: column[keep] for name, column in columns.items()},
        left_out={why: count for why, count in left_out.items() if count},
        repairs={"beats at the end of a record, padded with its last value": padded} if padded else {},
    )


def _faults(strip: Strip, starts: np.ndarray, length: int, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) touches a long gap; (n, c) lead does not change. Measured on the samples of the file."""
    scale, time = strip.source_rate_hz / rate_hz, strip.changes.shape[1]
    first = np.clip(np.floor(starts * scale).astype(np.int64), 0, time - 1)
    last = np.clip(np.ceil((starts + length) * scale).astype(np.int64) - 1, first, time - 1)
    missing = strip.missing[last + 1] > strip.missing[first]
    return missing, (strip.changes[:, last] == strip.changes[:, first]).T


def _cut_out(
    strip: Strip, starts: np.ndarray, length: int, rate_hz: float, normalize: Normalize, flat: np.ndarray
) -> np.ndarray:
    signal = scale_by_record(strip.signal, rate_hz) if normalize == "record" else strip.signal
    steps = np.clip(starts[:, None] + np.arange(length), 0, signal.shape[1] - 1)
    rows = signal[:, steps].transpose(1, 0, 2)
    if normalize == "window":
        return np.where(flat[:, :, None], 0, standardize(rows)).astype(np.float32)
    return np.ascontiguousarray(rows)
