"""Synthetic ECGs for tests and first trials."""

import ecg_augmentations as ea
import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached


def synthetic_records(*, n_records: int = 64, n_leads: int = 2, seconds: float = 2.0, seed: int = 0) -> PreparedData:
    """Records with slow (class 0) and fast (class 1) heart rates, four of a person, a quarter of the persons for test.

    Args:
        n_records: records in all.
        n_leads: leads of each.
        seconds: length, at 100 Hz.
        seed: of rates, leads and noise.

    Returns:
        Prepared data with labels and groups.
    """
    settings = {"n_records": n_records, "n_leads": n_leads, "seconds": seconds, "seed": seed}

    def build(writer: SplitWriter) -> None:
        rng = np.random.default_rng(seed)
        label = rng.permutation(n_records) % 2
        person = np.arange(n_records) // 4
        signal = np.stack(
            [
                ea.synthetic_ecg(
                    seconds, 100, rng.uniform(50, 70) if y == 0 else rng.uniform(100, 140), n_leads, seed=i
                )[0]
                for i, y in enumerate(label)
            ]
        )
        signal = (signal + 0.05 * rng.standard_normal(signal.shape)).astype(np.float32)
        test = person % 4 == 3
        for split, rows in (("train", ~test), ("test", test)):
            writer.add(
                split,
                signal=signal[rows],
                label=label[rows],
                group=[f"person {p}" for p in person[rows]],
                id=[f"record {i}" for i in np.flatnonzero(rows)],
            )
        writer.facts.update(
            in_channels=n_leads, length=signal.shape[-1], sampling_rate_hz=100.0, classes=["slow", "fast"]
        )

    return cached("synthetic_ecg", [], settings, build)
