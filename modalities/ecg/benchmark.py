"""What our views of ECGs are measured against: ecg-augmentations alone, and a loop over samples."""

import ecg_augmentations as ea
import numpy as np
import torch

from bam_core.benchmarks.views import LOOP, Race
from modalities.ecg.views import ECGViews

RATE_HZ, CROP, P = 100, 0.8, 0.5


def races() -> list[Race]:
    """Two views of 64 ten-second ECGs of twelve leads, with the default changes."""
    batch = torch.randn(64, 12, 1000, generator=torch.Generator().manual_seed(0))
    views = ECGViews(sampling_rate_hz=RATE_HZ)
    alone = ea.Compose(
        [
            ea.RandomCrop(n_samples=round(CROP * batch.shape[-1])),
            ea.TimeStretch(factor=(0.9, 1.1), p=P),
            ea.AmplitudeScale(scale=(0.7, 1.4), p=P),
            ea.GaussianNoise(snr_db=(10.0, 30.0), p=P),
            ea.BaselineWander(RATE_HZ, amplitude=(0.05, 0.5), p=P),
            ea.TimeMask(RATE_HZ, duration=(0.05, 0.2), p=P),
            ea.LeadMask(n_leads=(1, 6), p=P),
        ]
    )
    generator, rng, arrays = torch.Generator().manual_seed(0), np.random.default_rng(0), list(batch.numpy())
    return [
        Race(
            "64 ECGs of 12 leads x 1000 samples; window, stretch, gain, noise, wander, mask, lead drop",
            2,
            len(batch),
            lambda: views(batch, generator=generator).global_views,
            {
                "ecg-augmentations alone": lambda: [alone(batch, generator=generator) for _ in range(2)],
                LOOP: lambda: [np.stack([view_of(one, rng) for one in arrays]) for _ in range(2)],
            },
            ("ecg-augmentations", "numpy"),
        )
    ]


def view_of(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One view of one ECG (leads, time), as `ECGViews` has it by default."""
    n = round(CROP * x.shape[1])
    start = rng.integers(x.shape[1] - n + 1)
    x = x[:, start : start + n]
    steps = np.arange(n)
    if rng.random() < P:
        factor = rng.uniform(0.9, 1.1)
        places = rng.random() * (n - 1) * (1 - 1 / factor) + steps / factor
        x = np.stack([np.interp(places, steps, lead) for lead in x]).astype(x.dtype)
    if rng.random() < P:
        x = x * np.float32(np.exp(rng.uniform(np.log(0.7), np.log(1.4))))
    if rng.random() < P:
        power = np.mean(np.square(x), axis=1, keepdims=True) / 10 ** (rng.uniform(10, 30) / 10)
        x = x + np.sqrt(power) * rng.standard_normal(x.shape, dtype=np.float32)
    if rng.random() < P:
        wander = np.zeros_like(x)
        for _ in range(3):
            phase = rng.uniform(0, 2 * np.pi, (len(x), 1))
            amplitude = rng.uniform(0.05, 0.5, (len(x), 1)) / 3
            wander += amplitude * np.sin(2 * np.pi * rng.uniform(0.05, 0.5) * steps / RATE_HZ + phase)
        x = x + wander * x.std(axis=1, keepdims=True)
    if rng.random() < P:
        size = round(rng.uniform(0.05, 0.2) * RATE_HZ)
        first = rng.integers(n - size + 1)
        x = np.where((steps >= first) & (steps < first + size), 0, x)
    if rng.random() < P:
        x = x.copy()
        x[rng.choice(len(x), rng.integers(1, 7), replace=False)] = 0
    return x
