"""Random patches of the training images as fixed filters, and a trainable layer on where they answer."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from modalities.image.batches import unit_pixels

_CONTRAST = 10 / 255**2  # added to the variance of a patch, so that flat ones stay flat
_FLOOR = 0.1  # added to the variances of the whitening
_SOFT_THRESHOLD = 0.25
_N_WHITENING = 40_000  # patches that the whitening is measured on


class Patches(nn.Module):
    """Whitened random patches, fixed, and one trainable linear layer.

    Every patch of an image loses its mean and its contrast, is whitened and compared with each filter. What exceeds
    a threshold, up or down, is averaged in the fields of a grid. These averages, shifted and scaled, are the features
    of the linear layer. Only that layer learns, so a step costs little more than a forward pass.

    `calibrate` takes whitening, filters, shifts and scales from some images of the training data. A run does it
    before the first step. Without it the filters are random.

    Args:
        in_channels: of the images.
        image_size: (height, width) of the data.
        d: width of the embeddings.
        n_patches: filters.
        patch: side of a patch in pixels; less where images are smaller than three patches.
        stride: from one patch to the next, in pixels.
        grid: fields a side.
        pixels: images whose shorter side is longer are averaged down to it.
        seed: of the random choices.

    Raises:
        InputError: counts below one; images of other channels, or smaller than a patch.

    Shape:
        Images (b, c, h, w), uint8 or in [0, 1] -> (b, d).

    Example:
        >>> Patches(in_channels=3, image_size=[32, 32], d=64)(torch.rand(4, 3, 32, 32)).shape
        torch.Size([4, 64])

    Source: Coates & Ng, "The importance of encoding versus training with sparse coding and vector quantization",
    ICML 2011 (random patches, whitening, soft threshold in both directions, pooled); the trainable layer is ours.
    """

    mean: Tensor
    filters: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: list[int],
        d: int = 256,
        n_patches: int = 256,
        patch: int = 6,
        stride: int = 2,
        grid: int = 3,
        pixels: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(d, n_patches, patch, stride, grid, pixels) < 1:
            raise InputError(
                "the patches encoder expected d, n_patches, patch, stride, grid and pixels of at least one; got "
                f"{d}, {n_patches}, {patch}, {stride}, {grid}, {pixels}."
            )
        self.in_channels = in_channels
        self.ratio = min(1.0, pixels / min(image_size))
        self.patch = min(patch, max(2, round(self.ratio * min(image_size)) // 3))
        self.stride, self.grid, self.seed = stride, grid, seed
        generator = torch.Generator().manual_seed(seed)
        size = in_channels * self.patch**2
        self.register_buffer("mean", torch.zeros(size, 1))
        self.register_buffer("filters", functional.normalize(torch.randn(n_patches, size, generator=generator), dim=1))
        n_features = 2 * n_patches * grid**2
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.head = nn.Linear(n_features, d)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """One vector an image."""
        features = (self.answers(images) - self.shift) * self.scale
        embeddings: Tensor = self.head(features.to(self.head.weight.dtype))
        return embeddings

    @torch.no_grad()
    def calibrate(self, images: Float[Tensor, "b c h w"]) -> None:
        """Take whitening, filters, shifts and scales from a batch of images, some hundred of all kinds."""
        patches = self._normalised(images)[0].transpose(1, 2).flatten(0, 1)
        order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(self.seed)).to(patches.device)
        patches = patches[order[:_N_WHITENING]]
        self.mean.copy_(patches.mean(dim=0)[:, None])
        centred = patches - self.mean[:, 0]
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
        whiten = directions @ torch.diag((variances.clamp_min(0) + _FLOOR).rsqrt()) @ directions.T
        chosen = centred[torch.arange(len(self.filters), device=centred.device) % len(centred)] @ whiten
        self.filters.copy_(functional.normalize(chosen, dim=1) @ whiten)
        answers = self.answers(images)
        deviation = answers.std(dim=0, correction=0)
        self.shift.copy_(answers.mean(dim=0))
        self.scale.copy_(1 / deviation.clamp_min(1e-3))

    @torch.no_grad()
    def answers(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """For both directions, every filter and every field of the grid, the average of what exceeds the threshold."""
        patches, shape = self._normalised(images)
        answers = (self.filters @ (patches - self.mean)).unflatten(2, shape)
        up, down = (functional.relu(sign * answers - _SOFT_THRESHOLD) for sign in (1, -1))
        pooled = functional.adaptive_avg_pool2d(torch.cat([up, down], dim=1), self.grid)
        return pooled.flatten(1)

    def _normalised(self, images: Any) -> tuple[Float[Tensor, "b k n"], tuple[int, int]]:
        """Patches without mean and contrast, and how many of them there are down and across."""
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != self.in_channels:
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InputError(f"Patches expected images (b, {self.in_channels}, height, width); got {got}.")
        x = unit_pixels(images).to(self.filters.dtype)
        if self.ratio < 1:
            height, width = (max(self.patch, round(self.ratio * side)) for side in x.shape[2:])
            x = functional.adaptive_avg_pool2d(x, (height, width))
        if min(x.shape[2:]) < self.patch:
            raise InputError(
                f"Patches expected images of at least {self.patch} x {self.patch} pixels; got "
                f"{tuple(images.shape[2:])}. Choose a smaller patch."
            )
        rows, columns = ((side - self.patch) // self.stride + 1 for side in x.shape[2:])
        patches = functional.unfold(x, self.patch, stride=self.stride)
        patches = patches - patches.mean(dim=1, keepdim=True)
        variance = patches.square().mean(dim=1, keepdim=True)
        return patches * (variance + _CONTRAST).rsqrt(), (rows, columns)
