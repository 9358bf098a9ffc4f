"""`vibcreg` and `token_deviation` against references and closed forms; whitening."""

import pytest
import torch
from torch import nn

from bam_core import InputError
from bam_core.config.registry import load_objective
from bam_core.looks import Look, Wish
from bam_core.objectives.terms.token_deviation import TokenDeviation, deviations
from bam_core.objectives.terms.vibcreg import VIbCReg, correlations
from bam_core.objectives.whitening import IterativeNorm, whitening_matrix
from bam_core.tokens import Tokens
from bam_core.views import Drawn


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_correlations_are_numpys_whatever_the_scale():
    z = rows(20, 5) @ rows(5, 5, seed=1) * torch.tensor([1.0, 10, 0.1, 3, 1])
    expected = torch.corrcoef(z.T)[~torch.eye(5, dtype=torch.bool)].square().mean()
    assert correlations(z).item() == pytest.approx(expected.item(), rel=1e-9)


def test_vibcreg_is_its_definition():
    a, b = rows(20, 5), 0.5 * rows(20, 5, seed=1)
    looks = [Look(Wish(k), z, z) for k, z in enumerate((a, b))]
    got = VIbCReg(invariance=2.0, variance=3.0, correlation=5.0)(looks, Drawn([a, b], 2, 2)).loss
    off = ~torch.eye(5, dtype=torch.bool)
    hinge = sum((1 - (z.var(0) + 1e-4).sqrt()).clamp_min(0).mean() for z in (a, b)) / 2
    related = sum(torch.corrcoef(z.T)[off].square().mean() for z in (a, b)) / 2
    assert got.item() == pytest.approx((2 * (a - b).square().mean() + 3 * hinge + 5 * related).item(), rel=1e-9)


def test_whitening_is_the_inverse_root():
    mixed = rows(5, 5)
    covariance = mixed @ mixed.T + torch.eye(5)
    found = whitening_matrix(covariance, iterations=10)
    assert torch.allclose(found @ covariance @ found, torch.eye(5, dtype=torch.float64), atol=1e-4)


def test_iterative_norm_whitens_and_remembers():
    z = (rows(400, 4) * torch.tensor([1.0, 2.0, 1.5, 1.0]) + 3).float()
    norm = IterativeNorm(4, iterations=15, momentum=1.0)
    white = norm(z)
    assert torch.allclose(white.T.cov(), torch.eye(4), atol=0.01)
    assert torch.allclose(norm.eval()(z), white, atol=1e-4)


def test_vibcreg_whitens_its_projections():
    made = load_objective("vibcreg")(
        nn.Linear(6, 8), lambda x: [x, x + 0.1], total_steps=1, projector_hidden=16, projector_out=4
    )
    z = rows(200, 6).float()
    made.initialize(z)
    views = made.look(Drawn([z], 1, 1)).projections
    assert views.mean(0).abs().max() < 1e-4
    assert correlations(views) < correlations(made.projector[0](made.encoder(z)))


def looks_at(tokens):
    return [Look(Wish(0, head=None, tokens=True), tokens.values.mean(1), tokens=tokens)], Drawn([tokens.values], 1, 1)


def test_tokens_that_do_not_vary_cost_the_margin():
    flat = Tokens(torch.ones(6, 4, 3), torch.arange(4).expand(6, -1))
    assert TokenDeviation(margin=0.5)(*looks_at(flat)).loss.item() == pytest.approx(0.5 - 0.01)  # root of 1e-4
    wide = Tokens(10 * rows(6, 4, 3), torch.arange(4).expand(6, -1))
    assert TokenDeviation(margin=0.5)(*looks_at(wide)).loss.item() == 0


def test_places_that_are_not_there_do_not_count():
    values = rows(6, 4, 3)
    present = torch.ones(6, 4, dtype=torch.bool)
    present[2:, 2], present[1:, 3] = False, False  # two samples have place 2, one has place 3
    found = deviations(values, present)
    assert torch.allclose(found[0], (values[:, 0].var(0) + 1e-4).sqrt())
    assert torch.allclose(found[2], (values[:2, 2].var(0) + 1e-4).sqrt())
    assert torch.equal(found[3], torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: VIbCReg(variance=-1.0), "vibcreg expected weights >= 0; got 25.0, -1.0 and 200.0"),
        (lambda: IterativeNorm(4, iterations=0), "IterativeNorm expected iterations > 0; got 0"),
        (lambda: TokenDeviation(margin=0.0), "token_deviation expected margin > 0; got 0.0"),
    ],
)
def test_wrong_options(act, said):
    with pytest.raises(InputError, match=said):
        act()
