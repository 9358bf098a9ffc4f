"""Convolution over time with batch norm, for padded series."""

from torch import Tensor, nn

from modalities.timeseries.padded import batch_norm


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm; the padding stays zero.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: in steps; odd.
        stride: in steps.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.BatchNorm1d(out_channels)
        self.stride = stride

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(b, in_channels, t), zero behind the end -> (b, out_channels, ceil(t / stride)), likewise."""
        return batch_norm(self.norm, self.conv(x), every(valid, self.stride))


def every(valid: Tensor | None, stride: int) -> Tensor | None:
    """The mask after a stride: of length ceil(length / stride), as that of a convolution that keeps the ends."""
    return valid if valid is None or stride == 1 else valid[..., ::stride]
