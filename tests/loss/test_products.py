"""Products as GPUs make them, on the CPU: the same roundings, so the same errors, against the exact forms."""

import pytest
import torch

from bam_core import bam_loss
from bam_core.loss import blocks, dispatch, products, streaming, symmetric

CASES = [
    {},
    {"n_views": 4, "n_global": 2},
    {"n_views": 4, "n_global": 3, "n_target": 2, "top_k": 30},
    {"mask_positives": False},
    {"iterations": 0},
    {"positive_weight": 0.5},
    {"epsilon": 0.05},
    {"epsilon": 0.01, "temperature": 0.04},
]


@pytest.fixture
def rounded(monkeypatch):
    """Every product is rounded as on a GPU."""

    def rounds(values):
        return values.dtype == torch.float32

    for module in (products, dispatch, streaming):
        monkeypatch.setattr(module, "rounds", rounds)
    monkeypatch.setitem(symmetric._TILE_ROWS, "cpu", 40)
    monkeypatch.setattr(blocks, "_MOST_ROWS", 48)


def problem(dtype, n, seed):
    """Clustered rows, on which attention is peaked."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(12, 64, generator=generator)
    rows = centres[torch.arange(n) % 12] + 0.7 * torch.randn(n, 64, generator=generator)
    return rows.to(dtype)


@pytest.mark.parametrize("teacher", [False, True])
@pytest.mark.parametrize("method", ["stored", "streaming"])
@pytest.mark.parametrize("options", CASES)
def test_as_exact_as_tf32(rounded, options, method, teacher):
    n = 48 * options.get("n_views", 2)
    results = []
    for dtype, form in ((torch.float64, "dense"), (torch.float32, method)):
        z = problem(dtype, n, 0).requires_grad_()
        out = bam_loss(z, problem(dtype, n, 1) if teacher else None, method=form, **options)
        out.loss.backward()
        results.append((out, z.grad.double()))
    (expected, gradient), (found, rounded_gradient) = results
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=2e-4)
    assert found.column_error.item() == pytest.approx(expected.column_error.item(), abs=0.02)
    assert (rounded_gradient - gradient).norm() < 2e-3 * gradient.norm()


def test_a_vector_keeps_its_digits(rounded):
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(50, 300, generator=generator).bfloat16()
    x = torch.exp(20 * torch.rand(300, generator=generator))
    torch.testing.assert_close(products.times_vector(a, x), a.float() @ x, rtol=2e-5, atol=0)
