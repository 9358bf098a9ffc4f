"""Rows of prepared signals as a batch, what a linear model would be fed, and a picture of one signal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def collate_signals(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Float[Tensor, "b c t"]:
    """The column `signal`, stored flat, as (b, channels, time) float32.

    Args:
        columns: with `signal`, (b, channels * time).
        facts: with `shape`, (channels, time).
    """
    flat = torch.from_numpy(np.asarray(columns["signal"], dtype=np.float32))
    return flat.reshape(len(flat), *facts["shape"])


def flat_signal(batch: Float[Tensor, "b c t"]) -> Float[Tensor, "b k"]:
    """Every value of the signal as a feature, (b, channels * time)."""
    return batch.flatten(1)


def draw_signal(axes: Any, sample: Float[Tensor, "c t"]) -> None:
    """Draw the channels of one signal below each other, without axes."""
    channels = sample.detach().float().cpu().numpy()
    step = 1.2 * max(float(np.ptp(channels)), 1e-9) if len(channels) > 1 else 0.0
    for index, channel in enumerate(channels):
        axes.plot(channel - index * step, linewidth=0.8, color="#1f4e79")
    axes.set_axis_off()
