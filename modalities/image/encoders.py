"""Networks for images, most of them from timm, behind a fixed first layer that standardises the channels."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from bam_core.errors import InputError
from bam_core.registry import did_you_mean
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
        mean: see `Standardise`.
        std: as there.

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


def timm_encoder(
    *,
    model: str,
    in_channels: int,
    image_size: list[int],
    mean: list[float],
    std: list[float],
    options: Mapping[str, Any] | None = None,
) -> ImageEncoder:
    """Any network of timm by its name, without its classifier, with weights drawn anew.

    Transformers with positions that can be resampled take local views of other sizes too; networks that cannot say so
    when they meet one.

    Args:
        model: name in timm, such as resnet50, vit_small_patch16_224 or caformer_m36.
        in_channels: of the images.
        image_size: (height, width) of the images.
        mean: see `Standardise`.
        std: as there.
        options: more keyword arguments of `timm.create_model`, such as patch_size or drop_path_rate.

    Raises:
        InputError: no such network, or options that it does not take.

    Example:
        >>> facts = {"in_channels": 3, "image_size": [64, 64], "mean": [0.5] * 3, "std": [0.2] * 3}
        >>> timm_encoder(model="resnet10t", **facts)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 512])

    Source: Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models.
    """
    import timm

    if not timm.is_model(model):
        raise InputError(f"timm has no network {model!r}{did_you_mean(model, timm.list_models())}")
    given = {"num_classes": 0, "in_chans": in_channels, "pretrained": False, **(options or {})}
    sizes: dict[str, Any] = {"img_size": tuple(image_size), "dynamic_img_size": True}
    while True:
        try:
            network = timm.create_model(model, **{**sizes, **given})
        except TypeError as error:
            _, unexpected, names = str(error).partition("unexpected keyword argument")
            refused = re.findall(r"'(\w+)'", names)
            if not unexpected:
                raise
            if not refused or any(name in given or name not in sizes for name in refused):
                raise InputError(f"the network {model!r} does not take all of the options {given}: {error}") from error
            sizes = {name: value for name, value in sizes.items() if name not in refused}  # it needs to know no size
        else:
            return ImageEncoder(network, mean, std)


def resnet18(
    *, in_channels: int, image_size: list[int], mean: list[float], std: list[float], width: int = 64
) -> ImageEncoder:
    """timm's ResNet-18; for images up to 64 pixels with a 3 x 3 convolution at full resolution as stem, and no pool.

    Args:
        in_channels: of the images.
        image_size: (height, width) of the images; decides on the stem.
        mean: see `Standardise`.
        std: as there.
        width: channels of the first stage; the last has eight times as many, which is d. The stem always has 64.

    Raises:
        InputError: a width below 1.

    Example:
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
        mean: see `Standardise`.
        std: as there.
        width: see `SmallCNN`; d is 16 times that.

    Raises:
        InputError: a width below 1.

    Example:
        >>> cnn(in_channels=1, mean=[0.5], std=[0.2])(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 512])
    """
    if width < 1:
        raise InputError(f"cnn expected a width of at least 1; got {width}.")
    return ImageEncoder(SmallCNN(in_channels, width), mean, std)


def vit_tiny(
    *,
    in_channels: int,
    image_size: list[int],
    mean: list[float],
    std: list[float],
    patch: int | None = None,
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
) -> ImageEncoder:
    """timm's vision transformer with the class token as output; ViT-Tiny by default.

    Args:
        in_channels: of the images.
        image_size: (height, width) of the images.
        mean: see `Standardise`.
        std: as there.
        patch: side of a patch in pixels; default: 4 up to 64 pixels, else 16.
        width: of the tokens, which is d; a multiple of `heads`.
        depth: blocks.
        heads: of the attention.

    Raises:
        InputError: images smaller than a patch, or a width that is no multiple of `heads`.

    Example:
        >>> facts = {"in_channels": 3, "image_size": [32, 32], "mean": [0.5] * 3, "std": [0.2] * 3}
        >>> network = vit_tiny(depth=2, **facts)
        >>> network(torch.rand(2, 3, 32, 32)).shape, network(torch.rand(2, 3, 16, 16)).shape
        (torch.Size([2, 192]), torch.Size([2, 192]))

    Source: Dosovitskiy et al., ICLR 2021, arXiv 2010.11929; Touvron et al., "DeiT", 2021, arXiv 2012.12877 (tiny).
    """
    from timm.models.vision_transformer import VisionTransformer

    side = (4 if max(image_size) <= SMALL else 16) if patch is None else patch
    if width % heads or not 1 <= side <= min(image_size):
        raise InputError(
            f"vit_tiny expected a width that is a multiple of heads, and a patch within images of {image_size}; got "
            f"width {width}, {heads} heads, patch {side}."
        )
    network = VisionTransformer(
        img_size=(image_size[0], image_size[1]), patch_size=side, in_chans=in_channels, num_classes=0, embed_dim=width,
        depth=depth, num_heads=heads, dynamic_img_size=True, dynamic_img_pad=True,
    )  # fmt: skip
    return ImageEncoder(network, mean, std)
