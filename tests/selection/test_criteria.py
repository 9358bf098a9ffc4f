"""Label-free criteria against closed forms."""

import math

import pytest
import torch

from bam_core import InputError
from bam_core.selection.criteria import alpha_req, lidar, view_agreement


def repeated(rows, q=3):
    return rows[:, None].expand(-1, q, -1)


def test_lidar_counts_directions_in_which_samples_differ():
    rows = torch.cat([torch.eye(6), -torch.eye(6)])
    assert lidar(repeated(rows)) == pytest.approx(6, abs=1e-3)  # all alike: as many as there are
    assert lidar(repeated(rows * torch.tensor([1.0, 1, 1, 0, 0, 0]))) == pytest.approx(3, abs=1e-3)
    two = rows * torch.tensor([2.0, 1, 0, 0, 0, 0])  # eigenvalues 4 to 1
    assert lidar(repeated(two)) == pytest.approx(math.exp(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2))), abs=1e-3)


def test_lidar_does_not_count_what_differs_between_views():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 2, generator=generator)
    noise = torch.zeros(200, 8, 2)
    noise[..., 1] = 100 * torch.randn(200, 8, generator=generator)
    assert lidar(repeated(rows, 8)) == pytest.approx(2, abs=0.05)
    assert lidar(repeated(rows, 8) + noise) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(alpha):
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(60, 20, generator=generator, dtype=torch.float64)
    directions = torch.linalg.qr(plain - plain.mean(dim=0)).Q  # centred columns
    rows = directions * torch.arange(1, 21, dtype=torch.float64) ** (-alpha / 2)
    assert alpha_req(rows + 7) == pytest.approx(alpha, abs=1e-6)


def test_a_spectrum_of_two_says_nothing():
    assert math.isnan(alpha_req(torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])))
    assert math.isnan(alpha_req(torch.ones(5, 3)))


def test_agreement_of_neighbours():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 200, 8, generator=generator)
    assert view_agreement(first, 3 * first) == 1
    assert view_agreement(first, second) == pytest.approx(10 / 199, abs=0.02)
    assert view_agreement(first[:5], second[:5]) == 1  # all four others


def test_what_they_refuse():
    with pytest.raises(InputError, match=r"lidar expected .* two samples and two views at least; got \(4, 1, 2\)"):
        lidar(torch.ones(4, 1, 2))
    with pytest.raises(InputError, match=r"alpha_req expected at least two finite rows; got \(1, 3\)"):
        alpha_req(torch.ones(1, 3))
    with pytest.raises(InputError, match=r"view_agreement expected two views .*; got \(3, 2\) and \(4, 2\)"):
        view_agreement(torch.ones(3, 2), torch.ones(4, 2))
