"""Vision transformers with the class token as output."""

from bam_core.errors import InputError
from modalities.image.encoders.base import SMALL, ImageEncoder


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
        >>> import torch
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
