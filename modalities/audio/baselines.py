"""What is taken for sounds instead of pretraining: MFCC and log-mel statistics in four parts of the clip."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torchaudio
from jaxtyping import Float
from torch import Tensor

from bam_core.protocols import Baseline, FittedBaseline
from modalities.audio.batches import collate_clips
from modalities.audio.mel import LogMel
from modalities.timeseries.padded import padded

PARTS = 4
N_MFCC = 20


def statistics_in_parts(frames: Float[Tensor, "b k t"], valid: Tensor | None) -> Float[Tensor, "b f"]:
    """Mean and deviation of every row of the frames, in four equal parts of each clip; at least one frame a part.

    Example:
        >>> statistics_in_parts(torch.arange(8.0).reshape(1, 1, 8), None).tolist()
        [[0.5, 2.5, 4.5, 6.5, 0.5, 0.5, 0.5, 0.5]]
    """
    steps = torch.arange(frames.shape[-1])
    length = torch.full((len(frames),), frames.shape[-1]) if valid is None else valid.sum(dim=(1, 2))
    means, deviations = [], []
    for part in range(PARTS):
        first = torch.div(part * length, PARTS, rounding_mode="floor")
        last = torch.maximum(torch.div((part + 1) * length, PARTS, rounding_mode="floor"), first + 1)
        inside = ((steps >= first[:, None]) & (steps < last[:, None]))[:, None].to(frames.dtype)
        count = inside.sum(dim=-1)
        mean = (frames * inside).sum(dim=-1) / count
        means.append(mean)
        deviations.append((((frames - mean[..., None]).square() * inside).sum(dim=-1) / count).sqrt())
    return torch.cat([*means, *deviations], dim=1)


def mel_statistics(
    columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int, cepstrum: bool = False
) -> FittedBaseline:
    """Statistics of the log-mel, or of 20 MFCC: the cosine transform of the log-mel."""
    bands = len(facts["mel"]["mean"])
    log_mel = LogMel({**facts["mel"], "mean": [0.0] * bands, "std": [1.0] * bands})
    transform = torchaudio.functional.create_dct(min(N_MFCC, bands), bands, norm="ortho").T

    def features(columns: Mapping[str, Any]) -> Tensor:
        mel, valid = padded(log_mel(collate_clips(columns, facts)))
        return statistics_in_parts(transform @ mel if cepstrum else mel, valid)

    return FittedBaseline(features)


BASELINES = {
    "mfcc": Baseline(
        partial(mel_statistics, cepstrum=True),
        "mean and deviation of 20 MFCC in four parts of the clip.",
        packages=("torchaudio",),
        extra="audio",
    ),
    "log_mel": Baseline(
        mel_statistics,
        "mean and deviation of every band of the log-mel in four parts of the clip.",
        packages=("torchaudio",),
        extra="audio",
    ),
}
