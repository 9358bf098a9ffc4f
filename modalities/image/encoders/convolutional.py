"""Convolutional networks: ResNet-18, also for small images, and a smaller one."""

from itertools import pairwise
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from bam_core.errors import InputError
from modalities.image.encoders.base import SMALL, ImageEncoder


def resnet18(
    *, in_channels: int, image_size: list[int], mean: list[float], std: list[float], width: int = 64
) -> ImageEncoder:
    """timm's ResNet-18; for images up to 64 pixels with a 3 x 3 convolution at full resolution as stem, and no pool.

    Args:
        in_channels: of the images.
        image_size: (height, width) of the images; decides on the stem.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
        width: channels of the first stage; the last has eight times as many, which is d. The stem always has 64.

    Raises:
        InputError: a width below 1.

    Example:
        >>> import torch
        >>> facts = {"in_channels": 1, "image_size": [8, 8], "mean": [0.5], "std": [0.2]}
        >>> resnet18(width=16, **facts)(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 128])

    Source: He et al., CVPR 2016, arXiv 1512.03385; Chen et al., "SimCLR", 2020, arXiv 2002.05709, B.9 (small images).
    """
    import timm

    if width < 1:
        raise InputError(f"resnet18 expected a width of at least 1; got {width}.")
    channels = tuple(width * 2**stage for stage in range(4))
    network: Any = timm.create_model(
        "resnet18", num_classes=0, in_chans=in_channels, channels=channels, zero_init_last=False
    )
    if max(image_size) <= SMALL:
        network.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as timm does
        network.maxpool = nn.Identity()
    return ImageEncoder(network, mean, std)


class SmallCNN(nn.Module):
    """Three 3 x 3 convolutions, the last two with stride 2, and the averages over each quarter of the image.

    Args:
        in_channels: of the images.
        width: channels of the first convolution; each further one has twice as many.

    Shape:
        Standardised images (b, c, h, w) -> (b, 16 * width).
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = [in_channels, width, 2 * width, 4 * width]
        for stride, (ins, outs) in zip((1, 2, 2), pairwise(channels), strict=True):
            layers += [nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """One vector an image."""
        return adaptive_avg_pool2d(self.layers(images), 2).flatten(1)


def cnn(*, in_channels: int, mean: list[float], std: list[float], width: int = 32) -> ImageEncoder:
    """A small convolutional network for small images, such as digits, that still knows roughly where things are.

    Args:
        in_channels: of the images.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
        width: see `SmallCNN`; d is 16 times that.

    Raises:
        InputError: a width below 1.

    Example:
        >>> import torch
        >>> cnn(in_channels=1, mean=[0.5], std=[0.2])(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 512])
    """
    if width < 1:
        raise InputError(f"cnn expected a width of at least 1; got {width}.")
    return ImageEncoder(SmallCNN(in_channels, width), mean, std)
