import warnings

import numpy as np
import pytest

with warnings.catch_warnings():  # wfdb 4.3 changes frames "inplace", which pandas 3.1 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import wfdb

RATE_HZ = 360


def heartbeats(n_samples, peaks, height=1.0, seed=0):
    """A spike of 20 ms at every peak, on a slow wave with some noise."""
    time = np.arange(n_samples)
    signal = 0.1 * np.sin(2 * np.pi * time / 1000) + 0.01 * np.random.default_rng(seed).standard_normal(n_samples)
    for peak in peaks:
        signal += height * np.exp(-0.5 * ((time - peak) / 3) ** 2)
    return signal


@pytest.fixture
def write(tmp_path):
    """Writes a WFDB record into a folder, by default 20 s with a beat every second on the leads MLII and V1."""
    folder = tmp_path / "records"
    folder.mkdir()

    def write_record(
        name,
        *,
        leads=("MLII", "V1"),
        rate=RATE_HZ,
        seconds=20,
        symbols="N",
        peaks=None,
        change=None,
        fmt="16",
        **kwargs,
    ):
        n = round(seconds * rate)
        peaks = np.arange(rate, n, rate) if peaks is None else np.array(peaks)
        signal = np.stack([heartbeats(n, peaks, 1.0 + i, seed=i) for i in range(len(leads))], axis=1)
        if change is not None:
            change(signal)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        where = {"write_dir": str(target.parent)}
        wfdb.wrsamp(
            target.name,
            fs=rate,
            units=["mV"] * len(leads),
            sig_name=list(leads),
            p_signal=signal,
            fmt=[fmt] * len(leads),
            adc_gain=[1000.0 if fmt in ("16", "24", "32") else 200.0] * len(leads),
            baseline=[0] * len(leads),
            **where,
        )
        if symbols and len(peaks):
            repeated = [symbols[i % len(symbols)] for i in range(len(peaks))]
            wfdb.wrann(target.name, "atr", sample=peaks, symbol=repeated, **where)
        return target

    write_record.folder = folder
    return write_record
