"""A small residual network over time and frequency."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modalities.audio.encoders.base import MelEncoder
from modalities.timeseries.encoders.layers import every
from modalities.timeseries.padded import batch_norm, max_over_time, mean_over_time


class MelCNN(MelEncoder):
    """Residual 2-D convolutions over the log-mel, then all bands of a moment together, average and maximum over time.

    Args:
        mel: what a log-mel is, a fact of the data.
        width: channels of the first block; every further one has twice as many, and halves time and bands.
        n_blocks: residual blocks of two 3 x 3 convolutions each, behind a stem that halves time and bands.
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
    time is pooled by average and maximum. Residual blocks after He et al., CVPR 2016, arXiv 1512.03385.
    """

    def __init__(
        self,
        *,
        mel: dict[str, object],
        width: int = 16,
        n_blocks: int = 3,
        d: int = 256,
        context_s: float | None = None,
    ) -> None:
        super().__init__(mel, context_s)
        self.stem = _ConvNorm(1, width, stride=2)
        channels = [width * 2**i for i in range(n_blocks)]
        self.strides = [1] + [2] * (n_blocks - 1)
        self.blocks = nn.ModuleList(
            _Block(ins, outs, stride)
            for ins, outs, stride in zip([width, *channels], channels, self.strides, strict=False)
        )
        n_bands = -(-self.log_mel.n_mels // 2**n_blocks)
        self.moment = nn.Conv1d(channels[-1] * n_bands, d, 1, bias=False)
        self.norm = nn.BatchNorm1d(d)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a clip; see `SeriesEncoder.encode`."""
        valid = None if valid is None else valid[:, None]  # (b, 1, 1, t)
        x = torch.relu(self.stem(signal[:, None], valid))
        valid = every(valid, 2)
        for block, stride in zip(self.blocks, self.strides, strict=True):
            x = block(x, valid)
            valid = every(valid, stride)
        over_time = None if valid is None else valid[:, 0]
        x = torch.relu(batch_norm(self.norm, self.moment(x.flatten(1, 2)), over_time))
        return torch.cat([mean_over_time(x, over_time), max_over_time(x, over_time)], dim=1)


class _ConvNorm(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, size: int = 3, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.stride = stride

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return batch_norm(self.norm, self.conv(x), every(valid, self.stride))


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = _ConvNorm(in_channels, out_channels, stride=stride)
        self.second = _ConvNorm(out_channels, out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = None if same else _ConvNorm(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x, valid)
        x = torch.relu(self.first(x, valid))
        return torch.relu(self.second(x, every(valid, self.stride)) + shortcut)
