"""A transformer over patches of time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalities.timeseries.encoders.base import SeriesEncoder
from modalities.timeseries.encoders.layers import every
from modalities.timeseries.padded import max_over_time, mean_over_time


class PatchTransformer(SeriesEncoder):
    """Patches of all channels as tokens, a transformer between them, average and maximum of the tokens.

    Args:
        in_channels: channels of the signal.
        patch: steps of a patch.
        width: of the tokens; a multiple of `heads`, and even.
        depth: layers.
        heads: of the attention.
        dropout: inside the layers, while training.
        context: see `SeriesEncoder`; the cost of a stretch grows with the square of its patches.

    Shape:
        (b, in_channels, time), or with lengths -> (b, 2 * width).

    Example:
        >>> PatchTransformer(in_channels=3, width=32, depth=2)(torch.randn(4, 3, 1000)).shape
        torch.Size([4, 64])

    Source: after Nie et al., "PatchTST", ICLR 2023, arXiv 2211.14730, whose patches hold one channel each and whose
    positions are learned. Here a patch holds all channels, and positions are fixed sines, so that lengths may vary.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        patch: int = 16,
        width: int = 128,
        depth: int = 3,
        heads: int = 8,
        dropout: float = 0.1,
        context: int | None = 512,
    ) -> None:
        super().__init__(context, in_channels)
        self.patch = patch
        self.tokens = nn.Conv1d(in_channels, width, patch, stride=patch)
        self.layers = nn.ModuleList(  # nn.TransformerEncoder would start all layers with the same weights
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        x = functional.pad(signal, (0, -signal.shape[-1] % self.patch))
        x = self.tokens(x).transpose(1, 2)
        x = x + _positions(x)
        present = every(valid, self.patch)
        hidden = None
        if present is not None:
            hidden = ~present[:, 0]
            hidden[:, 0] = False  # attention among nothing is not a number; empty windows are weighted with zero
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=hidden)
        x = self.norm(x).transpose(1, 2)
        return torch.cat([mean_over_time(x, present), max_over_time(x, present)], dim=1)


def _positions(x: Float[Tensor, "b n d"]) -> Float[Tensor, "n d"]:
    n, width = x.shape[1:]
    rates = torch.exp(torch.arange(0, width, 2, device=x.device) * (-math.log(10_000) / width))
    angles = torch.arange(n, device=x.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(x.dtype)
