import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture():
    """Write an image: path, and what is special about it."""

    def write(path, *, size=(20, 16), colour=(200, 40, 40), mode="RGB", noise=30, seed=None, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = size
        rng = np.random.default_rng(0 if seed is None else seed)
        pixels = np.array(colour) + rng.integers(-noise, noise + 1, (height, width, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode).save(path, **options)
        return path

    return write


@pytest.fixture
def fruit(tmp_path, picture):
    """A folder of two classes, ten images each."""
    for name, colour in (("apple", (200, 40, 40)), ("lime", (40, 200, 40))):
        for i in range(10):
            picture(tmp_path / "fruit" / name / f"{i}.png", colour=colour, seed=i)
    return tmp_path / "fruit"
