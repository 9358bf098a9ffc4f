"""One WFDB record: found, described by its header, and read at a common rate with the leads that were asked for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bam_core.errors import DataError, MissingExtraError
from modalities.timeseries.signals import fill_gaps

Lead = str | Sequence[str]  # a name, or alternatives in order of preference
MissingLeads = Literal["zero", "set_aside"]


class Header(NamedTuple):
    """What is known of a record before its samples are read."""

    leads: list[str]
    sampling_rate_hz: float


class Strip(NamedTuple):
    """The leads of a record at the rate that was asked for, in physical units, around a median of zero.

    Attributes:
        signal: (c, t) float32.
        source_rate_hz: of the file.
        missing: (t_source + 1,) number of samples in long gaps up to a source sample.
        changes: (c, t_source) number of changes of value up to a source sample.
        repairs: what was mended, with counts.
    """

    signal: np.ndarray
    source_rate_hz: float
    missing: np.ndarray
    changes: np.ndarray
    repairs: dict[str, int]


def require_wfdb() -> None:
    """See to it that records can be read.

    Raises:
        MissingExtraError: wfdb is not installed.
    """
    try:
        import wfdb  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("WFDB records need the package wfdb: pip install 'bam-ssl[ecg]'.") from error


def find_records(folder: Path) -> dict[str, Path]:
    """Name -> path without suffix of every record under a folder; names are short if that is unambiguous.

    Records that are only segments of another one are not listed.
    """
    headers = sorted(folder.rglob("*.hea"))
    segments = {path for header in headers for path in _segments(header)}
    paths = [path for path in (header.with_suffix("") for header in headers) if path not in segments]
    unique = len({path.name for path in paths}) == len(paths)
    return {path.name if unique else path.relative_to(folder).as_posix(): path for path in paths}


def _segments(header: Path) -> list[Path]:
    with header.open(encoding="ascii", errors="ignore") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    if not lines or "/" not in lines[0][0]:  # "name/2" announces two segments, a line each
        return []
    return [header.with_name(fields[0]) for fields in lines[1:]]


def read_header(path: Path) -> Header:
    """Read a header, of several segments as well."""
    import wfdb

    header = wfdb.rdheader(str(path), rd_segments=True)
    return Header(_lead_names(header), float(header.fs))


def reason(error: Exception) -> str:
    """Why a record is set aside, in one line; wfdb raises all sorts of errors on damaged files."""
    return str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"


def shared_leads(headers: Sequence[Header]) -> list[str]:
    """The leads that all records have, in the order of the first one.

    Raises:
        DataError: there is none; the message counts the leads.
    """
    folded = [{lead.casefold() for lead in header.leads} for header in headers]
    shared = [lead for lead in headers[0].leads if all(lead.casefold() in names for names in folded)]
    if not shared:
        counts = Counter(lead for header in headers for lead in header.leads)
        listed = ", ".join(f"{lead} in {count}" for lead, count in counts.most_common())
        raise DataError(
            f"no lead is common to all {len(headers)} records ({listed}). "
            "Name the leads, with alternatives where needed: leads: [[MLII, II]]."
        )
    return list(dict.fromkeys(shared))


def most_common_rate(headers: Iterable[Header]) -> float:
    """The sampling rate that most records have."""
    return Counter(header.sampling_rate_hz for header in headers).most_common(1)[0][0]


def pick_leads(available: Sequence[str], wanted: Sequence[Lead]) -> list[int | None]:
    """Position of every wanted lead, or None; names are compared without case.

    Example:
        >>> pick_leads(["V5", "mlii"], [["II", "MLII"], "V1"])
        [1, None]
    """
    position = {name.casefold(): i for i, name in reversed(list(enumerate(available)))}
    picked = []
    for lead in wanted:
        names = [lead] if isinstance(lead, str) else lead
        picked.append(next((position[name.casefold()] for name in names if name.casefold() in position), None))
    return picked


def read_strip(
    path: Path, *, leads: Sequence[Lead], missing_leads: MissingLeads, rate_hz: float, max_gap_s: float
) -> Strip:
    """Read a record.

    Args:
        path: of the record, without suffix.
        leads: wanted leads, one channel each.
        missing_leads: what to do when a lead is not there, or has no valid sample: a channel of zeros, or an error.
        rate_hz: to resample to, with an anti-aliasing filter.
        max_gap_s: missing samples are replaced along a straight line; longer gaps are marked in `missing`.

    Raises:
        DataError: leads are missing (all of them, or one under "set_aside").
    """
    import wfdb

    record: Any = wfdb.rdrecord(str(path), return_res=32)
    available, raw, source_rate_hz = _lead_names(record), record.p_signal, float(record.fs)
    found = pick_leads(available, leads)
    empty = [i is None or not np.isfinite(raw[:, i]).any() for i in found]
    if all(empty) or (any(empty) and missing_leads == "set_aside"):
        lacking = ", ".join(_lead_name(lead) for lead, is_empty in zip(leads, empty, strict=True) if is_empty)
        raise DataError(f"has no samples of lead {lacking}; its leads are {', '.join(available)}.")
    signal = np.zeros((len(leads), len(raw)), np.float32)
    for channel, i in enumerate(found):
        if not empty[channel]:
            signal[channel] = raw[:, i]
    filled = fill_gaps(signal, round(max_gap_s * source_rate_hz))
    signal = filled.signal - np.median(filled.signal, axis=1, keepdims=True)
    changes = np.pad(np.cumsum(np.diff(signal, axis=1) != 0, axis=1), ((0, 0), (1, 0)))
    repairs = {
        "short gaps interpolated": int(filled.n_gaps.sum()),
        "records with missing leads set to zero": int(any(empty)),
        f"records resampled to {rate_hz:g} Hz": int(source_rate_hz != rate_hz),
    }
    return Strip(
        signal=resample(signal, source_rate_hz, rate_hz),
        source_rate_hz=source_rate_hz,
        missing=np.concatenate([[0], np.cumsum(filled.missing.any(axis=0))]),
        changes=changes,
        repairs={kind: count for kind, count in repairs.items() if count},
    )


def resample(signal: np.ndarray, source_rate_hz: float, rate_hz: float) -> np.ndarray:
    """Bring (c, t) samples to another rate with a polyphase low-pass filter."""
    ratio = Fraction(rate_hz / source_rate_hz).limit_denominator(1000)
    if ratio == 1:
        return signal
    from scipy.signal import resample_poly

    resampled = resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="edge")
    return np.asarray(resampled, np.float32)


def scale_by_record(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """Divide every lead by the median standard deviation of its two-second pieces.

    A piece of two seconds holds a beat; the median over the pieces is deaf to artefacts. A flat lead stays zero.

    Args:
        signal: (c, t).
        rate_hz: its sampling rate.
    """
    length = min(round(2 * rate_hz), signal.shape[1])
    pieces = signal[:, : signal.shape[1] // length * length].reshape(len(signal), -1, length)
    spread = pieces.std(axis=-1)
    scale = np.array([np.median(lead[lead > 0]) if (lead > 0).any() else 1 for lead in spread], np.float32)
    return np.asarray(signal / scale[:, None], np.float32)


def _lead_names(header: Any) -> list[str]:
    if not header.n_sig:
        raise DataError("the header names no signal.")
    return [name or f"signal {i}" for i, name in enumerate(header.sig_name)]


def _lead_name(lead: Lead) -> str:
    return lead if isinstance(lead, str) else " or ".join(lead)
