import numpy as np
import pytest

from modalities.image.baselines import BASELINES, BINS, colours, gradients


@pytest.mark.parametrize(("size", "cells"), [(2, 2), (8, 2), (28, 7), (32, 8), (64, 8)])
def test_cells_fit_the_image(size, cells):
    image = np.random.default_rng(0).random((size, size, 3))
    assert gradients(image).shape == (9 * 4 * (cells - 1) ** 2,)


def test_colours_are_shares_of_the_pixels():
    red = np.zeros((4, 4, 3))
    red[..., 0] = 1
    hue, saturation, value = colours(red).reshape(3, BINS)
    assert (hue[0], saturation[-1], value[-1]) == (1, 1, 1)
    grey = colours(np.full((4, 4, 1), 0.5))
    assert grey.shape == (BINS,)
    assert grey[BINS // 2] == 1


def test_large_images_are_brought_to_64_pixels():
    facts = {"in_channels": 3, "image_size": [100, 80]}
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3 * 100 * 80)).astype(np.uint8)
    fitted = BASELINES["hog"].fit({}, facts, n_rows=2, seed=0)
    assert fitted.note == "Images are brought to 64 pixels a side."
    assert fitted.features({"image": pixels}).shape == (2, 9 * 4 * 49 + 3 * BINS)


def test_an_image_of_one_row_has_no_gradients():
    assert "images are 1 x 30" in BASELINES["hog"].why_not([], {"image_size": [1, 30]})
