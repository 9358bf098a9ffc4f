"""Any network of timm by its name."""

import re
from collections.abc import Mapping
from typing import Any

from bam_core.config.registry import did_you_mean
from bam_core.errors import InputError
from modalities.image.encoders.base import ImageEncoder
from modalities.image.encoders.transformers import image_encoder


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
        mean: of every channel of train, in [0, 1], see `Standardise`.
        std: the same for the standard deviation.
        options: more keyword arguments of `timm.create_model`, such as patch_size or drop_path_rate.

    Raises:
        InputError: no such network, or options that it does not take.

    Example:
        >>> import torch
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
            return image_encoder(network, mean, std)
