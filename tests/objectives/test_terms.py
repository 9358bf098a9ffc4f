"""The first terms against references of other makers and closed forms, in blocks, and on two ranks."""

import math

import pytest
import torch
from launch import run
from lightly.loss import KoLeoLoss
from lightly.loss.vicreg_loss import covariance_loss, variance_loss
from term_steps import step_of_each
from torch import nn

from bam_core import InputError, bam_loss
from bam_core.looks import Look, Wish
from bam_core.objective import Objective
from bam_core.objectives.terms.decorrelation import Decorrelation
from bam_core.objectives.terms.koleo import KoLeo, nearest
from bam_core.objectives.terms.positive import Positive
from bam_core.objectives.terms.uniformity import Uniformity, log_closeness
from bam_core.terms import TermOutput
from bam_core.views import Drawn


def looks_at(*views):
    looks = [Look(Wish(k), rows, rows) for k, rows in enumerate(views)]
    return looks, Drawn(list(views), len(views), len(views))


def rows(n=32, p=6, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Watching(nn.Module):
    """A term that looks at what the teacher sees, and at nothing else."""

    def wishes(self, drawn, encoder):
        return [Wish(0, "teacher")]

    def forward(self, looks, drawn, fraction):
        return TermOutput(looks[0].projections.mean())


def test_an_objective_without_a_wish_for_the_student_is_refused():
    objective = Objective(nn.Linear(3, 4), lambda x: [x], {"watching": Watching()}, momentum=0.9)
    with pytest.raises(InputError, match=r"a look of the student, which is to learn; watching wish for none"):
        objective(torch.randn(4, 3))


def test_decorrelation_is_vicregs():
    a, b = rows(seed=1), 0.3 * rows(seed=2)
    out = Decorrelation(variance=3.0, covariance=0.7)(*looks_at(a, b))
    hinge, others = variance_loss(a) + variance_loss(b), covariance_loss(a) + covariance_loss(b)
    assert out.loss.item() == pytest.approx((3 * hinge + 0.7 * others).item() / 2, rel=1e-9)
    assert out.scalars["variance"].item() == pytest.approx(hinge.item() / 2, rel=1e-9)
    assert out.scalars["covariance"].item() == pytest.approx(others.item() / 2, rel=1e-9)


def test_decorrelation_of_whitened_features_is_zero():
    white = torch.linalg.qr(rows(64, 4) - rows(64, 4).mean(0)).Q
    white = math.sqrt(64) * (white - white.mean(0))
    assert Decorrelation()(*looks_at(1.01 * white)).loss.item() == pytest.approx(0, abs=1e-6)


def test_koleo_is_lightlys():
    a, b = rows(seed=1), rows(seed=2)
    expected = (KoLeoLoss()(a) + KoLeoLoss()(b)) / 2
    assert KoLeo()(*looks_at(a, b)).loss.item() == pytest.approx(expected.item(), rel=1e-7)


def test_koleo_in_closed_form():
    """The corners of a square are sqrt(2) from their neighbours."""
    square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    out = KoLeo()(*looks_at(square))
    assert out.loss.item() == pytest.approx(-math.log(2) / 2, rel=1e-6)
    assert out.scalars["distance"].item() == pytest.approx(math.sqrt(2), rel=1e-6)


def test_uniformity_is_its_definition():
    a, b = rows(seed=1), rows(seed=2)
    views = [nn.functional.normalize(z, dim=1) for z in (a, b)]
    expected = torch.stack([torch.pdist(z).square().mul(-3).exp().mean().log() for z in views]).mean()
    assert Uniformity(t=3.0)(*looks_at(a, b)).loss.item() == pytest.approx(expected.item(), rel=1e-9)


def test_blocks_change_nothing():
    z = nn.functional.normalize(rows(40), dim=1).requires_grad_()
    own = torch.arange(40)
    assert torch.equal(nearest(z, z, own, block=7), nearest(z, z, own))
    whole, blocks = (log_closeness(z, z, own, t=2.0, block=block) for block in (100, 7))
    assert whole.item() == pytest.approx(blocks.item(), rel=1e-12)
    gradients = [torch.autograd.grad(value, z)[0] for value in (whole, blocks)]
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-14)


def golden(n_rows, d=8):
    """Rows of the golden values: sin(1.7 (1 + 8 r + c))."""
    numbers = 1 + d * torch.arange(n_rows, dtype=torch.float64)[:, None] + torch.arange(d)
    return (1.7 * numbers).sin()


def test_positive_is_the_golden_value_of_all_weight_on_the_positives():
    z = golden(16).requires_grad_()
    out = Positive()(*looks_at(z[:8], z[8:]))
    out.loss.backward()
    assert out.loss.item() == pytest.approx(14.6191847045, abs=1e-9)
    assert z.grad.norm().item() == pytest.approx(2.4494476096, abs=1e-9)


def test_positive_is_nt_xent_with_a_teacher():
    z, t = golden(16), (0.9 * (1 + torch.arange(128, dtype=torch.float64))).cos().reshape(16, 8)
    looks = [Look(Wish(k, who), r, r) for who, x in (("student", z), ("teacher", t)) for k, r in enumerate(x.chunk(2))]
    out = Positive(teacher=True, temperature=0.2)(looks, Drawn(list(z.chunk(2)), 2, 2))
    expected = bam_loss(z, t, temperature=0.2, positive_weight=1.0).loss
    unit_z, unit_t = nn.functional.normalize(z, dim=1), nn.functional.normalize(t, dim=1)
    scores = (unit_z @ unit_t.T / 0.2).fill_diagonal_(-torch.inf)
    by_hand = -scores.log_softmax(1)[torch.arange(16), torch.arange(16).roll(8)].mean()
    assert out.loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert out.loss.item() == pytest.approx(by_hand.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Decorrelation(variance=-1.0), "decorrelation expected weights >= 0; got -1.0 and 0.04"),
        (lambda: Uniformity(t=0.0), "uniformity expected t > 0; got 0.0"),
        (lambda: Positive(temperature=0.0), "temperature > 0; got 0.0"),
    ],
)
def test_wrong_options(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize("term", [Decorrelation(), KoLeo(), Uniformity()])
def test_one_sample_is_too_few(term):
    with pytest.raises(InputError, match="expected at least two samples in a batch; got one"):
        term(*looks_at(rows(1)))


TERMS = {"decorrelation": Decorrelation, "koleo": KoLeo, "uniformity": Uniformity, "positive": Positive}


def step(rank, world_size):
    return step_of_each(TERMS, rank, world_size)


@pytest.mark.slow
def test_two_ranks_are_one():
    expected = step(0, 1)
    for found in run(step, 2):
        for name in TERMS:
            assert torch.allclose(found[name], expected[name], rtol=1e-9, atol=1e-12), name
