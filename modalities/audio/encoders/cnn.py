"""A small convolutional network over time and frequency."""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modalities.audio.encoders.base import MelEncoder
from modalities.timeseries.encoders.layers import ConvNorm, every
from modalities.timeseries.padded import batch_norm, max_over_time, mean_over_time


class MelCNN(MelEncoder):
    """2-D convolutions over the log-mel, then all bands of a moment together, average and maximum over time.

    Args:
        mel: what a log-mel is, a fact of the data.
        width: channels of the first convolution; every further one has twice as many.
        n_layers: 3 x 3 convolutions; each halves time and bands.
        d: features of a moment; embeddings have twice as many.
        context_s: see `MelEncoder`.

    Shape:
        Clips -> (b, 2 * d).

    Example:
        >>> from modalities.audio.mel import mel_settings
        >>> network = MelCNN(mel=mel_settings(sampling_rate_hz=8000), width=8, d=64)
        >>> network({"signal": torch.randn(4, 1, 8000), "length": torch.tensor([8000, 900, 7000, 400])}).shape
        torch.Size([4, 128])

    Source: after Niizumi et al., "BYOL for Audio", 2021, arXiv 2103.06695: bands are joined before time is pooled, and
    time is pooled by average and maximum. Strides stand in place of pooling in between, and moments see neighbours.
    """

    def __init__(
        self, *, mel: dict[str, Any], width: int = 32, n_layers: int = 3, d: int = 256, context_s: float | None = None
    ) -> None:
        super().__init__(mel, context_s)
        channels = [1] + [width * 2**i for i in range(n_layers)]
        pairs = list(pairwise(channels))
        self.convs = nn.ModuleList(nn.Conv2d(ins, outs, 3, 2, padding=1, bias=False) for ins, outs in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outs) for _, outs in pairs)
        n_bands = -(-self.log_mel.n_mels // 2**n_layers)
        self.moments = ConvNorm(channels[-1] * n_bands, d, 3)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a clip; see `SeriesEncoder.encode`."""
        x = signal[:, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            valid = every(valid, 2)
            x = torch.relu(batch_norm(norm, conv(x), None if valid is None else valid[:, None]))  # type: ignore
        x = torch.relu(self.moments(x.flatten(1, 2), valid))
        return torch.cat([mean_over_time(x, valid), max_over_time(x, valid)], dim=1)
