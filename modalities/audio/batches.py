"""Rows of clips as a batch, what a linear model would be fed, and a picture of one clip."""

from collections.abc import Mapping
from typing import Any

import torch
from ecg_augmentations.ops import interp
from jaxtyping import Float
from torch import Tensor

from modalities.audio.mel import LogMel
from modalities.audio.rows import FULL_SCALE
from modalities.timeseries.batches import collate_signals
from modalities.timeseries.padded import mean_over_time, padded
from modalities.timeseries.positions import progress

GRID = 16  # moments of a clip in its raw features


def collate_clips(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """Clips of unequal length, padded with zeros: {"signal": (b, 1, t) in [-1, 1], "length": (b,)}."""
    batch = collate_signals(columns, {**facts, "in_channels": 1, "unequal": True})
    return {"signal": batch["signal"] / FULL_SCALE, "length": batch["length"]}


def log_mel_features(batch: Any, *, facts: Mapping[str, Any]) -> Float[Tensor, "b k"]:
    """Every band of the log-mel at 16 moments of the clip, and its mean and deviation over time."""
    mel, valid = padded(LogMel(facts["mel"])(batch))
    length = torch.full_like(mel[:, :1, :1], mel.shape[-1])
    if valid is not None:
        length = valid.sum(dim=-1, keepdim=True).to(mel.dtype)
    grid = progress(GRID, torch.full_like(length, GRID)) * (length - 1)
    mean = mean_over_time(mel, valid)
    spread = (mean_over_time(mel.square(), valid) - mean.square()).clamp_min(0).sqrt()
    return torch.cat([interp(mel, grid).flatten(1), mean, spread], dim=1)


def draw_clip(axes: Any, sample: Any, *, facts: Mapping[str, Any]) -> None:
    """Draw one waveform, or one log-mel, as a log-mel: time to the right, low bands below."""
    signal = sample["signal"][None].detach().float().cpu()
    length = sample["length"].reshape(1).cpu()
    mel = LogMel(facts["mel"])({"signal": signal, "length": length})
    picture = mel["signal"][0, :, : int(mel["length"][0])].numpy()
    axes.imshow(picture, origin="lower", aspect="auto", cmap="magma", vmin=-2.5, vmax=2.5, interpolation="nearest")
    axes.set_axis_off()
