"""Synthetic images for tests and first trials."""

import numpy as np

from bam_core.data import PreparedData
from modalities.image.memory import read_memory


def synthetic_images(*, n_images: int = 240, size: int = 32, seed: int = 0) -> PreparedData:
    """Discs, squares and crosses of random colour, place and size on shaded ground; a fifth of each for testing.

    Args:
        n_images: images in all.
        size: height and width in pixels.
        seed: of everything.

    Returns:
        Prepared data with labels.

    Example:
        >>> synthetic_images().facts["classes"]
        ['cross', 'disc', 'square']
    """
    rng = np.random.default_rng(seed)
    shape = rng.permutation(n_images) % 3
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    images = np.empty((n_images, size, size, 3), np.float32)
    for i in range(n_images):
        radius = rng.uniform(0.3, 0.5)
        dy, dx = (np.abs(axis - rng.uniform(-0.4, 0.4)) for axis in (y, x))
        inside = [
            (np.minimum(dx, dy) < radius / 3) & (np.maximum(dx, dy) < radius),
            dx**2 + dy**2 < radius**2,
            np.maximum(dx, dy) < 0.8 * radius,
        ][shape[i]]
        ground, colour = rng.uniform(0, 0.5, 3), rng.uniform(0.5, 1, 3)
        shade = 0.15 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))
        images[i] = np.where(inside[..., None], colour, ground) + shade[..., None]
    images += rng.normal(0, 0.03, images.shape)
    return read_memory(images=images.clip(0, 1), label=np.array(["cross", "disc", "square"])[shape])
