"""Where a network looks: the class token's attention, or where features are strong if there is no class token."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError


def saliency(encoder: nn.Module, images: Tensor) -> Float[Tensor, "b h w"]:
    """How much each place of an image counts, at the resolution of the network's last layer.

    For networks of timm with a class token and blocks of attention it is the attention of that token to the patches in
    the last block, summed over the heads. For all others whose last features lie on a grid (convolutional networks,
    CAFormer) it is the sum over the channels of these, as in ContrastiveCrop.

    Args:
        encoder: an `ImageEncoder`.
        images: (b, c, h, w), uint8 or in [0, 1].

    Raises:
        InputError: a network that has neither.

    Source: Caron et al., "DINO", ICCV 2021, arXiv 2104.14294 (attention); Peng et al., "ContrastiveCrop", CVPR 2022,
    arXiv 2202.03278 (features).
    """
    network: Any = getattr(encoder, "network", None)
    if not hasattr(network, "forward_features"):
        raise InputError(
            "saliency expected a network of timm, which can return its last features; got "
            f"{type(network or encoder).__name__}. Views without boxes (boxes_every: null) need none."
        )
    standardised = encoder.standardise(images)  # type: ignore[operator]
    blocks = getattr(network, "blocks", None)
    attention = getattr(blocks[-1], "attn", None) if isinstance(blocks, nn.Sequential) else None
    usual = all(hasattr(attention, name) for name in ("qkv", "q_norm", "k_norm", "num_heads", "scale"))
    if getattr(network, "cls_token", None) is not None and usual:
        return _class_attention(network, attention, standardised)
    features = network.forward_features(standardised)
    if features.ndim == 4 and network.num_features in features.shape[1::2]:
        channels = 1 if features.shape[1] == network.num_features else 3
        summed: Tensor = features.float().sum(dim=channels)
        return summed
    raise InputError(
        f"saliency expected attention of a class token, or features on a grid; {type(network).__name__} returns "
        f"{tuple(features.shape)}. Views without boxes (boxes_every: null) need neither."
    )


def _class_attention(network: Any, attention: Any, images: Tensor) -> Float[Tensor, "b h w"]:
    """The fused kernels keep no attention: it is computed from what went into the last block."""
    inputs: list[Tensor] = []
    handle = attention.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    try:
        network.forward_features(images)
    finally:
        handle.remove()
    tokens = inputs[0]
    b, n, _ = tokens.shape
    q, k, _ = attention.qkv(tokens).reshape(b, n, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = attention.q_norm(q[:, :, :1]).float(), attention.k_norm(k).float()
    weights = (attention.scale * q @ k.transpose(2, 3)).softmax(dim=3)[:, :, 0]
    patches = weights.sum(dim=1)[:, network.num_prefix_tokens :]
    height, width = images.shape[2:]
    rows, _ = network.patch_embed.dynamic_feat_size((height, width))
    grid: Tensor = patches.reshape(b, rows, -1)
    return grid
