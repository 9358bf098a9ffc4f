"""A small residual network over time."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from modalities.timeseries.encoders.base import SeriesEncoder
from modalities.timeseries.encoders.layers import ConvNorm, every
from modalities.timeseries.padded import mean_and_max, only


class ResNet1d(SeriesEncoder):
    """Residual convolutional network with global average and maximum pooling.

    Args:
        in_channels: channels of the signal.
        width: channels of the first block; the blocks have width, 2 * width, 2 * width, ... channels.
        n_blocks: residual blocks of two convolutions each; all but the first halve the time axis. The stem, a
            convolution and a maximum, divides it by four.
        kernel_size: of the convolutions, in samples; odd.
        parts: stretches of equal length that are averaged, one after the other. 1 for the whole series; more tell where
            something happens, as in a heartbeat.
        context: see `SeriesEncoder`.

    Raises:
        InputError: parts below one.

    Shape:
        (b, in_channels, time), or with lengths -> (b, 2 * channels of the last block * parts).

    Example:
        >>> ResNet1d(in_channels=2, width=16)(torch.randn(4, 2, 140)).shape
        torch.Size([4, 64])

    Source: Wang, Yan & Oates, "Time series classification from scratch", IJCNN 2017, arXiv 1611.06455, with strides
    in place of full resolution.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 64,
        n_blocks: int = 3,
        kernel_size: int = 7,
        parts: int = 1,
        context: int | None = None,
    ) -> None:
        super().__init__(context, in_channels)
        if parts < 1:
            raise InputError(f"ResNet1d expected at least one part; got {parts}.")
        self.parts = parts
        self.stem = ConvNorm(in_channels, width, kernel_size, stride=2)
        self.pool = nn.MaxPool1d(3, 2, padding=1)
        channels = [width] + [2 * width] * (n_blocks - 1)
        self.strides = [1] + [2] * (n_blocks - 1)
        self.blocks = nn.ModuleList(
            _BasicBlock(ins, outs, kernel_size, stride)
            for ins, outs, stride in zip([width, *channels], channels, self.strides, strict=False)
        )

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        x = torch.relu(self.stem(signal, valid))
        valid = every(valid, 4)
        x = only(self.pool(x), valid)
        for block, stride in zip(self.blocks, self.strides, strict=True):
            x = block(x, valid)
            valid = every(valid, stride)
        return mean_and_max(x, valid, parts=self.parts)


class _BasicBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = ConvNorm(in_channels, out_channels, kernel_size, stride=stride)
        self.second = ConvNorm(out_channels, out_channels, kernel_size)
        same = in_channels == out_channels and stride == 1
        self.shortcut = None if same else ConvNorm(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x, valid)
        x = torch.relu(self.first(x, valid))
        return torch.relu(self.second(x, every(valid, self.stride)) + shortcut)
