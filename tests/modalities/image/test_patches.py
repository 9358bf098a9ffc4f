import numpy as np
import pytest
import torch

from bam_core.errors import InputError
from modalities.image.encoders import Patches


def images(b=40, c=3, size=24, seed=0):
    """Smooth noise, so that neighbouring pixels go together."""
    noise = torch.rand(b, c, size + 4, size + 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 5, 1)


def answers_by_hand(network, image):
    """Patch by patch, in numpy."""
    side, stride, grid = network.patch, network.stride, network.grid
    filters, mean = network.filters.double().numpy(), network.mean[:, 0].double().numpy()
    pixels = image.double().numpy()
    n = (pixels.shape[1] - side) // stride + 1
    found = np.zeros((len(filters), n, n))
    for row in range(n):
        for column in range(n):
            y, x = row * stride, column * stride
            patch = pixels[:, y : y + side, x : x + side].ravel()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10 / 255**2)
            found[:, row, column] = filters @ (patch - mean)
    bounds = [(int(np.floor(i * n / grid)), int(np.ceil((i + 1) * n / grid))) for i in range(grid)]
    both = [np.maximum(found - 0.25, 0), np.maximum(-found - 0.25, 0)]
    fields = [[[part[:, a:b, c:d].mean(axis=(1, 2)) for c, d in bounds] for a, b in bounds] for part in both]
    return torch.tensor(np.array(fields).transpose(0, 3, 1, 2).ravel(), dtype=torch.float32)


def test_answers_are_those_of_a_loop_over_patches():
    network = Patches(in_channels=3, image_size=[24, 24], n_patches=8)
    network.calibrate(images())
    one = images(1, seed=5)
    torch.testing.assert_close(network.answers(one)[0], answers_by_hand(network, one[0]), rtol=1e-3, atol=1e-4)


def test_calibration_whitens_and_repeats_itself():
    first, second = (Patches(in_channels=3, image_size=[24, 24], n_patches=8) for _ in range(2))
    for network in (first, second):
        network.calibrate(images())
    torch.testing.assert_close(first.filters, second.filters)
    features = (first.answers(images()) - first.shift) * first.scale
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(features.shape[1]), atol=1e-3, rtol=0)
    assert features.std(dim=0, correction=0).median() == pytest.approx(1, abs=1e-3)
    patches = first._normalised(images())[0].transpose(1, 2).flatten(0, 1)
    answers = (patches - first.mean[:, 0]) @ first.filters.T  # unit filters of white patches
    assert 0.3 < answers.std() < 1.5


def test_large_images_are_averaged_down_and_small_ones_have_small_patches():
    large, small = (Patches(in_channels=1, image_size=[s, s], n_patches=4) for s in (96, 8))
    assert (large.patch, small.patch) == (6, 2)
    flat = torch.nn.functional.interpolate(images(2, 1, 32), scale_factor=3.0)  # blocks of equal pixels
    direct = Patches(in_channels=1, image_size=[32, 32], n_patches=4)
    torch.testing.assert_close(large.answers(flat), direct.answers(images(2, 1, 32)), rtol=1e-3, atol=1e-4)
    assert small(images(2, 1, 8)).shape == (2, 256)


def test_only_the_last_layer_learns():
    network = Patches(in_channels=3, image_size=[24, 24], n_patches=4, d=8)
    assert {name for name, _ in network.named_parameters()} == {"head.weight", "head.bias"}


def test_what_is_refused():
    with pytest.raises(InputError, match="at least one"):
        Patches(in_channels=3, image_size=[24, 24], grid=0)
    network = Patches(in_channels=3, image_size=[24, 24], n_patches=4)
    with pytest.raises(InputError, match=r"images \(b, 3, height, width\)"):
        network(torch.rand(2, 1, 24, 24))
    with pytest.raises(InputError, match="at least 6 x 6 pixels"):
        network(torch.rand(2, 3, 4, 24))
