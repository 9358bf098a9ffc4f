"""Random dilated convolutions that stay as they are, and a trainable layer on how often each exceeds its thresholds."""

import math
import random
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from modalities.timeseries.encoders.base import SeriesEncoder
from modalities.timeseries.padded import in_parts

KERNEL_LENGTH = 9
N_CALIBRATION = 64  # series whose outputs give the thresholds


class Rocket(SeriesEncoder):
    """MiniRocket's kernels, fixed, and one trainable linear layer.

    A kernel has nine taps, three of them 2 and six of them -1: 84 in all, at several dilations, each over a random
    choice of channels. What is kept of a kernel's output is the proportion of steps above each of some thresholds.
    These proportions, shifted and scaled, are the features of the linear layer. Only that layer learns, so a step
    costs little more than a forward pass.

    `calibrate` sets thresholds, shifts and scales from some series of the training data. A run does it before the
    first step. Without it all thresholds are 0, which suits standardised series.

    Args:
        in_channels: channels of the signal.
        length: steps of the series; the widest kernel spans them. The data know it.
        longest: the same for series of unequal length.
        d: width of the embeddings.
        n_dilations: from 1 to the length, evenly on a logarithmic scale; the same one is not taken twice.
        n_thresholds: of every kernel and dilation.
        n_positions: steps at which a kernel is looked at, at least; wide kernels leave out steps between.
        parts: stretches of equal length over which proportions are taken, one after the other. 1 for the whole series;
            more tell where something happens.
        seed: of the random choices.
        context: see `SeriesEncoder`.

    Raises:
        InputError: neither length nor longest, or counts below one.

    Shape:
        (b, in_channels, time), or with lengths -> (b, d).

    Example:
        >>> Rocket(in_channels=2, length=140, d=64)(torch.randn(4, 2, 140)).shape
        torch.Size([4, 64])

    Source: Dempster, Schmidt & Webb, "MiniRocket", KDD 2021, arXiv 2012.08791 (kernels, thresholds, proportions). The
    strides, the parts and the trainable layer are ours.
    """

    kernels: Tensor
    thresholds: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        in_channels: int,
        length: int | None = None,
        longest: int | None = None,
        d: int = 256,
        n_dilations: int = 8,
        n_thresholds: int = 3,
        n_positions: int = 64,
        parts: int = 1,
        seed: int = 0,
        context: int | None = None,
    ) -> None:
        super().__init__(context, in_channels)
        steps = length or longest
        if steps is None or min(steps, d, n_dilations, n_thresholds, n_positions, parts) < 1:
            raise InputError(
                "the rocket encoder expected length (or longest), d, n_dilations, n_thresholds, n_positions and parts "
                f"of at least one; got {steps}, {d}, {n_dilations}, {n_thresholds}, {n_positions}, {parts}."
            )
        steps = steps if context is None else min(steps, context)
        widest = math.log2(max(1, (steps - 1) // (KERNEL_LENGTH - 1)))
        self.dilations = sorted({int(2 ** (widest * i / max(1, n_dilations - 1))) for i in range(n_dilations)})
        self.strides = [max(1, min(dilation, steps // (n_positions * parts))) for dilation in self.dilations]
        self.parts = parts
        draw = random.Random(seed)
        patterns = _patterns()
        chosen = [_channels(len(patterns), in_channels, draw) for _ in self.dilations]
        kernels = torch.stack([(channels[:, :, None] * patterns[:, None]).flatten(1) for channels in chosen])
        self.register_buffer("kernels", kernels)
        self.register_buffer("thresholds", torch.zeros(len(kernels), n_thresholds, len(patterns), 1))
        n_features = self.thresholds.numel() * parts
        self.register_buffer("shift", torch.full((n_features,), 0.5))
        self.register_buffer("scale", torch.full((n_features,), 4.0))
        self.head = nn.Linear(n_features, d)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; see `SeriesEncoder.encode`."""
        features = (self.proportions(signal, valid) - self.shift) * self.scale
        embeddings: Tensor = self.head(features.to(self.head.weight.dtype))
        return embeddings

    @torch.no_grad()
    def calibrate(self, batch: Any) -> None:
        """Set thresholds, shifts and scales from a batch of series, some hundred of all kinds.

        A threshold is a quantile of the output of its kernel for one series, as in MiniRocket.
        """
        signal, valid = self._padded(batch)
        n_thresholds, n_kernels = self.thresholds.shape[1:3]
        golden = (torch.arange(1, n_thresholds * n_kernels + 1) * (math.sqrt(5) - 1) / 2) % 1
        some = signal[:N_CALIBRATION]
        for index, (dilation, stride) in enumerate(zip(self.dilations, self.strides, strict=True)):
            output = self._convolve(some, index, dilation, stride)
            within = None if valid is None else valid[: len(some), 0, ::stride]
            for number, quantile in enumerate(golden.tolist()):
                threshold, kernel = divmod(number, n_kernels)
                row = (7 * number + 13 * index) % len(some)
                values = output[kernel, row]
                values = values if within is None else values[within[row]]
                self.thresholds[index, threshold, kernel] = values.float().quantile(quantile)
        proportions = self.proportions(signal, valid)
        deviation = proportions.std(dim=0, correction=0)
        self.shift.copy_(proportions.mean(dim=0))
        self.scale.copy_(1 / deviation.clamp_min(0.02))

    @torch.no_grad()
    def proportions(self, signal: Float[Tensor, "b c t"], valid: Tensor | None = None) -> Float[Tensor, "b f"]:
        """For every dilation, threshold, kernel and part, the proportion of steps whose output is above."""
        features = []
        for index, (dilation, stride) in enumerate(zip(self.dilations, self.strides, strict=True)):
            output = self._convolve(signal, index, dilation, stride)
            weights = None
            if valid is not None:
                inside = in_parts(valid, self.parts, stride=stride).to(output.dtype)
                weights = inside / inside.sum(dim=1, keepdim=True).clamp_min(1)
            above = torch.empty_like(output)
            for threshold in self.thresholds[index]:
                torch.gt(output, threshold[..., None].to(output.dtype), out=above)
                if weights is None:
                    features.append(functional.adaptive_avg_pool1d(above, self.parts))
                else:
                    features.append(torch.matmul(above.transpose(0, 1), weights).transpose(0, 1))
        return torch.cat(features, dim=0).permute(1, 0, 2).flatten(1)

    def _convolve(self, signal: Tensor, index: int, dilation: int, stride: int) -> Float[Tensor, "k b s"]:
        b, _, t = signal.shape
        reach = KERNEL_LENGTH // 2 * dilation
        wide = functional.pad(signal, (reach, reach)).transpose(0, 1)
        taps = [wide[..., tap * dilation : tap * dilation + t : stride] for tap in range(KERNEL_LENGTH)]
        stacked = torch.stack(taps, dim=1).flatten(2).flatten(0, 1)
        output: Tensor = (self.kernels[index].to(signal.dtype) @ stacked).unflatten(1, (b, -1))
        return output


def _patterns() -> Float[Tensor, "k w"]:
    """All ways to choose three of nine taps: 2 there, -1 elsewhere, so that a constant gives 0."""
    patterns = -torch.ones(math.comb(KERNEL_LENGTH, 3), KERNEL_LENGTH)
    for row, taps in enumerate(combinations(range(KERNEL_LENGTH), 3)):
        patterns[row, list(taps)] = 2.0
    return patterns


def _channels(n_kernels: int, in_channels: int, draw: random.Random) -> Float[Tensor, "k c"]:
    """For every kernel the channels that it sums: from one to nine, few more often than many."""
    most = math.log2(min(in_channels, KERNEL_LENGTH) + 1)
    counts = [min(int(2 ** (draw.random() * most)), in_channels) for _ in range(n_kernels)]
    chosen = [draw.sample(range(in_channels), count) for count in counts]
    return torch.tensor([[float(channel in some) for channel in range(in_channels)] for some in chosen])
