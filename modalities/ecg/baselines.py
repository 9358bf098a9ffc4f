"""What is taken for ECGs instead of pretraining: MiniRocket, RR intervals with amplitudes, heart rate and intervals."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bam_core.protocols import Baseline, FittedBaseline
from modalities.timeseries.baselines import BASELINES as OF_SERIES
from modalities.timeseries.baselines import signals

SHORTEST_S = 4.0  # of a record: a few beats
WAVES = ("ECG_P_Onsets", "ECG_R_Onsets", "ECG_R_Offsets", "ECG_T_Offsets")


def amplitudes(signal: np.ndarray) -> np.ndarray:
    """Largest and smallest value, where they are, deviation and mean slope of every lead: (b, c, t) -> (b, 6 c)."""
    steps = max(signal.shape[-1] - 1, 1)
    parts = [
        signal.max(axis=-1),
        signal.min(axis=-1),
        signal.argmax(axis=-1) / steps,
        signal.argmin(axis=-1) / steps,
        signal.std(axis=-1),
        np.abs(np.diff(signal, axis=-1)).mean(axis=-1),
    ]
    return np.concatenate(parts, axis=1)


def rr_intervals(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """RR intervals around a beat, their ratio, the first against its surroundings, and amplitudes of every lead."""

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        rr = np.asarray(columns["rr"], np.float64).reshape(-1, 3)
        before, after, relative = rr.T
        ratio = np.log(np.maximum(before, 1e-3) / np.maximum(after, 1e-3))
        return np.concatenate([np.stack([before, after, ratio, relative], 1), amplitudes(signals(columns, facts))], 1)

    return FittedBaseline(features)


def heart_rate(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """Rate, its variability, and PR, QRS and QT intervals on one lead by neurokit2; amplitudes of every lead.

    What is not found in a record is the mean of the rows that `fit` saw, and marked.
    """
    rate_hz = facts["sampling_rate_hz"]
    leads = [str(lead).upper() for lead in facts.get("leads", ())]
    lead = next((leads.index(name) for name in ("II", "MLII", "I") if name in leads), 0)

    def measured(signal: np.ndarray) -> np.ndarray:
        return np.stack([intervals(row[lead].astype(np.float64), rate_hz) for row in signal])

    seen = measured(signals(columns, facts))
    known = np.isfinite(seen)
    typical = np.where(known, seen, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        signal = signals(columns, facts)
        found = measured(signal)
        missing = np.isnan(found)
        return np.concatenate([np.where(missing, typical, found), missing, amplitudes(signal)], axis=1)

    return FittedBaseline(features, note=f"Intervals are those of lead {leads[lead] if leads else lead + 1}.")


def intervals(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """Of one lead: mean, smallest, largest and deviation of RR, RMSSD, share of differences above 50 ms, PR, QRS, QT.

    Args:
        signal: (t,).
        rate_hz: its sampling rate.

    Returns:
        (9,) in seconds but for the share; NaN where it cannot be measured.
    """
    import neurokit2

    found = np.full(9, np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            clean = neurokit2.ecg_clean(signal, sampling_rate=rate_hz)
            peaks = np.asarray(neurokit2.ecg_peaks(clean, sampling_rate=rate_hz)[1]["ECG_R_Peaks"], np.int64)
        except (ValueError, IndexError, ZeroDivisionError):  # a lead without beats
            return found
        rr = np.diff(peaks) / rate_hz
        if len(rr) < 2:
            return found
        change = np.diff(rr)
        found[:6] = (
            *(rr.mean(), rr.min(), rr.max(), rr.std()),
            *(np.sqrt(np.square(change).mean()), (np.abs(change) > 0.05).mean()),
        )
        try:
            waves = neurokit2.ecg_delineate(clean, peaks, sampling_rate=rate_hz, method="prominence")[1]
            p_on, r_on, r_off, t_off = (np.asarray(waves[name], np.float64)[: len(peaks)] for name in WAVES)
        except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError):  # too few or too odd beats
            return found
        for place, length in enumerate((r_on - p_on, r_off - r_on, t_off - r_on), start=6):
            found[place] = np.nanmedian(length) / rate_hz if np.isfinite(length).any() else np.nan
    return found


def no_intervals(names: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Why there are no RR intervals."""
    return "" if "rr" in names else "the reader knows no RR intervals; WFDB records cut into beats have them."


def no_heart_rate(names: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Why there is no heart rate."""
    rate_hz, length = facts.get("sampling_rate_hz"), facts.get("length") or (facts.get("shape") or [0])[-1]
    if not rate_hz:
        return "the sampling rate is not known."
    seconds = length / rate_hz
    return "" if seconds >= SHORTEST_S else f"a row lasts {seconds:g} s, and a rate needs {SHORTEST_S:g} s."


BASELINES = {
    **OF_SERIES,
    "rr_intervals": Baseline(
        rr_intervals, "RR intervals around the beat, and amplitudes of every lead.", fit_rows=1, why_not=no_intervals
    ),
    "heart_rate": Baseline(
        heart_rate,
        "heart rate, its variability, PR, QRS and QT intervals (neurokit2), and amplitudes of every lead.",
        packages=("neurokit2",),
        fit_rows=256,
        why_not=no_heart_rate,
    ),
}
