"""Vision transformers with the class token as output."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.tokens import SummaryPool, TokenEncoder, Tokens, kept
from modalities.image.encoders.base import SMALL, ImageEncoder, Standardise


class ViTEncoder(TokenEncoder, ImageEncoder):
    """A vision transformer of timm behind `Standardise`; its tokens are the patches, its summary the class token.

    Args:
        network: see `has_tokens`.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.

    Shape:
        Images (b, c, h, w), uint8 or in [0, 1] -> (b, d).
    """

    trunk: "ViTTrunk"

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        nn.Module.__init__(self)
        self.trunk = ViTTrunk(Standardise(mean, std), network)
        self.pool = SummaryPool()

    @property
    def network(self) -> nn.Module:  # type: ignore[override]
        """The network of timm."""
        return self.trunk.network

    @property
    def standardise(self) -> Standardise:  # type: ignore[override]
        """The fixed first layer."""
        return self.trunk.standardise

    def grid(self, view: Tensor) -> tuple[int, ...]:
        """Patches of an image, down and across; those at the end perhaps filled up."""
        network: Any = self.network
        down, across = network.patch_embed.dynamic_feat_size(tuple(view.shape[2:]))
        return int(down), int(across)

    def patches(self, view: Tensor) -> Tensor:
        """(b, n, k) all standardised pixels of every patch, zeros where those at the end are filled up."""
        network: Any = self.network
        h, w = network.patch_embed.patch_size
        images: Tensor = self.standardise(view)
        x = nn.functional.pad(images, (0, -images.shape[3] % w, 0, -images.shape[2] % h))
        return nn.functional.unfold(x, (h, w), stride=(h, w)).transpose(1, 2)


class ViTTrunk(nn.Module):
    """Tokens of a `ViTEncoder`: its patches, row after row, (b, c, h, w) -> (b, patches, d).

    Args:
        standardise: images -> standardised images.
        network: see `has_tokens`.
    """

    def __init__(self, standardise: Standardise, network: nn.Module) -> None:
        super().__init__()
        self.standardise = standardise
        self.network = network

    def forward(self, images: Tensor, *, keep: Tensor | None = None) -> Tokens:
        """Tokens of all patches, or of those to keep (b, k)."""
        network: Any = self.network
        x = network._pos_embed(network.patch_embed(self.standardise(images)))
        n_prefix = network.num_prefix_tokens
        patches, place = kept(x[:, n_prefix:], keep)
        x = network.norm_pre(torch.cat([x[:, :n_prefix], patches], dim=1))
        x = network.norm(network.blocks(x))
        return Tokens(x[:, n_prefix:], place, summary=x[:, 0])


def image_encoder(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> ImageEncoder:
    """The network of timm as an encoder, with tokens if it has any."""
    return (ViTEncoder if has_tokens(network) else ImageEncoder)(network, mean, std)


def has_tokens(network: Any) -> bool:
    """Whether a network of timm is a vision transformer as timm has it, whose output is its class token."""
    from timm.models.vision_transformer import VisionTransformer as ViT

    return (
        isinstance(network, ViT)
        and all(getattr(type(network), name) is getattr(ViT, name) for name in ("forward_features", "_pos_embed"))
        and all(isinstance(part, nn.Identity) for part in (network.patch_drop, network.fc_norm, network.head))
        and network.cls_token is not None
        and network.global_pool == "token"
        and network.attn_pool is None
        and not network.grad_checkpointing
    )


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
) -> ViTEncoder:
    """timm's vision transformer with the class token as output; ViT-Tiny by default.

    Args:
        in_channels: of the images.
        image_size: (height, width) of the images.
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
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
    return ViTEncoder(network, mean, std)
