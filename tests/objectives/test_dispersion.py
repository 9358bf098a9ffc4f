"""Terms that spread embeddings, and the attraction beside them: closed forms, lightly's losses, ranks, a collapse."""

import math

import pytest
import torch
from launch import run
from lightly.loss.lejepa_loss import LeJEPALoss
from lightly.loss.visreg_loss import VISRegLoss
from term_steps import step_of_each
from torch import nn
from torch.nn.functional import normalize

from bam_core import InputError, Views, embedding_spread, rankme
from bam_core.config.registry import load_objective
from bam_core.looks import Look, Wish
from bam_core.objective import Objective
from bam_core.objectives.random_directions import random_directions
from bam_core.objectives.terms.bam import BAM
from bam_core.objectives.terms.brownian import Brownian
from bam_core.objectives.terms.centroid_attraction import CentroidAttraction
from bam_core.objectives.terms.sigreg import SIGReg, epps_pulley
from bam_core.objectives.terms.singular_values import SingularValues
from bam_core.objectives.terms.visreg import VISReg, distance_to_normal
from bam_core.views import Drawn


def rows(n=32, p=6, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def looks_at(*views, n_global=None):
    looks = [Look(Wish(k), z, z) for k, z in enumerate(views)]
    return looks, Drawn(list(views), len(views), n_global or len(views), generators=[torch.Generator().manual_seed(7)])


def test_attraction_to_the_teachers_centroid_is_the_pull_of_the_centroids_and_the_spread():
    a, b, s, t = (rows(seed=k) for k in range(4))
    looks = [Look(Wish(k, who), z, z) for k, who, z in
             [(0, "student", a), (1, "student", b), (0, "teacher", s), (1, "teacher", t)]]  # fmt: skip
    got = CentroidAttraction(teacher=True)(looks, Drawn([a, b], 2, 2)).loss
    a, b, s, t = (normalize(z, dim=1) for z in (a, b, s, t))
    between = ((a + b) / 2 - (s + t) / 2).square().sum(1).mean()
    spread = ((a - b) / 2).square().sum(1).mean()
    assert got.item() == pytest.approx((between + spread).item(), rel=1e-9)


def test_a_local_view_is_drawn_to_the_centroid_of_the_global_ones():
    one, other = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0]] * 2)
    loss = CentroidAttraction()(*looks_at(one, one, other, n_global=2)).loss
    assert loss.item() == pytest.approx(2 / 3)  # only the local view is away, by sqrt(2)


def test_singular_values_in_closed_form():
    p = 5
    point = torch.ones(40, p, dtype=torch.float64)
    assert SingularValues()(*looks_at(point)).loss.item() == pytest.approx(2 - 2 / math.sqrt(p))
    even = torch.eye(p, dtype=torch.float64).repeat(8, 1)
    assert SingularValues()(*looks_at(even)).loss.item() == pytest.approx(0, abs=1e-12)
    half = torch.eye(p, dtype=torch.float64)[[0, 1] * 20]  # two of five directions
    expected = (2 * (math.sqrt(p / 2) - 1) ** 2 + 3) / p
    assert SingularValues()(*looks_at(even, half)).loss.item() == pytest.approx(expected / 2)
    few = torch.eye(p, dtype=torch.float64)[:3]  # fewer samples than features
    assert SingularValues()(*looks_at(few)).loss.item() == pytest.approx(0, abs=1e-12)


def test_a_brownian_step_has_the_right_length_and_no_direction():
    torch.manual_seed(0)
    z = normalize(torch.ones(4000, 64, dtype=torch.float64), dim=1).requires_grad_()
    loss = Brownian(step=0.5)(*looks_at(z)).loss
    loss.backward()
    assert loss.item() == pytest.approx(1 - 1 / math.sqrt(1.25), abs=0.005)
    step = -4000 * z.grad  # what gradient descent adds to every row
    assert step.norm(dim=1).mean().item() == pytest.approx(0.5 / math.sqrt(1.25), abs=0.01)
    assert (step * z.detach()).sum(1).abs().max() < 1e-9  # along the sphere
    assert step.mean(dim=0).norm() < 0.02  # none on average: 0.45 / sqrt(4000) = 0.007


def directions_of(drawn, p, n):
    return random_directions(drawn, p, n, like=rows())


def test_directions_are_unit_and_spread_over_the_sphere():
    _, drawn = looks_at(rows())
    found = directions_of(drawn, 6, 3000)
    assert torch.allclose(found.norm(dim=0), torch.ones(3000, dtype=torch.float64))
    assert torch.allclose(found @ found.T / 3000, torch.eye(6, dtype=torch.float64) / 6, atol=0.02)


def test_sigreg_and_lejepa_are_lightlys(monkeypatch):
    views = [rows(seed=k) for k in range(3)]
    looks, drawn = looks_at(*views, n_global=2)
    reference = LeJEPALoss(lambda_param=0.3, sigreg_num_vectors=20)
    directions = directions_of(looks_at(*views)[1], 6, 20)
    monkeypatch.setattr(reference.sigreg, "_generate_unit_vectors", lambda *args: directions)
    sketched = reference.sigreg(torch.stack(views))
    assert SIGReg(n_directions=20)(looks, drawn).loss.item() == pytest.approx(sketched.item(), rel=1e-5)
    made = load_objective("lejepa")(
        nn.Identity(), lambda x: Views(views[:2], views[2:]), total_steps=1, regularisation=0.3, n_directions=20
    )
    made.student.projector = nn.Identity()
    expected = reference(global_proj=torch.stack(views[:2]), local_proj=torch.stack(views[2:]))
    got = made(views[0], generator=torch.Generator().manual_seed(7)).loss
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_sigreg_of_normal_samples_is_that_of_the_test():
    """For normal samples its mean is the integral of (1 - phi^2) phi, with phi = exp(-t^2 / 2)."""
    z = rows(400, 8)
    directions = directions_of(looks_at(z)[1], 8, 40)
    mean = math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3)  # over the whole line
    assert epps_pulley(z, directions, knots=60, t_max=6.0).item() == pytest.approx(mean, rel=0.5)
    point = torch.zeros(50, 8, dtype=torch.float64)  # |1 - phi|^2 phi, times 50
    at_zero = 50 * math.sqrt(2 * math.pi) * (1 - 2 / math.sqrt(2) + 1 / math.sqrt(3))
    assert epps_pulley(point, directions, knots=60, t_max=6.0).item() == pytest.approx(at_zero, rel=1e-6)


def test_visreg_is_lightlys(monkeypatch):
    views = [rows(seed=k) for k in range(3)]
    directions = directions_of(looks_at(*views)[1], 6, 20)
    made = load_objective("visreg")(
        nn.Identity(), lambda x: Views(views[:2], views[2:]), total_steps=1, regularisation=0.9, n_directions=20
    )
    made.student.projector = nn.Identity()
    got = made(views[0], generator=torch.Generator().manual_seed(7))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", lambda *args, **kwargs: directions)
        expected = VISRegLoss(num_slices=20).forward_components(
            global_proj=torch.stack(views[:2]), local_proj=torch.stack(views[2:])
        )
    assert got.loss.item() == pytest.approx(expected.total.item(), rel=1e-5)
    for ours, theirs in (("scale", "scale"), ("shape", "shape"), ("centre", "center")):
        assert getattr(got, f"visreg_{ours}").item() == pytest.approx(getattr(expected, theirs).item(), rel=1e-4)


def test_blocks_of_directions_change_nothing():
    z, directions = rows().requires_grad_(), directions_of(looks_at(rows())[1], 6, 30)
    for whole, blocks in [
        [epps_pulley(z, directions, knots=9, t_max=3.0, block=b) for b in (100, 7)],
        [distance_to_normal(z, directions, block=b) for b in (100, 7)],
    ]:
        assert whole.item() == pytest.approx(blocks.item(), rel=1e-12)
        gradients = [torch.autograd.grad(value, z)[0] for value in (whole, blocks)]
        assert torch.allclose(*gradients, rtol=1e-10, atol=1e-14)


CENTRES = 2 * torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
SAMPLES = torch.repeat_interleave(CENTRES, 16, dim=0) + 0.5 * rows(128, 16, seed=1).float()


def noisy(batch, generator=None):
    return [batch + 0.3 * torch.randn(batch.shape, generator=generator) for _ in range(2)]


def train(objective, steps):
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        loss = objective(SAMPLES[torch.randperm(128, generator=generator)[:64]], generator=generator).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("msbreg", {}),
        ("lejepa", {"n_directions": 16}),
        ("visreg", {"n_directions": 16}),
        ("nnclr", {"queue_size": 128}),
    ],
)
def test_it_learns_and_does_not_collapse(name, options):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
    small = {"projector_hidden": 32, "projector_out": 16, **options}
    objective = load_objective(name)(encoder, noisy, total_steps=30, **small)
    objective.initialize(SAMPLES)
    losses = train(objective, 30)
    assert name == "visreg" or sum(losses[-5:]) < sum(losses[:5])  # its slope is not that of its value
    embeddings = objective.embed(SAMPLES)
    assert embedding_spread(embeddings) > 0.3
    assert rankme(embeddings) > 3


def collapsed():
    """Nearly all that it says is one direction."""
    torch.manual_seed(0)
    encoder = nn.Linear(16, 16)
    with torch.no_grad():
        encoder.weight.mul_(0.02)
        encoder.bias.fill_(1.0)
    return encoder


def test_singular_values_lead_bam_out_of_a_collapse():
    found = {}
    for name, weights in {"alone": {}, "with": {"spread": 1.0}}.items():
        terms = {"bam": BAM(), **({"spread": SingularValues()} if weights else {})}
        objective = Objective(collapsed(), noisy, terms, weights=weights, projector=nn.Identity())
        before = rankme(objective.embed(SAMPLES))
        train(objective, 60)
        found[name] = rankme(objective.embed(SAMPLES))
    assert before < 2
    assert found["with"] > 2 * before
    assert found["with"] > found["alone"]


TERMS = {
    "singular": SingularValues,
    "brownian": Brownian,
    "attraction": CentroidAttraction,
    "sigreg": lambda: SIGReg(n_directions=7),
    "visreg": lambda: VISReg(n_directions=7),
}


def step(rank, world_size):
    return step_of_each(TERMS, rank, world_size)


@pytest.mark.slow
def test_two_ranks_are_one():
    expected = step(0, 1)
    for found in run(step, 2):
        for name in TERMS:
            assert torch.allclose(found[name], expected[name], rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Brownian(step=0.0), "brownian expected step > 0; got 0.0"),
        (lambda: SIGReg(n_directions=0), "sigreg expected n_directions > 0; got 0"),
        (lambda: SIGReg(knots=1), "sigreg expected at least 2 knots of the integral; got 1"),
        (lambda: VISReg(shape=-1.0), "visreg expected weights >= 0; got 1.0, -1.0 and 1.0"),
        (lambda: load_objective("lejepa")(nn.Identity(), noisy, total_steps=1, regularisation=2.0), "lejepa expected"),
        (lambda: load_objective("visreg")(nn.Identity(), noisy, total_steps=1, regularisation=-1.0), "visreg expected"),
    ],
)
def test_wrong_options(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize("term", [SingularValues(), VISReg()])
def test_one_sample_is_too_few(term):
    with pytest.raises(InputError, match="expected at least two samples in a batch; got one"):
        term(*looks_at(rows(1)))


@pytest.mark.parametrize("term", [SIGReg(), Brownian()])
def test_one_sample_is_nothing_to_look_at(term):
    with pytest.raises(InputError, match=r"(sigreg|brownian) expected at least two samples in a batch; got one"):
        term.wishes(looks_at(rows(1))[1], nn.Identity())
