"""A transformer over patches of time."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.tokens import TokenEncoder, Tokens, kept
from modalities.timeseries.encoders.base import SeriesEncoder, check_context, series_of
from modalities.timeseries.encoders.layers import every
from modalities.timeseries.padded import MeanAndMaxPool, as_batch, padded, shown


class PatchTransformer(SeriesEncoder, TokenEncoder):
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

    trunk: "PatchTrunk"

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
        self.trunk = PatchTrunk(in_channels, patch, width, depth, heads, dropout, context)
        self.pool = MeanAndMaxPool()

    def grid(self, view: Any) -> tuple[int, ...]:
        """Patches of a view, the last one perhaps filled up."""
        return (math.ceil(padded(view).signal.shape[-1] / self.trunk.patch),)

    def patches(self, view: Any) -> Float[Tensor, "b n k"]:
        """All steps and channels of every patch, zeros where the last one is filled up."""
        signal, patch = padded(view).signal, self.trunk.patch
        x: Tensor = functional.pad(signal, (0, -signal.shape[-1] % patch))
        patches: Tensor = x.unflatten(2, (-1, patch)).transpose(1, 2).flatten(2)
        return patches

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        embeddings: Tensor = self.pool(self.trunk(as_batch(signal, valid)))
        return embeddings


class PatchTrunk(nn.Module):
    """Tokens of a `PatchTransformer`: its patches of time, (b, c, t) -> (b, patches, width).

    Args:
        in_channels: see `PatchTransformer`, like all below.
        patch: steps of a patch.
        width: of the tokens.
        depth: layers.
        heads: of the attention.
        dropout: inside the layers.
        context: longest series.

    Raises:
        InputError: in a call, a series longer than the context, or of other channels.
    """

    def __init__(
        self, in_channels: int, patch: int, width: int, depth: int, heads: int, dropout: float, context: int | None
    ) -> None:
        super().__init__()
        self.in_channels, self.patch, self.context = in_channels, patch, context
        self.tokens = nn.Conv1d(in_channels, width, patch, stride=patch)
        self.layers = nn.ModuleList(  # nn.TransformerEncoder would start all layers with the same weights
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, view: Any, *, keep: Tensor | None = None) -> Tokens:
        """Tokens of all patches, or of those to keep (b, k)."""
        signal, valid = series_of(view, self.in_channels, PatchTransformer.__name__)
        check_context(signal.shape[-1], self.context, PatchTransformer.__name__)
        x = functional.pad(signal, (0, -signal.shape[-1] % self.patch))
        x = self.tokens(x).transpose(1, 2)
        x, place = kept(x + _positions(x), keep)
        present = every(valid, self.patch)
        present = None if present is None else kept(present[:, 0], keep).values
        seen = shown(present)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=None if seen is None else ~seen)
        return Tokens(self.norm(x), place, present)


def _positions(x: Float[Tensor, "b n d"]) -> Float[Tensor, "n d"]:
    n, width = x.shape[1:]
    rates = torch.exp(torch.arange(0, width, 2, device=x.device) * (-math.log(10_000) / width))
    angles = torch.arange(n, device=x.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(x.dtype)
