"""The networks of the paper's ImageNet experiments, with the changes that the paper makes to timm's.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, section 4.1; the third one, ResNet-50, is `timm_encoder`'s.
"""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from modalities.image.encoders.base import ImageEncoder
from modalities.image.encoders.transformers import ViTEncoder


class Shape(NamedTuple):
    """Of a vision transformer."""

    width: int
    depth: int
    heads: int


SHAPES = {"tiny": Shape(192, 12, 3), "small": Shape(384, 12, 6), "base": Shape(768, 12, 12)}


def vit(
    *,
    in_channels: int,
    image_size: list[int],
    mean: list[float],
    std: list[float],
    size: Literal["tiny", "small", "base"] = "base",
    patch: int = 16,
    heads: int | None = None,
    drop_path: float = 0.0,
) -> ViTEncoder:
    """Vision transformer: frozen random patch projection, fixed sine-cosine positions, the class token as output.

    Local views have fewer patches; positions are then interpolated, as in DINO, and cover the same range.

    Args:
        in_channels: of the images.
        image_size: (height, width) of global views; multiples of `patch`.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
        size: width, depth and heads: tiny (192, 12, 3), small (384, 12, 6), base (768, 12, 12).
        patch: side of a patch in pixels.
        heads: of the attention, instead of those of `size`; the paper's and MoCo v3's small one has 12.
        drop_path: probability of leaving out a branch in training; the paper has none.

    Raises:
        InputError: a size that is no multiple of the patch, or heads that do not divide the width.

    Example:
        >>> facts = {"in_channels": 3, "image_size": [32, 32], "mean": [0.5] * 3, "std": [0.2] * 3}
        >>> network = vit(size="tiny", patch=8, **facts)
        >>> network(torch.rand(2, 3, 32, 32)).shape, network(torch.rand(2, 3, 16, 16)).shape
        (torch.Size([2, 192]), torch.Size([2, 192]))

    Source: Dosovitskiy et al., ICLR 2021, arXiv 2010.11929; Chen et al., "MoCo v3", ICCV 2021, arXiv 2104.02057
    (section 4: random patch projection, positions, initialisation).
    """
    from timm.models.vision_transformer import VisionTransformer

    shape = SHAPES[size]
    n_heads = shape.heads if heads is None else heads
    if n_heads < 1 or shape.width % n_heads or patch < 1 or image_size[0] % patch or image_size[1] % patch:
        raise InputError(
            f"vit expected heads that divide the width {shape.width}, and images of {image_size} pixels in whole "
            f"patches; got {n_heads} heads, patch {patch}."
        )
    network = VisionTransformer(
        img_size=(image_size[0], image_size[1]), patch_size=patch, in_chans=in_channels, num_classes=0,
        embed_dim=shape.width, depth=shape.depth, num_heads=n_heads, drop_path_rate=drop_path, weight_init="moco",
        dynamic_img_size=True, dynamic_img_pad=True,
    )  # fmt: skip
    projection: nn.Conv2d = network.patch_embed.proj
    nn.init.xavier_uniform_(projection.weight.view(shape.width, -1))
    nn.init.zeros_(projection.bias)  # type: ignore[arg-type]
    projection.requires_grad_(False)
    positions = sincos_positions(image_size[0] // patch, image_size[1] // patch, shape.width)
    network.pos_embed = nn.Parameter(torch.cat([torch.zeros(1, shape.width), positions])[None], requires_grad=False)
    return ViTEncoder(network, mean, std)


def sincos_positions(height: int, width: int, d: int) -> Float[Tensor, "places d"]:
    """Fixed positions of patches: sine and cosine of the column, then of the row, at d / 4 wavelengths each.

    Args:
        height: rows of patches.
        width: columns of patches.
        d: features a position; a multiple of 4.

    Returns:
        (height * width, d), row after row.

    Raises:
        InputError: d is no multiple of 4.

    Source: Chen et al., "MoCo v3", arXiv 2104.02057; Vaswani et al., arXiv 1706.03762, section 3.5 (one dimension).
    """
    if d % 4:
        raise InputError(f"positions in two dimensions expected a multiple of 4 features; got {d}.")
    frequencies = torch.exp(-math.log(10_000) * torch.arange(d // 4, dtype=torch.float64) / (d // 4))
    row, column = (
        axis.reshape(-1, 1) * frequencies
        for axis in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    )
    return torch.cat([column.sin(), column.cos(), row.sin(), row.cos()], dim=1).float()


def caformer_m36(*, in_channels: int, mean: list[float], std: list[float], drop_path: float = 0.0) -> ImageEncoder:
    """CAFormer-M36 with GELU instead of StarReLU, and without scaled residuals.

    Args:
        in_channels: of the images.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
        drop_path: probability of leaving out a branch in training.

    Returns:
        Images of any size from 32 pixels -> (b, 576): the mean over the places of the last stage, normalised.

    Source: Yu et al., "MetaFormer Baselines for Vision", TPAMI 2024, arXiv 2210.13452.
    """
    import timm

    network = timm.create_model(
        "caformer_m36", pretrained=False, num_classes=0, in_chans=in_channels, drop_path_rate=drop_path,
        mlp_act=nn.GELU, act1_layer=nn.GELU,
        res_scale_init_values=(None,) * 4,  # timm takes None alone for its default
    )  # fmt: skip
    return ImageEncoder(network, mean, std)
