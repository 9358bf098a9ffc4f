"""Networks for sampled signals, (b, channels, time) -> (b, d), for any length."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ResNet1d(nn.Module):
    """Residual convolutional network with global average and maximum pooling.

    Args:
        in_channels: channels of the signal.
        width: channels of the first block; the blocks have width, 2 * width, 2 * width, ... channels.
        n_blocks: residual blocks of two convolutions each; all but the first halve the time axis. The stem, a
            convolution and a maximum, divides it by four.
        kernel_size: of the convolutions, in samples; odd.

    Shape:
        (b, in_channels, time) -> (b, 2 * channels of the last block).

    Example:
        >>> ResNet1d(in_channels=2, width=16)(torch.randn(4, 2, 140)).shape
        torch.Size([4, 64])

    Source: Wang, Yan & Oates, "Time series classification from scratch", IJCNN 2017, arXiv 1611.06455, with strides
    in place of full resolution.
    """

    def __init__(self, *, in_channels: int, width: int = 64, n_blocks: int = 3, kernel_size: int = 7) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(in_channels, width, kernel_size, stride=2), nn.ReLU(inplace=True), nn.MaxPool1d(3, 2, padding=1)
        )
        channels = [width] + [2 * width] * (n_blocks - 1)
        self.blocks = nn.Sequential(
            *(
                _BasicBlock(ins, outs, kernel_size, stride=1 if i == 0 else 2)
                for i, (ins, outs) in enumerate(zip([width, *channels], channels, strict=False))
            )
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d"]:
        """One vector a signal."""
        x = self.blocks(self.stem(x))
        return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)


class _BasicBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(in_channels, out_channels, kernel_size, stride=stride),
            nn.ReLU(inplace=True),
            _conv(out_channels, out_channels, kernel_size),
        )
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else _conv(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _conv(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm1d(out_channels),
    )
