import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bam_core import InputError, embedding_spread, entropy, rankme


def test_entropy_of_uniform_and_of_certain():
    assert entropy(torch.full((3, 8), 1 / 8)).tolist() == pytest.approx([math.log(8)] * 3)
    assert entropy(torch.eye(4)).tolist() == [0.0] * 4


@settings(deadline=None, max_examples=20)
@given(rank=st.integers(1, 6), seed=st.integers(0, 50))
def test_rankme_of_equal_singular_values_is_the_rank(rank, seed):
    g = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(20, rank, generator=g, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(8, rank, generator=g, dtype=torch.float64)).Q
    assert rankme(left @ right.T) == pytest.approx(rank, abs=1e-3)


def test_rankme_is_uncentred():
    """A common offset is a direction of its own, as in the paper."""
    x = torch.randn(100, 4, dtype=torch.float64)
    assert rankme(x + 1000) < 1.1


def test_spread_against_all_pairs():
    x = torch.randn(7, 3, dtype=torch.float64)
    unit = x / x.norm(dim=1, keepdim=True)
    pairs = [float(unit[i] @ unit[j]) for i in range(7) for j in range(7) if i != j]
    assert embedding_spread(x) == pytest.approx(1 - sum(pairs) / len(pairs))


def test_errors():
    with pytest.raises(InputError, match="rankme expected at least two finite rows"):
        rankme(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))
    with pytest.raises(InputError, match="at least two rows; got 1"):
        embedding_spread(torch.ones(1, 3))
