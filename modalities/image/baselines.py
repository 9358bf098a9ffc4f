"""What is taken for images instead of pretraining: histograms of oriented gradients and of colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.nn.functional import adaptive_avg_pool2d

from bam_core.protocols import Baseline, FittedBaseline
from modalities.image.batches import collate_images, unit_pixels

LARGEST = 64  # pixels along a side
CELLS = 8  # along a side, of four pixels at least
BINS = 16


def histograms(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """HOG in up to 8 x 8 cells, nine orientations, blocks of 2 x 2; and 16 bins of every channel, of HSV for colours.

    Larger images are brought to 64 pixels a side first.

    Source: Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005; scikit-image's.
    """

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        pixels = unit_pixels(collate_images(columns, facts))
        height, width = (min(LARGEST, side) for side in pixels.shape[-2:])
        small = adaptive_avg_pool2d(pixels, (height, width)).permute(0, 2, 3, 1).numpy()
        return np.stack([np.concatenate([gradients(image), colours(image)]) for image in small])

    size = f"{LARGEST} pixels a side"
    return FittedBaseline(features, note=f"Images are brought to {size}." if max(facts["image_size"]) > LARGEST else "")


def gradients(image: np.ndarray) -> np.ndarray:
    """HOG of one image (height, width, channels)."""
    from skimage.feature import hog

    cell = tuple(min(max(4, -(-side // CELLS)), side // 2) for side in image.shape[:2])
    return np.asarray(hog(image, pixels_per_cell=cell, cells_per_block=(2, 2), channel_axis=-1))


def colours(image: np.ndarray) -> np.ndarray:
    """Shares of pixels in 16 bins of every channel, one image (height, width, channels)."""
    if image.shape[-1] == 3:
        from skimage.color import rgb2hsv

        image = rgb2hsv(image)
    counts = [np.histogram(channel, BINS, (0, 1))[0] for channel in np.moveaxis(image, -1, 0)]
    shares: np.ndarray = np.concatenate(counts) / image[..., 0].size
    return shares


def too_small(names: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Why there is no HOG."""
    height, width = facts["image_size"]
    return "" if min(height, width) >= 2 else f"its cells need two pixels a side; images are {height} x {width}."


BASELINES = {
    "hog": Baseline(
        histograms,
        "histograms of oriented gradients and of colours.",
        packages=("skimage",),
        fit_rows=1,
        why_not=too_small,
    )
}
