"""One test of collapse: what an attention that knows nothing would give, for every form of the loss."""

import math
import warnings
from itertools import product

import pytest
import torch
from torch import nn

from bam_core import BAMObjective, CollapseWarning, bam_loss
from bam_core.diagnostics import projections_rankme
from bam_core.loss.collapse import CollapseWatch, collapse, end_of_training, uniform_entropy


def figures_of(rows, **options):
    """Figures of an objective whose projections are given."""
    objective = BAMObjective(nn.Identity(), lambda x: [x, x], projector=nn.Identity(), **options)
    out = objective(rows)
    names = ("kl", "target_entropy", "uniform_loss", "uniform_entropy")
    return {**{name: float(getattr(out, name)) for name in names}, "rankme": projections_rankme(out.projections)}


OPTIONS = [{}, {"top_k": 5}, {"mask_positives": False}, {"n_target": 1}, {"momentum": 0.9}, {"positive_weight": 0.0}]
OPTIONS += [{"positive_weight": 1.0}, {"n_target": 1, "top_k": 5}]


@pytest.mark.parametrize(("options", "seed"), list(product(OPTIONS, (0, 1))))
def test_a_collapsed_network_is_found_and_a_good_one_left_alone(options, seed):
    generator = torch.Generator().manual_seed(seed)
    point = torch.randn(1, 16, generator=generator)
    nearly = point + 1e-3 * torch.randn(48, 16, generator=generator)
    clusters = torch.eye(16).repeat(3, 1) + 0.1 * torch.randn(48, 16, generator=generator)
    assert "one line" in collapse(**figures_of(nearly, **options))
    uniform = {**figures_of(nearly, **options), "rankme": None}
    assert "the attention knows nothing" in collapse(**uniform)
    assert collapse(**figures_of(clusters, **options)) is None


def test_orthogonal_projections_know_nothing_either():
    """Full rank, and everybody resembles nobody: the case of strong views, where no embedding has collapsed."""
    figures = figures_of(torch.eye(48), positive_weight=0.0)
    assert figures["rankme"] == pytest.approx(48, rel=1e-3)
    assert collapse(**figures).startswith(
        "the attention knows nothing (target entropy 4.54 of at most 4.54 nats, kl 0.00"
    )


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 1.0])
def test_the_entropy_of_a_uniform_target_with_weight_on_the_positives(weight):
    """Against the target itself, written out: two columns of one's own, 30 of others."""
    target = torch.tensor([weight / 2] * 2 + [(1 - weight) / 30] * 30, dtype=torch.float64)
    expected = float(torch.special.entr(target).sum())
    assert uniform_entropy(30, n_positives=2, positive_weight=weight) == pytest.approx(expected)


def test_the_case_of_the_users():
    assert collapse(kl=0.04, target_entropy=5.50, uniform_loss=5.54, uniform_entropy=5.54, rankme=20.0)
    assert collapse(kl=0.4, target_entropy=5.50, uniform_loss=5.54, uniform_entropy=5.54, rankme=20.0) is None
    assert collapse(kl=0.04, target_entropy=4.50, uniform_loss=5.54, uniform_entropy=5.54, rankme=20.0) is None
    half = uniform_entropy(510, positive_weight=0.5)
    with_weight = {"target_entropy": half, "uniform_loss": math.log(511), "uniform_entropy": half}
    assert collapse(kl=math.log(511) - half, **with_weight)
    assert collapse(kl=0.8, **with_weight) is None  # the positives are found, so something is known


def test_the_objective_warns_once_after_two_looks():
    objective = BAMObjective(nn.Identity(), lambda x: [x, x], projector=nn.Identity())
    objective.terms["bam"]._watch = CollapseWatch("Do this.", every=5)
    told = []
    for step in range(1, 31):
        objective.train(step > 2)  # an evaluation counts for nothing
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            objective(torch.ones(8, 4))
        told += [(step, str(w.message)) for w in caught if w.category is CollapseWarning]
    assert told == [
        (12, "after 10 steps all projections lie on one line (RankMe 1.00): the network has collapsed, or has learnt "
         "nothing yet. Do this."),
    ]  # fmt: skip


def test_one_bad_look_is_none():
    objective = BAMObjective(nn.Identity(), lambda x: [x, x], projector=nn.Identity())
    objective.terms["bam"]._watch = CollapseWatch("", every=1)
    for step in range(6):
        objective(torch.ones(8, 4) if step % 2 else torch.eye(8).repeat(2, 1) + 0.1)


def test_the_end_of_a_training():
    rows = [{"step": k, "kl": 2.0, "target_entropy": 5.0, "uniform_loss": 5.54, "rankme": 3} for k in range(20)]
    rows += [{**row, "kl": 0.3, "projections_rankme": "" if k % 2 else "21.0"} for k, row in enumerate(rows[:5])]
    end = end_of_training(rows)
    assert end.words == (
        "Nothing in the training points to a collapse: kl 0.30, target entropy 5.00 of at most 5.54 nats, RankMe of "
        "the projections 21.0."
    )
    end = end_of_training([{**row, "kl": "0.04", "target_entropy": "5.5"} for row in rows])
    assert end.words.startswith("The network has collapsed, or has learnt nothing yet: the attention knows nothing")
    assert end_of_training([{"loss": 1.0}]) is None
    assert end_of_training([]) is None


def test_a_loss_far_from_uniform_figures_is_untouched():
    """The figures are those of the loss: nothing is measured twice."""
    rows = torch.randn(48, 16, generator=torch.Generator().manual_seed(3))
    out = bam_loss(torch.cat([rows, rows]))
    assert figures_of(rows, positive_weight=0.0)["kl"] == pytest.approx(float(out.kl), rel=1e-5)
