"""Prepared images as a batch, what a linear model would be fed, and a picture of one image."""

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import get_worker_info

from bam_core.errors import DataError
from modalities.image.decode import Encoded, Scale, Slice, decode

RAW_SIZE = 16  # pixels of raw features, along each side


def collate_images(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Tensor:
    """Rows as (b, channels, height, width) uint8: the column `image`, or `file` or `encoded`, decoded here.

    Args:
        columns: of some rows.
        facts: with in_channels and image_size.
    """
    height, width = facts["image_size"]
    sources = sources_of(columns, facts)
    if isinstance(sources, np.ndarray):
        return torch.from_numpy(sources)
    one = partial(_decode_or_grey, channels=facts["in_channels"], size=(height, width), scale=Scale.of(facts))
    if get_worker_info() is not None:
        return torch.from_numpy(np.stack([one(source) for source in sources]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return torch.from_numpy(np.stack(list(pool.map(one, sources))))


def sources_of(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Sequence[Any] | np.ndarray:
    """Of each row what `open_upright` opens: pixels, or where the encoded image is.

    Args:
        columns: of some rows.
        facts: with in_channels and image_size.
    """
    if "image" in columns:
        return np.array(columns["image"], np.uint8).reshape(-1, facts["in_channels"], *facts["image_size"])
    if "offset" in columns:
        places = zip(columns["file"], columns["offset"], columns["size"], strict=True)
        return [Slice(str(path), int(offset), int(size)) for path, offset, size in places]
    return [_plain(source) for source in (columns["file"] if "file" in columns else columns["encoded"])]


def raw_image(batch: Tensor) -> Float[Tensor, "b k"]:
    """The pixels of the image at 16 x 16, or as it is if smaller, in [0, 1]."""
    pixels = unit_pixels(batch)
    height, width = pixels.shape[-2:]
    return adaptive_avg_pool2d(pixels, (min(RAW_SIZE, height), min(RAW_SIZE, width))).flatten(1)


def unit_pixels(batch: Tensor) -> Float[Tensor, "b c h w"]:
    """Images in [0, 1], whether they come as uint8 or are that already."""
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch


def draw_image(axes: Any, sample: Tensor) -> None:
    """Draw one image or view, without axes."""
    pixels = unit_pixels(sample.detach().cpu()).clamp(0, 1)
    if len(pixels) == 1:
        axes.imshow(pixels[0].numpy(), cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(pixels.permute(1, 2, 0).numpy())
    axes.set_axis_off()


def _plain(source: Any) -> Encoded:
    if isinstance(source, Mapping):  # as data sets of Hugging Face keep images
        return str(source["path"]) if source["bytes"] is None else bytes(source["bytes"])
    return source if isinstance(source, bytes) else str(source)


def _decode_or_grey(source: Encoded, *, channels: int, size: tuple[int, int], scale: Scale) -> np.ndarray:
    """A file that broke after it was checked must not end a run of days: grey takes its place, and it is named."""
    try:
        return decode(source, channels=channels, size=size, scale=scale)
    except DataError as error:
        name = source if isinstance(source, str) else "an image"
        warnings.warn(f"{name} {error}; a grey image takes its place. Prepare the data anew.", stacklevel=2)
        return np.full((channels, *size), 128, np.uint8)
