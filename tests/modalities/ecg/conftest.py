import warnings

import numpy as np
import pytest
from ecg_folders import heartbeats, write_record

with warnings.catch_warnings():  # see ecg_folders.py
    warnings.simplefilter("ignore", DeprecationWarning)
    import wfdb


@pytest.fixture
def write(tmp_path):
    """Writes a WFDB record into a folder, by default 20 s with a beat every second on the leads MLII and V1."""
    folder = tmp_path / "records"
    folder.mkdir()

    def write(
        name,
        *,
        leads=("MLII", "V1"),
        rate=360,
        seconds=20,
        symbols="N",
        peaks=None,
        change=None,
        fmt="16",
    ):
        n = round(seconds * rate)
        peaks = np.arange(rate, n, rate) if peaks is None else np.array(peaks)
        signal = np.stack([heartbeats(n, peaks, 1.0 + i, seed=i) for i in range(len(leads))], axis=1)
        if change is not None:
            change(signal)
        target = folder / name
        gain = 1000.0 if fmt in ("16", "24", "32") else 200.0
        write_record(target, signal, rate=rate, leads=leads, fmt=fmt, gain=gain)
        if symbols and len(peaks):
            repeated = [symbols[i % len(symbols)] for i in range(len(peaks))]
            wfdb.wrann(target.name, "atr", sample=peaks, symbol=repeated, write_dir=str(target.parent))
        return target

    write.folder = folder
    return write
