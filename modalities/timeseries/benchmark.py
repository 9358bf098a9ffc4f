"""What our views of series are measured against: a loop over samples."""

import numpy as np
import torch

from bam_core.benchmarks.views import LOOP, Race
from modalities.timeseries.views import N_KNOTS, SeriesViews

P = 0.5


def races() -> list[Race]:
    """Two views of 64 series of six channels and 500 steps, with stretched windows and all default changes."""
    batch = torch.randn(64, 6, 500, generator=torch.Generator().manual_seed(0))
    views = SeriesViews(window=(0.7, 1.0), resize=True, time_warp=(0.0, 0.3))
    generator, rng, arrays = torch.Generator().manual_seed(0), np.random.default_rng(0), list(batch.numpy())
    return [
        Race(
            "64 series of 6 channels x 500 steps; resized window, time and magnitude warp, scale, jitter, mask, "
            "channel drop",
            2,
            len(batch),
            lambda: views(batch, generator=generator).global_views,
            {LOOP: lambda: [np.stack([view_of(one, rng) for one in arrays]) for _ in range(2)]},
            ("numpy",),
        )
    ]


def view_of(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One view of one series (channels, time), as those of `races` have it."""
    c, t = x.shape
    steps, knots = np.arange(t), np.linspace(0, 1, N_KNOTS)
    size = max(1, round(rng.uniform(0.7, 1.0) * t))
    start = rng.integers(t - size + 1)
    time = steps / (t - 1)
    if rng.random() < P:
        speed = np.exp(np.interp(time, knots, rng.uniform(0, 0.3) * rng.standard_normal(N_KNOTS)))
        passed = np.cumsum(np.diff(time, prepend=time[:1]) * speed)
        time = passed / passed[-1]
    places = start + (size - 1) * time
    x = np.stack([np.interp(places, steps, channel) for channel in x]).astype(x.dtype)
    if rng.random() < P:
        x = x * np.exp(rng.uniform(np.log(0.7), np.log(1.4), (c, 1))).astype(x.dtype)
    if rng.random() < P:
        strength = rng.uniform(0, 0.3)
        curves = [np.interp(steps / (t - 1), knots, strength * rng.standard_normal(N_KNOTS)) for _ in range(c)]
        x = x * np.exp(np.stack(curves)).astype(x.dtype)
    if rng.random() < P:
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        x = x + rng.uniform(0, 0.2) * x.std(axis=1, keepdims=True) * noise
    if rng.random() < P:
        size = rng.uniform(0.05, 0.2) * t
        first = rng.random() * (t - size)
        x = np.where((steps >= round(first)) & (steps < round(first + size)), 0, x)
    if rng.random() < P:
        x = x.copy()
        x[rng.choice(c, min(c - 1, round(rng.uniform(0.1, 0.3) * c)), replace=False)] = 0
    return x
