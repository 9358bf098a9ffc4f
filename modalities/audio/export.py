"""What exported networks of sounds take: waveforms at the rate of the training, scaled inside as clips are stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bam_core.protocols import ExportInput
from modalities.audio.rows import FULL_SCALE
from modalities.timeseries.padded import steps_before

N_ROWS = 5
SHORTEST_S = 0.1


class SoundInput(nn.Module):
    """Waveforms -> a batch as `collate_clips` makes it: loudest sample 1 if asked for, 16 bits.

    Args:
        each: scale each sound by its loudest sample; else only those above full scale.

    Shape:
        (n, t) and (n,) samples of each -> a batch.
    """

    def __init__(self, *, each: bool) -> None:
        super().__init__()
        self.each = each

    def forward(self, waveform: Tensor, length: Tensor) -> dict[str, Tensor]:
        """Signal and length."""
        signal = waveform[:, None] * steps_before(length, waveform.shape[-1])
        peak = signal.abs().amax(dim=-1, keepdim=True)
        signal = signal / (peak.clamp_min(1e-9) if self.each else peak.clamp_min(1.0))
        stored = (signal * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)
        return {"signal": stored / FULL_SCALE, "length": length}


def export_input(facts: Mapping[str, Any], *, reader: str, options: Mapping[str, Any], seed: int) -> ExportInput:
    """Waveforms (n, time) and their lengths; see `bam_core.protocols.Modality`."""
    rate = facts["sampling_rate_hz"]
    steps = max(round(SHORTEST_S * rate), min(facts["longest"], round(10 * rate)))
    least = min(facts["shortest"], steps)
    rng = np.random.default_rng(seed)
    lengths = [steps, *rng.integers(least, steps + 1, N_ROWS - 1).tolist()]
    waveform = torch.from_numpy((rng.uniform(-0.5, 0.5, (N_ROWS, steps))).astype(np.float32))
    about = {
        "waveform": f"(batch, time) at {rate:g} Hz, one channel, full scale 1",
        "length": "(batch,) samples of each waveform; what comes behind them does not count",
    }
    rows = [row[:n].numpy() for row, n in zip(waveform, lengths, strict=True)]
    used = {"sampling_rate_hz": round(rate), "normalize": options.get("normalize", "clip")}
    return ExportInput(
        SoundInput(each=used["normalize"] == "clip"),
        {"waveform": waveform, "length": torch.tensor(lengths)},
        {"waveform": {1: "time"}},
        about,
        rows if rate == round(rate) else None,
        used,
    )
