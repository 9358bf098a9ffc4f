"""Where to cut: random resized crops, anywhere in an image or around what a network looks at.

Source: Szegedy et al., CVPR 2015, arXiv 1409.4842 (random resized crop); Peng et al., "Crafting Better Contrastive
Views for Siamese Representation Learning" (ContrastiveCrop), CVPR 2022, arXiv 2202.03278.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

Range = tuple[float, float]
TRIES = 10  # of a random crop, as in torchvision


class Cut(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def draw_cut(
    size: tuple[int, int],
    scale: Range,
    ratio: Range,
    rng: np.random.Generator,
    *,
    box: Sequence[float] | None = None,
    alpha: float = 0.6,
) -> Cut:
    """A random resized crop by torchvision's rule: the first of ten tries that fits, else the middle.

    Args:
        size: (height, width) of the image.
        scale: area, as a fraction of the image's.
        ratio: width by height, drawn on a logarithmic scale.
        rng: of the draws.
        box: (top, left, bottom, right) as fractions of the image: the centre of the crop then follows
            Beta(alpha, alpha) between the sides of the box, as far as the crop stays inside the image. None: anywhere.
        alpha: below 1 crops near the sides are more frequent, and two views less alike.
    """
    height, width = size
    for _ in range(TRIES):
        area = height * width * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            if box is None:
                return Cut(int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
            top = _around(box[0] * height, box[2] * height, h, height, rng.beta(alpha, alpha))
            return Cut(top, _around(box[1] * width, box[3] * width, w, width, rng.beta(alpha, alpha)), h, w)
    w, h = min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))
    return Cut((height - h) // 2, (width - w) // 2, h, w)


def _around(first: float, last: float, length: int, room: int, place: float) -> int:
    """Start of a stretch whose centre lies at a place between two ends, moved so that it stays in the room."""
    low, high = (min(max(end - length / 2, 0.0), room - length) for end in (first, last))
    return round(low + (high - low) * place)


def boxes_around(saliency: Float[Tensor, "b h w"], size: tuple[int, int], threshold: float) -> Float[Tensor, "b 4"]:
    """The smallest box around what is looked at.

    Args:
        saliency: how much each place counts.
        size: (height, width) in pixels that it is enlarged to, bilinearly.
        threshold: what counts more than this part of the way from the least to the most is inside.

    Returns:
        (top, left, bottom, right) as fractions of the image; the whole image where all places count the same.
    """
    low, high = saliency.amin(dim=(1, 2), keepdim=True), saliency.amax(dim=(1, 2), keepdim=True)
    spread = torch.where(high > low, (saliency - low) / (high - low), 1.0)
    inside = interpolate(spread[:, None], size, mode="bilinear", align_corners=False)[:, 0] > threshold
    sides = []
    for axis, length in ((2, size[0]), (1, size[1])):
        occupied = inside.any(dim=axis).int()
        sides.append((occupied.argmax(dim=1) / length, 1 - occupied.flip(1).argmax(dim=1) / length))
    (top, bottom), (left, right) = sides
    return torch.stack([top, left, bottom, right], dim=1)
