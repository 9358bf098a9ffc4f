"""One WFDB record: found, described by its header, and read at a common rate with the leads that were asked for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bam_core.errors import DataError, MissingExtraError
from modalities.ecg.files import header_files, readable, segments
from modalities.ecg.leads import Lead, is_ecg, lead_names, lead_title, pick_leads, to_millivolts
from modalities.timeseries.signals import fill_gaps

MissingLeads = Literal["zero", "set_aside"]


class Header(NamedTuple):
    """What is known of a record before its samples are read.

    Attributes:
        leads: names of its signals, see `lead_names`.
        rates_hz: their sampling rates.
        are_ecg: whether they may be leads, see `is_ecg`.
    """

    leads: list[str]
    rates_hz: list[float]
    are_ecg: list[bool]

    def ecg_leads(self) -> list[str]:
        """Names of the signals that may be leads."""
        return [name for name, is_one in zip(self.leads, self.are_ecg, strict=True) if is_one]


class Strip(NamedTuple):
    """The leads of a record at the rate that was asked for, in millivolts, around a median of zero.

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
    headers = header_files(folder)
    inner = {path for header in headers for path in segments(header)}
    paths = [path for path in (header.with_suffix("") for header in headers) if path not in inner]
    unique = len({path.name for path in paths}) == len(paths)
    return {path.name if unique else path.relative_to(folder).as_posix(): path for path in paths}


def read_header(path: Path) -> Header:
    """Read a header, of several segments as well."""
    import wfdb

    with readable(path) as record:
        header: Any = wfdb.rdheader(str(record), rd_segments=True)
    if not header.n_sig:
        raise DataError("the header names no signal.")
    raw = list(header.sig_name)
    described = _described(header)
    units, frames = (_by_name(described, field, raw) for field in ("units", "samps_per_frame"))
    rates = [float(header.fs) * (n or 1) for n in frames]
    names = lead_names(raw)
    return Header(names, rates, [is_ecg(name, unit) for name, unit in zip(names, units, strict=True)])


def _described(header: Any) -> list[Any]:
    """The headers that describe signals: the record's own, or those of its segments."""
    return [part for part in getattr(header, "segments", None) or [header] if part is not None]


def _by_name(headers: Sequence[Any], field: str, names: Sequence[str | None]) -> list[Any]:
    known: dict[str | None, Any] = {}
    for header in headers:
        values = getattr(header, field, None) or [None] * len(header.sig_name or [])
        for name, value in zip(header.sig_name or [], values, strict=True):
            known.setdefault(name, value)
    if len(headers) == 1 and len(getattr(headers[0], field, None) or []) == len(names):
        return list(getattr(headers[0], field))
    return [known.get(name) for name in names]


def reason(error: Exception) -> str:
    """Why a record is set aside, in one line; wfdb raises all sorts of errors on damaged files."""
    if isinstance(error, DataError | OSError):
        return str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
    return f"its header or its samples are damaged ({type(error).__name__}: {error})"


def shared_leads(headers: Sequence[Header]) -> list[str]:
    """The leads that all records have, in the order of the first one; signals that are no ECG are left out.

    Raises:
        DataError: there is none; the message counts the leads.
    """
    folded = [{lead.casefold() for lead in header.ecg_leads()} for header in headers]
    shared = [lead for lead in headers[0].ecg_leads() if all(lead.casefold() in names for names in folded)]
    if not shared:
        counts = Counter(lead for header in headers for lead in header.leads)
        listed = ", ".join(f"{lead} in {count}" for lead, count in counts.most_common())
        raise DataError(
            f"no lead is common to all {len(headers)} records ({listed}). "
            "Name the leads, with alternatives where needed: leads: [[MLII, II]]."
        )
    return shared


def most_common_rate(headers: Iterable[Header], leads: Sequence[Lead]) -> float:
    """The sampling rate that these leads have in most records."""
    rates = []
    for header in headers:
        found = [header.rates_hz[i] for i in pick_leads(header.leads, leads) if i is not None]
        rates.append(max(found or header.rates_hz))
    return Counter(rates).most_common(1)[0][0]


def read_strip(
    path: Path, *, leads: Sequence[Lead], missing_leads: MissingLeads, rate_hz: float, max_gap_s: float
) -> Strip:
    """Read a record.

    Args:
        path: of the record, without suffix.
        leads: wanted leads, one channel each.
        missing_leads: what to do when a lead is not there, or has no valid sample: a channel of zeros, or an error.
        rate_hz: to resample to, with an anti-aliasing filter. Leads with more samples a frame keep them.
        max_gap_s: missing samples are replaced along a straight line; longer gaps are marked in `missing`.

    Raises:
        DataError: leads are missing (all of them, or one under "set_aside"), or given in no voltage.
    """
    import wfdb

    with readable(path) as readable_path:
        record: Any = wfdb.rdrecord(str(readable_path), smooth_frames=False)
    if not record.n_sig:
        raise DataError("the header names no signal.")
    names, raw = lead_names(record.sig_name), record.e_p_signal
    rates = [float(record.fs) * (n or 1) for n in record.samps_per_frame]
    found = pick_leads(names, leads)
    empty = [i is None or not np.isfinite(raw[i]).any() for i in found]
    if all(empty) or (any(empty) and missing_leads == "set_aside"):
        lacking = ", ".join(lead_title(lead) for lead, is_empty in zip(leads, empty, strict=True) if is_empty)
        raise DataError(f"has no samples of lead {lacking}; its leads are {', '.join(names)}.")
    used = [i for i, is_empty in zip(found, empty, strict=True) if i is not None and not is_empty]
    source_rate_hz = max(rates[i] for i in used)
    length = max(len(raw[i]) for i in used if rates[i] == source_rate_hz)
    signal, missing, n_gaps = np.zeros((len(leads), length)), np.zeros((len(leads), length), bool), 0
    for channel, i in enumerate(found):
        if i is None or empty[channel]:
            continue
        factor = to_millivolts(names[i], record.units[i])
        filled = fill_gaps(np.asarray(raw[i], np.float64), round(max_gap_s * rates[i]))
        n_gaps += int(filled.n_gaps)
        centred = (filled.signal - np.median(filled.signal)) * factor
        steps = np.minimum(np.arange(length) * rates[i] // source_rate_hz, len(raw[i]) - 1).astype(np.int64)
        missing[channel] = filled.missing[steps]
        stretched = resample(centred[None], rates[i], source_rate_hz)[0]
        signal[channel, : len(stretched)] = stretched[:length]
    changes = np.pad(np.cumsum(np.diff(signal, axis=1) != 0, axis=1), ((0, 0), (1, 0)))
    spelled = [record.sig_name[i] for i in used if (record.sig_name[i] or "").strip() != names[i]]
    repairs = {
        "short gaps interpolated": n_gaps,
        "records with missing leads set to zero": int(any(empty)),
        f"records resampled to {rate_hz:g} Hz": int(source_rate_hz != rate_hz),
        "records with leads at several rates, brought to the highest": int(len({rates[i] for i in used}) > 1),
        "records with volts or microvolts, read as millivolts": int(
            any(to_millivolts(names[i], record.units[i]) != 1 for i in used)
        ),
        f"records with leads named otherwise, such as {spelled[0]!r}" if spelled else "": int(bool(spelled)),
    }
    return Strip(
        signal=np.asarray(resample(signal, source_rate_hz, rate_hz), np.float32),
        source_rate_hz=source_rate_hz,
        missing=np.concatenate([[0], np.cumsum(missing.any(axis=0))]),
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
    return np.asarray(resampled, signal.dtype)


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
