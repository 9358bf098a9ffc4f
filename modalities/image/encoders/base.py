"""A network for images behind a fixed first layer that standardises the channels."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from modalities.image.batches import unit_pixels

SMALL = 64  # pixels up to which networks begin at full resolution


class Standardise(nn.Module):
    """Images, uint8 or in [0, 1], less the mean of their channel and divided by its deviation: fixed, in no file.

    Args:
        mean: of every channel, in [0, 1]; a fact of the data, measured on the training split.
        std: the same for the standard deviation.

    Raises:
        InputError: in a call, images of another number of channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Float[Tensor, "b c h w"]:
        """Standardised images."""
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise InputError(
                f"an encoder expected images (b, {len(self.mean)}, height, width); got {tuple(images.shape)}."
            )
        return (unit_pixels(images).to(self.mean.dtype) - self.mean) / self.std


class ImageEncoder(nn.Module):
    """A network behind `Standardise`.

    Args:
        network: standardised images -> (b, d).
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.

    Shape:
        Images (b, c, h, w), uint8 or in [0, 1] -> (b, d).
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.standardise = Standardise(mean, std)
        self.network = network

    def forward(self, images: Tensor) -> Float[Tensor, "b d"]:
        """One vector an image."""
        embeddings: Tensor = self.network(self.standardise(images))
        return embeddings

    def probe_features(self, images: Tensor) -> Float[Tensor, "b k"]:
        """What the linear probe of the paper sees: the class token joined with the mean patch token.

        For networks of timm without a class token it is the embedding. (b, 2 d) or (b, d).
        """
        network: Any = self.network
        if getattr(network, "cls_token", None) is None or not hasattr(network, "num_prefix_tokens"):
            embeddings: Tensor = self(images)
            return embeddings
        tokens = network.forward_features(self.standardise(images))
        return torch.cat([tokens[:, 0], tokens[:, network.num_prefix_tokens :].mean(dim=1)], dim=1)
