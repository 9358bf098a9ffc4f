"""Rows in memory for every modality, with options that make a quick encoder."""

import numpy as np
import pandas as pd

TINY = {
    "tabular": {"encoder": {"width": 8, "depth": 1}},
    "timeseries": {"encoder": {"d": 8, "n_dilations": 2, "n_thresholds": 1}},
    "ecg": {"encoder": {"width": 4, "n_blocks": 1}, "data": {"sampling_rate_hz": 100}},
    "audio": {"encoder": {"width": 2, "d": 8}, "data": {"sampling_rate_hz": 4000, "n_mels": 16}},
    "image": {"encoder": {"n_patches": 4, "d": 8}},
}


def rows_of(modality, n=12, seed=0):
    rng = np.random.default_rng(seed)
    if modality == "tabular":
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")
        return pd.DataFrame(
            {
                "size": rng.normal(5, 2, n).round(2),
                "label": rng.choice(["red", "green", None], n),  # a feature, whatever it is called
                "since": days.strftime("%Y-%m-%d"),
            }
        )
    if modality == "ecg":
        return rng.normal(size=(n, 2, 200))
    if modality == "image":
        return rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    scale, channels = (1, (2,)) if modality == "timeseries" else (100, ())
    return [rng.normal(size=(*channels, length)) for length in scale * rng.integers(20, 40, n)]


def take(rows, index):
    """Some rows, by position, of whatever kind."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[index]
    return rows[index] if isinstance(rows, np.ndarray) else [rows[i] for i in index]
