import math

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bam_core import InputError, sinkhorn


def cosines(n, m, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(n, 6, generator=g, dtype=dtype), dim=1)
    columns = torch.nn.functional.normalize(torch.randn(m, 6, generator=g, dtype=dtype), dim=1)
    return rows @ columns.T


@settings(deadline=None, max_examples=15)
@given(n=st.integers(2, 12), m=st.integers(2, 12), epsilon=st.floats(0.2, 2.0), seed=st.integers(0, 99))
def test_agrees_with_pot(n, m, epsilon, seed):
    scores = cosines(n, m, seed)
    ours = sinkhorn(scores, epsilon=epsilon, iterations=500)
    theirs = ot.sinkhorn([1 / n] * n, [1 / m] * m, -scores.numpy(), reg=epsilon, stopThr=1e-13, numItermax=100_000,
                         method="sinkhorn_log", warn=False)  # fmt: skip
    assert torch.allclose(ours.plan / n, torch.from_numpy(theirs), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 12), m=st.integers(2, 12), iterations=st.integers(0, 5), seed=st.integers(0, 99))
def test_rows_are_distributions_and_potentials_explain_the_plan(n, m, iterations, seed):
    scores = cosines(n, m, seed)
    balanced = sinkhorn(scores, epsilon=0.1, iterations=iterations)
    assert torch.allclose(balanced.plan.sum(1), torch.ones(n, dtype=torch.float64))
    rebuilt = scores / 0.1 + balanced.row_potential[:, None] + balanced.column_potential
    assert torch.allclose(rebuilt, balanced.log_plan)
    totals = balanced.plan.sum(0)
    assert balanced.column_error.item() == pytest.approx((totals * m / n - 1).abs().max().item())


def test_two_by_two_closed_form():
    """With equal margins the balanced plan of [[s, 0], [0, s]] has s's share 1 / (1 + exp(-s / epsilon))."""
    balanced = sinkhorn(torch.eye(2, dtype=torch.float64), epsilon=0.5, iterations=20)
    assert balanced.plan[0, 0].item() == pytest.approx(1 / (1 + math.exp(-2)))


def test_balancing_ignores_popular_columns():
    """Adding a constant to a column changes nothing: that is what balancing means."""
    scores = cosines(8, 8)
    popular = scores + torch.tensor([0.5] + [0.0] * 7)
    assert torch.allclose(sinkhorn(scores, iterations=5).plan, sinkhorn(popular, iterations=5).plan)


def test_no_iterations_is_a_softmax():
    scores = cosines(5, 7)
    assert torch.allclose(sinkhorn(scores, iterations=0).plan, (scores / 0.025).softmax(1))


def test_more_iterations_balance_better():
    errors = [sinkhorn(cosines(16, 16), iterations=k).column_error.item() for k in (0, 1, 3, 30)]
    assert errors == sorted(errors, reverse=True)


def test_the_mask_stays_empty():
    mask = torch.eye(6, dtype=torch.bool)
    plan = sinkhorn(cosines(6, 6), mask=mask).plan
    assert (plan[mask] == 0).all()
    assert torch.allclose(plan.sum(1), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("epsilon", [0.005, 0.05])
def test_float32_stays_finite_and_close_where_the_linear_domain_underflows(epsilon):
    scores = cosines(32, 32)
    double, single = (sinkhorn(s, epsilon=epsilon) for s in (scores, scores.float()))
    assert single.plan.isfinite().all()
    assert torch.allclose(double.plan.float(), single.plan, atol=1e-3)


def test_half_precision_is_promoted():
    assert sinkhorn(cosines(4, 4).bfloat16()).plan.dtype == torch.float32


def test_no_gradient():
    assert not sinkhorn(cosines(4, 4).requires_grad_()).plan.requires_grad


def test_errors():
    with pytest.raises(InputError, match="epsilon > 0; got 0"):
        sinkhorn(cosines(4, 4), epsilon=0.0)
    with pytest.raises(InputError, match="iterations >= 0; got -1"):
        sinkhorn(cosines(4, 4), iterations=-1)
