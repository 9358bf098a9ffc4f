"""Rows of prepared signals as a batch, what a linear model would be fed, and a picture of one signal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ecg_augmentations.ops import interp
from jaxtyping import Float
from torch import Tensor

from modalities.timeseries.padded import only, padded, steps_before
from modalities.timeseries.positions import progress

GRID = 32  # steps to which series of unequal length are brought for a model that knows fixed numbers of features


def collate_signals(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    """The column `signal`, stored flat, as (b, channels, time) float32.

    Series of unequal length are padded with zeros, and come with their lengths: {"signal": (b, c, t), "length": (b,)}.

    Args:
        columns: with `signal`, (b, channels * time), or b arrays of different lengths.
        facts: with `in_channels`, and where they apply `unequal`, `mask_channels`, `channel_mean` and `channel_std`.

    Example:
        >>> batch = collate_signals({"signal": [np.ones(6), np.ones(4)]}, {"in_channels": 2, "unequal": True})
        >>> batch["signal"].shape, batch["length"].tolist()
        (torch.Size([2, 2, 3]), [3, 2])
    """
    rows, channels = columns["signal"], facts["in_channels"]
    if not facts.get("unequal") and len({len(row) for row in rows}) == 1:
        flat = torch.from_numpy(np.array(rows, dtype=np.float32))
        return _standardize(flat.reshape(len(flat), channels, -1), facts)
    lengths = [len(row) // channels for row in rows]
    signal = np.zeros((len(rows), channels, max(lengths)), np.float32)
    for target, row, n_steps in zip(signal, rows, lengths, strict=True):
        target[:, :n_steps] = np.reshape(row, (channels, n_steps))
    length = torch.tensor(lengths)
    scaled = _standardize(torch.from_numpy(signal), facts)
    return {"signal": only(scaled, steps_before(length, max(lengths))), "length": length}


def _standardize(signal: Float[Tensor, "b c t"], facts: Mapping[str, Any]) -> Float[Tensor, "b c t"]:
    """By mean and deviation of the train split, if these are facts; what is masked stays zero."""
    if "channel_mean" not in facts:
        return signal
    mean, std = (torch.tensor(facts[name], dtype=signal.dtype)[:, None] for name in ("channel_mean", "channel_std"))
    if not facts.get("mask_channels"):
        return (signal - mean) / std
    values, known = signal.chunk(2, dim=1)
    return torch.cat([(values - mean) / std * known, known], dim=1)


def flat_signal(batch: Any) -> Float[Tensor, "b k"]:
    """Every value of the signal as a feature, (b, channels * time).

    Series of unequal length are stretched to 32 steps first.
    """
    signal, valid = padded(batch)
    if valid is None:
        return signal.flatten(1)
    length = valid.sum(dim=-1, keepdim=True).to(signal.dtype)
    grid = progress(GRID, torch.full_like(length, GRID)) * (length - 1)
    stretched: Tensor = interp(signal, grid)
    return stretched.flatten(1)


def draw_signal(axes: Any, sample: Any) -> None:
    """Draw the channels of one signal below each other, without axes; a tensor (c, t), or one with its length.

    Channels keep their amplitudes, but not their levels, which would flatten them.
    """
    if isinstance(sample, Mapping):
        sample = sample["signal"][:, : int(sample["length"])]
    channels = sample.detach().float().cpu().numpy()
    step = 1.1 * max(float(np.ptp(channels, axis=1).max()), 1e-9)
    for index, channel in enumerate(channels):
        middle = (channel.max() + channel.min()) / 2 if len(channels) > 1 else 0.0
        axes.plot(channel - middle - index * step, linewidth=0.8, color="#1f4e79")
    axes.set_axis_off()
