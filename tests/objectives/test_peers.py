import sys
from itertools import combinations, permutations

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, log_softmax, normalize, softmax

from bam_core import InputError, MissingExtraError, Views, embedding_spread, rankme
from bam_core.config.registry import load_objective
from bam_core.objectives.prototypes import Prototypes
from bam_core.views import Drawn

PAIRS = ["simclr", "vicreg", "barlow_twins"]
TEACHERS = ["byol", "dino"]
PEERS = [*PAIRS, *TEACHERS, "swav"]


def noisy(batch, generator=None):
    return [batch + 0.3 * torch.randn(batch.shape, generator=generator) for _ in range(2)]


def multi_crop(batch):
    return Views([batch, 2 * batch, batch + 1], [batch[..., :5], batch[..., 2:6]])


class Mean(nn.Module):
    """(b, 3, t) -> (b, 4) for any t, noting every t."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.lengths = []

    def forward(self, x):
        self.lengths.append(x.shape[-1])
        return self.layer(x.mean(-1))


def make(name, encoder, view_fn, **options):
    small = {"projector_hidden": 16, "projector_out": 8}
    if name in ("dino", "swav"):
        small["n_prototypes"] = 12
    return load_objective(name)(encoder, view_fn, total_steps=10, **{**small, **options})


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", PEERS)
def test_it_learns_and_does_not_collapse(name):
    centres = 2 * torch.randn(8, 16, generator=seeded(0))
    samples = torch.repeat_interleave(centres, 32, dim=0) + 0.5 * torch.randn(256, 16, generator=seeded(1))
    encoder = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
    objective = make(name, encoder, noisy, projector_hidden=64, projector_out=32)
    objective.initialize(samples)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = []
    for step in range(60):
        rows = torch.randperm(256, generator=seeded(step))[:64]
        loss = objective(samples[rows], generator=seeded(step)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])
    embeddings = objective.embed(samples)
    assert embedding_spread(embeddings) > 0.3
    assert rankme(embeddings) > 3


@pytest.mark.parametrize("name", PEERS)
def test_who_looks_at_local_views(name):
    encoder = Mean()
    objective = make(name, encoder, multi_crop)
    batch = torch.randn(16, 3, 9)
    objective.initialize(batch)
    encoder.lengths.clear()
    n_views = len(objective(batch).embeddings) // 16
    if name in ("dino", "swav"):
        assert encoder.lengths == [9, 5, 4]
        assert n_views == 5
    else:
        assert encoder.lengths == [9]
        assert n_views == 3
    if objective.teacher is not None:
        teacher = objective.teacher.module.encoder
        teacher.lengths.clear()
        objective(batch)
        assert teacher.lengths == [9]


@pytest.mark.parametrize("name", TEACHERS)
def test_the_teacher_follows_once_per_step(name):
    objective = make(name, nn.Linear(6, 4), noisy, momentum=0.5, final_momentum=0.5)
    objective.initialize(torch.randn(16, 6))
    before = objective.teacher.module.encoder.weight.clone()
    objective.encoder.weight.data.add_(1.0)
    objective(torch.randn(16, 6))
    assert torch.equal(objective.teacher.module.encoder.weight, before)
    objective.update_teacher()
    assert torch.allclose(objective.teacher.module.encoder.weight, before + 0.5)


def project(objective, views, *, teacher=False):
    return objective.look(Drawn(views, len(views), len(views)), teacher=teacher).projections


def projections(objective, views):
    return [normalize(z, dim=1) for z in project(objective, views).chunk(len(views))]


def nt_xent(a, b, temperature):
    rows = torch.cat([a, b])
    scores = (rows @ rows.T / temperature).fill_diagonal_(-torch.inf)
    positives = torch.arange(len(rows)).roll(len(a))
    return -log_softmax(scores, dim=1)[torch.arange(len(rows)), positives].mean()


def test_simclr_is_its_definition():
    batch = torch.randn(16, 6)
    views = [batch, 1.5 * batch, batch + 1]
    objective = make("simclr", nn.Linear(6, 4), lambda x: views, temperature=0.2)
    got = objective(batch)
    z = projections(objective, views)
    expected = torch.stack([nt_xent(a, b, 0.2) for a, b in combinations(z, 2)]).mean()
    assert got.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert got.positive_cosine.item() == pytest.approx((z[0] * z[1]).sum(1).mean().item(), rel=1e-5)


def test_vicreg_is_its_definition():
    batch = torch.randn(16, 6)
    views = [batch, 1.5 * batch]
    objective = make("vicreg", nn.Linear(6, 4), lambda x: views, invariance=3.0, variance=5.0, covariance=2.0)
    loss = objective(batch).loss
    a, b = project(objective, views).chunk(2)

    def covariances(z):
        return (torch.cov(z.T).fill_diagonal_(0) ** 2).sum() / 8

    hinge = sum((1 - (z.var(0) + 1e-4).sqrt()).relu().mean() for z in (a, b)) / 2
    expected = 3 * (a - b).square().mean() + 5 * hinge + 2 * (covariances(a) + covariances(b))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_barlow_twins_is_its_definition():
    batch = torch.randn(16, 6)
    views = [batch, batch + torch.randn(16, 6)]
    objective = make("barlow_twins", nn.Linear(6, 4), lambda x: views, redundancy=0.1)
    loss = objective(batch).loss
    a, b = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in project(objective, views).chunk(2))
    c = a.T @ b / 16
    expected = (1 - c.diagonal()).square().sum() + 0.1 * (c - c.diagonal().diag()).square().sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)


def test_byol_is_its_definition():
    batch = torch.randn(16, 6)
    views = [batch, 1.5 * batch, batch + 1]
    objective = make("byol", nn.Linear(6, 4), lambda x: views)
    objective.initialize(batch)
    objective.encoder.weight.data.add_(0.3)
    loss = objective(batch).loss
    predictions = objective.terms["byol"].predictor(project(objective, views)).chunk(3)
    targets = project(objective, views, teacher=True).chunk(3)
    pairs = permutations(range(3), 2)
    expected = torch.stack([2 - 2 * cosine_similarity(predictions[a], targets[b]) for a, b in pairs]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_dino_is_its_definition():
    batch = torch.randn(16, 3, 9)
    objective = make("dino", Mean(), multi_crop, temperature=0.2, teacher_temperature=0.05, center_momentum=0.8)
    objective.initialize(batch)
    objective.encoder.layer.weight.data.add_(0.3)
    first, second = objective(batch).loss, objective(batch).loss
    made = multi_crop(batch)
    students = project(objective, [*made.global_views, *made.local_views]).chunk(5)
    teachers = project(objective, list(made.global_views), teacher=True).chunk(3)
    centre = 0.2 * torch.cat(teachers).mean(0)
    for loss, off in ((first, 0.0), (second, centre)):
        targets = [softmax((t - off) / 0.05, dim=1) for t in teachers]
        pairs = [(t, s) for t in range(3) for s in range(5) if s != t]
        terms = [-(targets[t] * log_softmax(students[s] / 0.2, dim=1)).sum(1).mean() for t, s in pairs]
        assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_swav_swaps_balanced_assignments():
    """With sharp assignments and one prototype for every sample, the code is a permutation."""
    prototypes = Prototypes(4, 4)
    prototypes.weight.data = torch.eye(4)
    objective = make("swav", nn.Identity(), lambda x: Views([x, 2 * x], [x + 0.1]), epsilon=0.02, temperature=0.5)
    objective.student.projector = prototypes
    batch = torch.eye(4)[[2, 0, 3, 1]] + 0.05
    logits = [log_softmax(prototypes(x) / 0.5, dim=1) for x in (batch, 2 * batch, batch + 0.1)]
    others = [(logits[1], logits[2]), (logits[0], logits[2])]
    expected = -sum(p[torch.arange(4), [2, 0, 3, 1]].mean() for pair in others for p in pair) / 4
    assert objective(batch).loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", PEERS)
def test_bfloat16_is_compared_in_float32(name):
    objective = make(name, nn.Linear(6, 4), noisy)
    batch = torch.randn(16, 6)
    objective.initialize(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(batch).loss
    assert loss.dtype == torch.float32


@pytest.mark.parametrize("name", PEERS)
def test_one_sample_is_too_few(name):
    objective = make(name, nn.Linear(6, 4), noisy)
    objective.initialize(torch.randn(16, 6))
    with pytest.raises(InputError, match="at least two samples in a batch; got one"):
        objective(torch.randn(1, 6))


@pytest.mark.parametrize("name", PEERS)
def test_one_view_is_too_few(name):
    objective = make(name, nn.Linear(6, 4), lambda x: Views([x], [x, x]))
    with pytest.raises(InputError, match="at least two global views to compare; got 1"):
        objective(torch.randn(16, 6))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("simclr", {"temperature": 0.0}),
        ("barlow_twins", {"redundancy": -1.0}),
        ("dino", {"teacher_temperature": 0.0}),
        ("swav", {"n_prototypes": 0}),
    ],
)
def test_wrong_options(name, options):
    (key,) = options
    with pytest.raises(InputError, match=f"{name} expected {key} > 0; got"):
        make(name, nn.Linear(6, 4), noisy, **options)


def test_an_epsilon_that_overflows():
    with pytest.raises(InputError, match=r"swav expected epsilon >= 0.0125; got 0.01: exp\(1 / epsilon\) overflows"):
        make("swav", nn.Linear(6, 4), noisy, epsilon=0.01)


@pytest.mark.parametrize("name", PEERS)
def test_without_lightly_the_extra_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    monkeypatch.setitem(sys.modules, "lightly", None)
    with pytest.raises(MissingExtraError, match=rf"objective '{name}' needs .* pip install 'bam-ssl\[peers\]'"):
        make(name, nn.Linear(6, 4), noisy)
