"""The dilated convolutional encoder of TS2Vec."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from modalities.timeseries.encoders.base import SeriesEncoder
from modalities.timeseries.padded import max_over_time, only


class DilatedConv(SeriesEncoder):
    """Residual blocks of dilated convolutions at full time resolution, with global maximum pooling.

    Block i has two convolutions of three steps with dilation 2**i, each after a GELU; the last block widens to `d`.
    There is no normalisation, so a series is embedded independently of the batch even while training.

    Args:
        in_channels: channels of the signal.
        width: channels of the blocks.
        n_blocks: blocks before the last one; an output sees about 2**(n_blocks + 3) steps.
        d: width of the embeddings.
        dropout: of the features of every step, while training.
        context: see `SeriesEncoder`.

    Shape:
        (b, in_channels, time), or with lengths -> (b, d).

    Example:
        >>> import torch
        >>> DilatedConv(in_channels=12, n_blocks=3)(torch.randn(4, 12, 29)).shape
        torch.Size([4, 320])

    Source: Yue et al., "TS2Vec", AAAI 2022, arXiv 2106.10466, section 2 and appendix: one projection, ten blocks of
    width 64, outputs of width 320. Timestamp masking is left to the views.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 64,
        n_blocks: int = 10,
        d: int = 320,
        dropout: float = 0.1,
        context: int | None = None,
    ) -> None:
        super().__init__(context, in_channels)
        self.projection = nn.Conv1d(in_channels, width, 1)
        self.blocks = nn.ModuleList(_Block(width, width, 2**i) for i in range(n_blocks))
        self.blocks.append(_Block(width, d, 2**n_blocks))
        self.dropout = nn.Dropout(dropout)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        x = only(self.projection(signal), valid)
        for block in self.blocks:
            x = block(x, valid)
        return max_over_time(self.dropout(x), valid)


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(out_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        inner = only(self.first(functional.gelu(x)), valid)
        return only(self.second(functional.gelu(inner)) + self.shortcut(x), valid)
