"""Where crops lie, against the definitions: torchvision's, and Beta between the sides of a box."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms.v2 import RandomResizedCrop

from modalities.image.boxes import boxes_around, draw_cut

SQUARE = (3 / 4, 4 / 3)


def cuts(n, size, scale, ratio=SQUARE, **options):
    rng = np.random.default_rng(0)
    return np.array([draw_cut(size, scale, ratio, rng, **options) for _ in range(n)])


@pytest.mark.parametrize("size", [(375, 500), (60, 25)])
@pytest.mark.parametrize("scale", [(0.25, 1.0), (0.05, 0.25)])
def test_cuts_follow_the_distribution_of_torchvision(size, scale):
    ours = cuts(3000, size, scale)
    torch.manual_seed(0)
    transform = RandomResizedCrop(8, scale=scale, ratio=SQUARE)
    draws = [transform.make_params([torch.empty(1, *size)]) for _ in range(3000)]
    theirs = np.array([[d["top"], d["left"], d["height"], d["width"]] for d in draws])
    for a, b in zip(ours.T, theirs.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-3
    assert (ours >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= size).all()


def test_area_and_shape_are_uniform():
    top, _, height, width = cuts(4000, (2000, 2000), (0.05, 0.25)).T
    assert stats.kstest(height * width / 2000**2, stats.uniform(0.05, 0.2).cdf).pvalue > 1e-3
    logs = np.log(width / height)
    assert stats.kstest(logs, stats.uniform(np.log(3 / 4), 2 * np.log(4 / 3)).cdf).pvalue > 1e-3
    assert stats.kstest(top / (2000 - height), "uniform").pvalue > 1e-3


def test_where_none_fits_it_is_the_middle():
    assert draw_cut((10, 100), (1.0, 1.0), SQUARE, np.random.default_rng(0)) == (0, 43, 10, 13)
    assert draw_cut((100, 10), (1.0, 1.0), SQUARE, np.random.default_rng(0)) == (43, 0, 13, 10)


@pytest.mark.parametrize("alpha", [0.6, 1.0, 3.0])
def test_centres_follow_beta_between_the_sides_of_the_box(alpha):
    box = (0.4, 0.3, 0.7, 0.8)
    top, left, height, width = cuts(4000, (3000, 4000), (0.01, 0.04), box=box, alpha=alpha).T
    for centre, first, last in ((top + height / 2, 1200, 2100), (left + width / 2, 1200, 3200)):
        place = (centre - first) / (last - first)
        assert place.min() > -0.001
        assert place.max() < 1.001
        assert stats.kstest(place, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_crops_stay_in_the_image_and_both_ends_are_reached():
    """A box in a corner: the range of centres is shortened, not piled up at the edge."""
    size, box = (400, 400), (0.0, 0.0, 0.5, 0.5)
    top, _, height, _ = cuts(4000, size, (0.25, 0.25), (1.0, 1.0), box=box, alpha=0.6).T
    assert (height == 200).all()
    assert (top.min(), top.max()) == (0, 100)  # centres from 100, the first possible, to 200
    assert stats.kstest(top / 100, stats.beta(0.6, 0.6).cdf).pvalue > 1e-4


def test_the_whole_image_as_box_covers_it():
    top, left, height, width = cuts(500, (100, 150), (0.25, 1.0), box=(0, 0, 1, 1)).T
    assert (top >= 0).all()
    assert (top + height <= 100).all()
    assert (left + width <= 150).all()


def test_a_box_holds_what_is_looked_at():
    seen = torch.zeros(3, 14, 14)
    seen[0, 3:6, 8:10] = 1.0
    seen[1] = 0.5  # all the same
    seen[2, 7, 7], seen[2, 0, 0] = 5.0, 0.4  # below a tenth
    made = boxes_around(seen, (224, 224), 0.1)
    blurred = torch.nn.functional.interpolate(seen[:1, None], (224, 224), mode="bilinear")[0, 0] > 0.1
    rows, columns = (blurred.any(dim=d).nonzero()[:, 0] for d in (1, 0))
    expected = [rows[0] / 224, columns[0] / 224, (rows[-1] + 1) / 224, (columns[-1] + 1) / 224]
    assert made[0].tolist() == pytest.approx([float(v) for v in expected])
    assert made[0].tolist() == pytest.approx([3 / 14, 8 / 14, 6 / 14, 10 / 14], abs=0.5 / 14)
    assert made[1].tolist() == [0, 0, 1, 1]
    assert made[2, 0] > 6 / 14
    shifted = boxes_around(seen * 7 + 3, (224, 224), 0.1)
    torch.testing.assert_close(made, shifted, atol=1 / 224, rtol=0)
