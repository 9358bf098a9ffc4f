"""The script behind a figure of docs/methods.md: its views, its measure, and what two objectives learn."""

import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "influential_features.py"))


def test_views_have_the_deviations_and_correlations_that_it_says():
    (a, b), first = SCRIPT["draw"](20000, torch.eye(8), torch.Generator().manual_seed(0))
    assert torch.equal(a, torch.cat([first["influential"], first["noisy"]], dim=1))
    found = torch.corrcoef(torch.cat([a, b], dim=1).T)[:8, 8:]
    expected = torch.diag(torch.tensor([0.95] * 4 + [0.4] * 4))
    assert torch.allclose(found, expected, atol=0.03)
    assert torch.allclose(a.std(dim=0), torch.tensor([0.6] * 4 + [2.0] * 4), rtol=0.03)


def test_what_is_explained_is_a_share_of_the_variance():
    z = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    assert SCRIPT["explained"](z, z @ torch.randn(4, 2)) == pytest.approx(1, abs=1e-6)
    assert SCRIPT["explained"](z, torch.randn(400, 2, generator=torch.Generator().manual_seed(1))) < 0.05


def test_bam_learns_what_views_share_and_reconstruction_what_varies():
    bam, reconstruction = (SCRIPT["learnt"](name, steps=150, seed=0) for name in ("BAM", "reconstruction"))
    assert bam["influential"][-1] > 0.9 > bam["noisy"][-1] + 0.5
    assert reconstruction["noisy"][-1] > reconstruction["influential"][-1]
    assert len(bam["noisy"]) == 16
