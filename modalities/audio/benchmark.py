"""What our views of sounds are measured against: torch-audiomentations where it is installed, and a loop over clips."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bam_core.benchmarks.views import LOOP, Race
from modalities.audio.views import WaveformViews

RATE_HZ, WINDOW, SNR_DB, GAIN_DB, P = 16000, 0.8, (5.0, 20.0), (-10.0, 10.0), 0.5


def races() -> list[Race]:
    """Two views of 32 clips of one second."""
    batch = torch.randn(32, 1, RATE_HZ, generator=torch.Generator().manual_seed(0))
    views = WaveformViews(sampling_rate_hz=RATE_HZ, window=(WINDOW, WINDOW))
    generator, rng, clips = torch.Generator().manual_seed(0), np.random.default_rng(0), batch[:, 0].numpy()
    others: dict[str, Callable[[], Any]] = {}
    if find_spec("torch_audiomentations"):
        theirs = _torch_audiomentations()
        others["torch-audiomentations"] = lambda: [theirs(batch) for _ in range(2)]
    others[LOOP] = lambda: [views_of(clips, rng) for _ in range(2)]
    return [
        Race(
            "32 clips of 1 s at 16 kHz; window, another clip of the batch below it, gain",
            2,
            len(batch),
            lambda: views(batch, generator=generator).global_views,
            others,
            ("torch-audiomentations", "numpy"),
        )
    ]


def _torch_audiomentations() -> Callable[[Tensor], Tensor]:
    import torch_audiomentations as ta
    from torch_audiomentations.augmentations.mix import Mix
    from torch_audiomentations.augmentations.random_crop import RandomCrop

    window = RandomCrop(WINDOW, RATE_HZ)
    changes = ta.Compose(
        [
            Mix(*SNR_DB, mix_target="original", p=P, output_type="dict"),
            ta.Gain(*GAIN_DB, p=P, output_type="dict"),
        ],
        output_type="dict",
    )
    return lambda batch: changes(window(batch), sample_rate=RATE_HZ).samples


def views_of(clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One view of every clip (b, t), as `WaveformViews` makes it."""
    n = round(WINDOW * clips.shape[1])
    windows = [clip[start : start + n] for clip in clips for start in [rng.integers(clips.shape[1] - n + 1)]]
    made = []
    for i, x in enumerate(windows):
        if rng.random() < P:
            other = windows[(i + rng.integers(1, len(windows))) % len(windows)]
            below = np.roll(other, -rng.integers(n))
            ratio = np.mean(np.square(x)) / max(np.mean(np.square(other)), 1e-12)
            x = x + np.sqrt(ratio * 10 ** (-rng.uniform(*SNR_DB) / 10)).astype(x.dtype) * below
        if rng.random() < P:
            x = x * np.float32(10 ** (rng.uniform(*GAIN_DB) / 20))
        made.append(x)
    return np.stack(made)
