"""The standard network of the PTB-XL benchmark; small networks come from the time-series modality."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class XResNet1d(nn.Module):
    """xresnet for signals: three-layer stem, bottleneck blocks, average-pooled shortcuts, joined average and max pool.

    Args:
        in_channels: leads.
        layers: bottleneck blocks of each of the stages; (3, 4, 6, 3) is xresnet1d50.
        width: inner channels of every block; its output has four times as many.
        kernel_size: of the convolutions, in samples; odd.

    Shape:
        (b, in_channels, time) -> (b, 8 * width).

    Example:
        >>> XResNet1d(in_channels=12, layers=(1, 1), width=8)(torch.randn(2, 12, 250)).shape
        torch.Size([2, 64])

    Source: He et al., "Bag of tricks", CVPR 2019, arXiv 1812.01187 (ResNet-D); Strodthoff et al., "Deep learning for
    ECG analysis: benchmarks and insights from PTB-XL", IEEE JBHI 2021, arXiv 2004.13701.
    """

    def __init__(
        self, *, in_channels: int, layers: Sequence[int] = (3, 4, 6, 3), width: int = 64, kernel_size: int = 5
    ) -> None:
        super().__init__()
        stem = [in_channels, 32, 32, 64]
        self.stem = nn.Sequential(
            *(_conv_norm_relu(stem[i], stem[i + 1], kernel_size, stride=2 if i == 0 else 1) for i in range(3)),
            nn.MaxPool1d(3, stride=2, padding=1),
        )
        blocks: list[nn.Module] = []
        channels = stem[-1]
        for stage, depth in enumerate(layers):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_Bottleneck(channels, width, kernel_size, stride))
                channels = 4 * width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d"]:
        """One vector a signal."""
        x = self.blocks(self.stem(x))
        return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)


def xresnet1d50(*, in_channels: int) -> XResNet1d:
    """The PTB-XL benchmark's xresnet1d50, without its head: (b, in_channels, time) -> (b, 512).

    Args:
        in_channels: leads.
    """
    return XResNet1d(in_channels=in_channels)


class _Bottleneck(nn.Module):
    def __init__(self, in_channels: int, width: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        last_norm = nn.BatchNorm1d(out_channels)
        nn.init.zeros_(last_norm.weight)  # every block starts as the identity
        self.body = nn.Sequential(
            _conv_norm_relu(in_channels, width, 1),
            _conv_norm_relu(width, width, kernel_size, stride=stride),
            _conv(width, out_channels, 1),
            last_norm,
        )
        shortcut: list[nn.Module] = []
        if stride != 1:
            shortcut.append(nn.AvgPool1d(stride, ceil_mode=True))
        if in_channels != out_channels:
            shortcut += [_conv(in_channels, out_channels, 1), nn.BatchNorm1d(out_channels)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _conv(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Conv1d:
    conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight)
    return conv


def _conv_norm_relu(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        _conv(in_channels, out_channels, kernel_size, stride=stride),
        nn.BatchNorm1d(out_channels),
        nn.ReLU(inplace=True),
    )
