"""Synthetic series for tests and first trials."""

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached
from modalities.timeseries.rows import RowWriter, SeriesOptions


def synthetic_series(
    *, n_series: int = 64, n_channels: int = 2, length: int = 64, unequal: bool = False, seed: int = 0
) -> PreparedData:
    """Sines (class 0) and sawteeth (class 1) with noise, four a group, and every fourth group for test.

    Args:
        n_series: series in all.
        n_channels: channels of each, with their own phases.
        length: steps; with `unequal` the longest, and the shortest have half as many.
        unequal: whether lengths differ.
        seed: of everything.

    Returns:
        Prepared data with labels and groups.

    Example:
        >>> synthetic_series(unequal=True).facts["shortest"]
        32
    """
    settings = {"n_series": n_series, "n_channels": n_channels, "length": length, "unequal": unequal, "seed": seed}

    def build(writer: SplitWriter) -> None:
        rng = np.random.default_rng(seed)
        label = rng.permutation(n_series) % 2
        group = np.arange(n_series) // 4
        lengths = np.linspace(length // 2, length, n_series).round().astype(int) if unequal else [length] * n_series
        series = []
        for kind, n in zip(label, lengths, strict=True):
            turns = rng.uniform(3, 6) * np.arange(n) / length + rng.random((n_channels, 1))
            wave = np.sin(2 * np.pi * turns) if kind == 0 else 2 * (turns % 1) - 1
            series.append(wave + 0.1 * rng.standard_normal(wave.shape))
        columns = {
            "label": label,
            "group": np.array([f"group {g}" for g in group]),
            "id": np.array([f"series {i}" for i in range(n_series)]),
        }
        rows = RowWriter(writer, SeriesOptions())
        rows.add(series, columns, np.where(group % 4 == 3, "test", "train"))
        rows.finish({"classes": ["sine", "sawtooth"]})

    return cached("synthetic_series", [], settings, build)
