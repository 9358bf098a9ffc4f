from typing import NamedTuple

import pytest
import torch
from torch import nn

from bam_core import BAMObjective, InputError, Projector, Views, bam_loss


def two_views(batch, generator=None):
    noise = torch.randn((2, *batch.shape), generator=generator)
    return [batch + 0.1 * n for n in noise]


class Pooled(nn.Module):
    """(b, c, t) of any length -> (b, 4), counting its calls."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.calls = []

    def forward(self, x):
        self.calls.append(tuple(x.shape))
        return self.conv(x).mean(-1)


def test_it_is_the_loss_of_the_projections():
    objective = BAMObjective(nn.Linear(6, 4), two_views, temperature=0.2, epsilon=0.07)
    batch = torch.randn(8, 6)
    objective.initialize(batch)
    out = objective(batch, generator=torch.Generator().manual_seed(3))
    views = torch.cat(two_views(batch, torch.Generator().manual_seed(3)))
    projections = objective.projector(objective.encoder(views))
    assert out.loss.item() == pytest.approx(
        bam_loss(projections, temperature=0.2, epsilon=0.07, positive_weight=0.5).loss.item()
    )
    assert torch.allclose(out.embeddings, objective.encoder(views))
    assert out.uniform_loss.item() == pytest.approx(torch.tensor(15.0).log().item())  # all but itself


def test_a_bare_loop_learns():
    torch.manual_seed(0)
    centres = torch.randn(8, 16)
    encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    objective = BAMObjective(encoder, two_views, momentum=0.9, positive_weight=0.0, epsilon=0.05)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    kls = []
    for _ in range(30):
        batch = centres[torch.randint(8, (64,))] + 0.2 * torch.randn(64, 16)
        out = objective(batch)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
        kls.append(out.kl.item())
    assert kls[-1] < 0.5 * kls[0]


def test_half_of_the_weight_is_on_the_positives_where_they_are_masked():
    assert BAMObjective(nn.Linear(6, 4), two_views).positive_weight == 0.5
    assert BAMObjective(nn.Linear(6, 4), two_views, mask_positives=False).positive_weight == 0
    assert BAMObjective(nn.Linear(6, 4), two_views, positive_weight=0.0).positive_weight == 0


def test_the_optimizer_may_be_made_before_the_first_batch():
    objective = BAMObjective(nn.Linear(6, 4), two_views)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.1)
    objective(torch.randn(8, 6)).loss.backward()
    before = [p.clone() for p in objective.parameters()]
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))


def test_views_of_equal_shape_share_a_pass_and_keep_their_order():
    encoder = Pooled()

    def views(batch):
        return Views([batch, batch[..., :20], batch + 1], [batch[..., 5:25], batch[..., :7]])

    objective = BAMObjective(encoder, views, projector=nn.Identity())
    batch = torch.randn(4, 2, 30)
    out = objective(batch)
    assert sorted(encoder.calls) == [(4, 2, 7), (8, 2, 20), (8, 2, 30)]
    expected = torch.cat([encoder(v) for v in (batch, batch[..., :20], batch + 1, batch[..., 5:25], batch[..., :7])])
    assert torch.allclose(out.embeddings, expected)
    assert out.loss.item() == pytest.approx(bam_loss(expected, n_views=5, n_global=3, positive_weight=0.5).loss.item())


class Pair(NamedTuple):
    numbers: torch.Tensor
    codes: torch.Tensor


class OfPair(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 3)

    def forward(self, view):
        numbers, codes = (view["numbers"], view["codes"]) if isinstance(view, dict) else view
        return torch.cat([numbers, self.table(codes)], 1)


@pytest.mark.parametrize("make", [lambda n, c: {"numbers": n, "codes": c}, lambda n, c: (n, c), Pair])
def test_views_may_be_dicts_and_tuples(make):
    numbers, codes = torch.randn(6, 2), torch.randint(5, (6,))
    objective = BAMObjective(OfPair(), lambda batch: [make(numbers + 0.1 * k, codes) for k in range(2)])
    assert objective(None).embeddings.shape == (12, 5)
    assert objective.embed(make(numbers, codes)).shape == (6, 5)


def test_no_sample_depends_on_the_batch_after_initialisation():
    objective = BAMObjective(nn.Linear(6, 4), two_views)
    objective.initialize(torch.randn(64, 6))
    embeddings = torch.randn(8, 4)
    assert torch.allclose(objective.projector(embeddings)[:3], objective.projector(embeddings[:3]), atol=1e-6)


def test_initialisation_standardises_and_leaves_the_encoder_alone():
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    state = {k: v.clone() for k, v in encoder.state_dict().items()}
    objective = BAMObjective(encoder, lambda x: [x, x])
    batch = 5 + torch.randn(64, 6)
    objective.initialize(batch)
    assert all(torch.equal(v, state[k]) for k, v in encoder.state_dict().items())
    standard = objective.projector[0](encoder(batch))
    assert torch.allclose(standard.mean(0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(standard.std(0, correction=0), torch.ones(4), atol=1e-3)


def test_constant_features_are_not_blown_up():
    projector = Projector()
    x = torch.randn(32, 4)
    x[:, 1] = 7.0
    projector(x)
    assert projector[0].scale.max() < 30 / x[:, 0].std()
    same = Projector()
    assert same(torch.ones(4, 3)).isfinite().all()


def test_teacher_follows_once_per_call_and_gives_the_targets():
    objective = BAMObjective(nn.Linear(6, 4), two_views, momentum=0.5)
    batch = torch.randn(8, 6)
    objective.initialize(batch)
    before = objective.teacher.module.encoder.weight.clone()
    objective.encoder.weight.data.add_(1.0)
    objective(batch)
    assert torch.equal(objective.teacher.module.encoder.weight, before)
    objective.update_teacher()
    assert torch.allclose(objective.teacher.module.encoder.weight, before + 0.5)
    assert not torch.allclose(objective.embed(batch), objective.embed(batch, teacher=True))
    assert not any(p.requires_grad for p in objective.teacher.parameters())


@pytest.mark.parametrize("prefix", ["", "objective."])
def test_a_fresh_objective_takes_a_state_dict_with_a_teacher(prefix):
    def fresh():
        made = BAMObjective(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), lambda x: [x, x.sin()], momentum=0.5)
        return nn.ModuleDict({"objective": made}) if prefix else made

    batch, trained, loaded = torch.randn(8, 6), fresh(), fresh()
    objective, again = (m["objective"] if prefix else m for m in (trained, loaded))
    objective(batch)
    for _ in range(3):
        objective.encoder[0].weight.data.add_(1.0)
        objective.update_teacher()
    assert loaded.load_state_dict(trained.state_dict()) == ([], [])
    assert again.teacher.steps == 3
    for name, value in objective.teacher.module.state_dict().items():
        assert torch.equal(again.teacher.module.state_dict()[name], value)
    assert torch.equal(again.eval()(batch).loss, objective.eval()(batch).loss)
    assert torch.equal(again.embed(batch, teacher=True), objective.embed(batch, teacher=True))
    again.update_teacher()
    assert again.teacher.steps == 4


def test_a_teacher_of_another_network_is_refused():
    trained, other = (BAMObjective(nn.Linear(6, width), lambda x: [x, x], momentum=0.5) for width in (4, 5))
    trained.initialize(torch.randn(8, 6))
    with pytest.raises(RuntimeError, match=r"size mismatch for encoder\.weight"):
        other.load_state_dict(trained.state_dict())


def test_frozen_batch_normalisation_stays_frozen():
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4).eval(), nn.BatchNorm1d(4))
    objective = BAMObjective(encoder, lambda x: [x, x.sin()], momentum=0.5)
    batch = torch.randn(8, 6)
    objective.initialize(batch)
    objective.eval().train()
    objective.train()
    both = [encoder, objective.teacher.module.encoder]
    assert [[m.training for m in net] for net in both] == [[True, False, True]] * 2
    objective(batch)
    objective.embed(batch)
    assert [[m.training for m in net] for net in both] == [[True, False, True]] * 2
    assert not encoder[1].running_mean.any()
    assert encoder[2].running_mean.any()
    encoder[1].train()
    objective.eval()
    objective.train()
    assert encoder[1].training
    encoder.eval()  # all of it, to look at it: that freezes nothing
    objective.train()
    assert all(m.training for m in encoder.modules())


def test_generators_reach_view_functions_that_take_one():
    seen = []

    def positional(batch):
        return [batch, batch]

    def keyword(batch, *, generator=None):
        seen.append(generator)
        return [batch, batch]

    class Module(nn.Module):
        def forward(self, batch, generator=None):
            seen.append(generator)
            return [batch, batch]

    generator = torch.Generator()
    for view_fn in (positional, keyword, Module()):
        BAMObjective(nn.Linear(6, 4), view_fn)(torch.randn(4, 6), generator=generator)
    assert [g for g in seen if g is not None] == [generator, generator]


@pytest.mark.parametrize(
    ("view_fn", "message"),
    [
        (lambda x: x, "must return a list of views"),
        (lambda x: [], "no global views"),
        (lambda x: [x, x[:2]], r"different batch sizes: \[4, 2\]"),
        (lambda x: [{"a": x, "b": x[:2]}] * 2, "share their first axis"),
        (lambda x: ["a", "b"], "must be a tensor, or a dict or tuple of tensors; got str"),
    ],
)
def test_wrong_views(view_fn, message):
    with pytest.raises(InputError, match=message):
        BAMObjective(nn.Linear(6, 4), view_fn)(torch.randn(4, 6))


@pytest.mark.parametrize("encoder", [nn.Conv1d(2, 4, 3), nn.LSTM(5, 3)])
def test_wrong_encoder_output(encoder):
    with pytest.raises(InputError, match=r"must map a view to a tensor of shape \(b, d\)"):
        BAMObjective(encoder, two_views)(torch.randn(4, 2, 5))


def test_wrong_settings():
    with pytest.raises(InputError, match="epsilon > 0"):
        BAMObjective(nn.Linear(2, 2), two_views, epsilon=0.0)
    with pytest.raises(InputError, match="n_layers >= 1; got 0"):
        Projector(n_layers=0)
    with pytest.raises(InputError, match=r"momentum in \[0, 1\]; got 1.5 at step 0"):
        BAMObjective(nn.Linear(2, 2), two_views, momentum=1.5)(torch.randn(4, 2))
    with pytest.raises(InputError, match="this one has no teacher"):
        BAMObjective(nn.Linear(2, 2), two_views).embed(torch.randn(4, 2), teacher=True)


def test_projector_has_the_published_shape():
    projector = Projector(384, hidden_features=4096, out_features=4096, standardize=False)
    linears = [m for m in projector if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears] == [(384, 4096), (4096, 4096), (4096, 4096)]
    assert sum(p.numel() for p in projector.parameters()) == 384 * 4096 + 4096 + 2 * (4096 * 4096 + 4096)
    assert linears[1].weight.std().item() == pytest.approx(0.02, rel=0.01)
