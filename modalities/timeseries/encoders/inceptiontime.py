"""InceptionTime: convolutions of several lengths side by side."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalities.timeseries.encoders.base import SeriesEncoder
from modalities.timeseries.encoders.layers import ConvNorm
from modalities.timeseries.padded import batch_norm, mean_and_max


class InceptionTime(SeriesEncoder):
    """Inception network at full time resolution, with global average and maximum pooling.

    A module runs convolutions of the lengths k, k/2 and k/4, and a maximum of three steps, side by side; every third
    module is followed by a shortcut.

    Args:
        in_channels: channels of the signal.
        width: channels of each of the four branches.
        n_modules: inception modules.
        kernel_size: k, in samples.
        context: see `SeriesEncoder`.

    Shape:
        (b, in_channels, time), or with lengths -> (b, 8 * width).

    Example:
        >>> InceptionTime(in_channels=6, width=8, n_modules=3)(torch.randn(4, 6, 100)).shape
        torch.Size([4, 64])

    Source: Ismail Fawaz et al., "InceptionTime", DMKD 2020, arXiv 1909.04939: one network of the ensemble. The paper
    pools averages only.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 32,
        n_modules: int = 6,
        kernel_size: int = 40,
        context: int | None = None,
    ) -> None:
        super().__init__(context, in_channels)
        self.blocks = nn.ModuleList(
            _Inception(in_channels if i == 0 else 4 * width, width, kernel_size) for i in range(n_modules)
        )
        self.shortcuts = nn.ModuleList(
            ConvNorm(in_channels if i == 2 else 4 * width, 4 * width, 1) for i in range(2, n_modules, 3)
        )

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        x = before = signal
        for index, module in enumerate(self.blocks):
            x = module(x, valid)
            if index % 3 == 2:
                x = before = torch.relu(x + self.shortcuts[index // 3](before, valid))
        return mean_and_max(x, valid)


class _Inception(nn.Module):
    def __init__(self, in_channels: int, width: int, kernel_size: int) -> None:
        super().__init__()
        inner = width if in_channels > 1 else 1
        self.bottleneck = nn.Conv1d(in_channels, width, 1, bias=False) if in_channels > 1 else nn.Identity()
        self.sizes = [kernel_size, kernel_size // 2, kernel_size // 4]
        self.branches = nn.ModuleList(nn.Conv1d(inner, width, k, bias=False) for k in self.sizes)
        self.pooled = nn.Conv1d(in_channels, width, 1, bias=False)
        self.norm = nn.BatchNorm1d(4 * width)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        inner = self.bottleneck(x)
        highest = functional.max_pool1d(x if valid is None else x.masked_fill(~valid, -torch.inf), 3, 1, padding=1)
        highest = highest if valid is None else highest.masked_fill(~valid, 0)
        branches = [
            branch(functional.pad(inner, ((k - 1) // 2, k // 2)))
            for branch, k in zip(self.branches, self.sizes, strict=True)
        ]
        joined = torch.cat([*branches, self.pooled(highest)], dim=1)
        return torch.relu(batch_norm(self.norm, joined, valid))
