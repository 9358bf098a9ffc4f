"""JEPA against a computation row by row, over shards, and trained on the example data of every domain with tokens."""

import math

import pytest
import torch
from ragged import pad
from torch import nn

from bam_core.config.recipe import load_recipe
from bam_core.config.registry import complete, load_modality
from bam_core.config.shipped_recipes import find_recipe
from bam_core.data import SplitDataset
from bam_core.errors import InputError
from bam_core.objective import Objective
from bam_core.objectives.jepa import make_jepa
from bam_core.objectives.terms.jepa import JEPA, deviation, distance, positions
from bam_core.views import draw_views
from modalities.image.encoders import vit_tiny
from modalities.timeseries.encoders import PatchTransformer, ResNet1d

IMAGES = {"in_channels": 3, "image_size": [20, 16], "mean": [0.5] * 3, "std": [0.2] * 3}


def series(n=6):
    lengths = [40, 33, 17, 9, 40, 26][:n]
    return pad([torch.randn(2, t, generator=torch.Generator().manual_seed(t)) for t in lengths], to=40, filler=0.0)


def images(n=6):
    return torch.rand(n, 3, 20, 16, generator=torch.Generator().manual_seed(3))


def twice(batch):
    if isinstance(batch, dict):
        return [batch, {**batch, "signal": batch["signal"] + 0.1}]
    return [batch, 1 - batch]


def made(kind, batch, view_fn=twice, **options):
    torch.manual_seed(0)
    if kind == "series":
        encoder = PatchTransformer(in_channels=2, patch=4, width=8, depth=1, heads=2, dropout=0.0)
    else:
        encoder = vit_tiny(**IMAGES, patch=4, width=8, depth=1, heads=2)
    options = {"predictor_width": 16, "predictor_depth": 1, "predictor_heads": 2, "n_targets": 3, **options}
    objective = make_jepa(encoder, view_fn, total_steps=10, **options)
    objective.initialize(batch)
    with torch.no_grad():
        for parameter in objective.student.parameters():  # so that student and teacher are two
            parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


def waves(numbers, width):
    """sin and cos of a number at width / 2 rates, written out."""
    rates = [10_000 ** (-k / (width // 2)) for k in range(width // 2)]
    return torch.tensor([[f(number * rate) for f in (math.sin, math.cos) for rate in rates] for number in numbers])


def by_hand(objective, drawn, kind):
    """Losses of all targets, each alone: one row, the tokens that are there, no mask."""
    term, encoder, teacher = objective.terms["jepa"], objective.encoder, objective.teacher.module.encoder
    predictor, losses = term.predictor, []
    for v, hidden in enumerate(term._drawn):
        view = drawn.view(v)
        for row, context in enumerate(hidden.masks.context):
            one = {k: x[row : row + 1] for k, x in view.items()} if kind == "series" else view[row : row + 1]
            n = math.ceil(int(one["length"]) / 4) if kind == "series" else 20
            context = context[context < n]
            if not len(context):
                continue
            shown = encoder.trunk(one, keep=context[None]).values[0]
            wanted = teacher.trunk(one).values[0]
            wanted = (wanted - wanted.mean(1, keepdim=True)) / (wanted.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
            for target in hidden.masks.targets[row]:
                places = target[target < n]
                where = torch.cat([context, places]).tolist()
                if kind == "series":
                    codes = waves(where, 16)
                else:
                    codes = torch.cat([waves([p // 4 for p in where], 8), waves([p % 4 for p in where], 8)], dim=1)
                x = torch.cat([shown @ predictor.enter.weight.T + predictor.enter.bias,
                               predictor.query.expand(len(places), -1)]) + codes  # fmt: skip
                for layer in predictor.layers:
                    x = layer(x[None])[0]
                guess = predictor.norm(x[len(context) :]) @ predictor.leave.weight.T + predictor.leave.bias
                losses += [(v, guess[i], wanted[place]) for i, place in enumerate(places.tolist())]
    return losses


DISTANCES = {
    "l1": lambda p, t: (p - t).abs().mean(),
    "smooth_l1": lambda p, t: torch.where((p - t).abs() < 1, (p - t) ** 2 / 2, (p - t).abs() - 0.5).mean(),
    "cosine": lambda p, t: 1 - (p @ t) / (p.norm() * t.norm()),
}


@pytest.mark.parametrize("loss", DISTANCES)
@pytest.mark.parametrize("kind", ["series", "image"])
def test_the_loss_is_that_of_every_target_alone(kind, loss):
    batch = series() if kind == "series" else images()
    objective = made(kind, batch, loss=loss).eval()
    out = objective(batch, generator=torch.Generator().manual_seed(1))
    drawn = draw_views(twice, batch, None)
    with torch.no_grad():
        pairs = by_hand(objective, drawn, kind)
    expected = [torch.stack([DISTANCES[loss](p, t) for view, p, t in pairs if view == v]).mean() for v in (0, 1)]
    torch.testing.assert_close(out.loss, torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)
    targets = [torch.stack([t for view, _, t in pairs if view == v]) for v in (0, 1)]
    of_mean = [torch.stack([DISTANCES[loss](t.mean(0), one) for one in t]).mean() for t in targets]
    torch.testing.assert_close(out.error_of_mean, torch.stack(of_mean).mean(), rtol=1e-4, atol=1e-5)
    assert not out.error_of_mean.requires_grad


def test_context_and_targets_are_apart_and_blocks_or_subsets():
    batch = images()
    objective = made("image", batch)
    objective(batch)
    hidden = objective.terms["jepa"]._drawn
    assert len(hidden) == 2
    for grid, masks in hidden:
        assert grid == (5, 4)
        assert not (masks.context[:, :, None] == masks.targets.flatten(1)[:, None]).any()
    objective.encoder.ordered = False
    objective(batch)
    masks = objective.terms["jepa"]._drawn[0].masks
    every = torch.cat([masks.context, masks.targets.flatten(1)], dim=1)
    assert (every.sort(dim=1).values == torch.arange(20)).all()


def test_the_gradient_reaches_the_student_alone():
    batch = images()
    objective = made("image", batch)
    objective(batch).loss.backward()
    assert all(p.grad is not None for p in objective.student.parameters() if p.requires_grad)
    assert all(p.grad is not None for p in objective.terms.parameters())
    assert all(p.grad is None for p in objective.teacher.parameters())


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_parts_of_a_batch_give_what_the_whole_gives(micro_batch):
    batch = images(8)

    def run(rows, seeds, objective):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        objective.zero_grad()
        loss = objective(batch[rows], generator=generators).loss
        loss.backward()
        return loss.detach(), torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])

    objective = made("image", batch, micro_batch=micro_batch)
    whole = run(slice(0, 8), (1, 2), objective)
    objective = made("image", batch)
    parts = [run(slice(4 * k, 4 * k + 4), (k + 1,), objective) for k in (0, 1)]
    for found, expected in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(list(expected)).mean(dim=0), rtol=1e-4, atol=1e-6)


SMALL = {
    "timeseries": ("patch_transformer", {"patch": 4, "width": 32, "depth": 1, "heads": 4, "dropout": 0.0}, "series"),
    "ecg": ("patch_transformer", {"patch": 16, "width": 32, "depth": 1, "heads": 4, "dropout": 0.0}, "ecg"),
    "tabular": ("ft_transformer", {"width": 32, "depth": 1}, "tabular"),
    "image": ("vit_tiny", {"patch": 8, "width": 32, "depth": 1, "heads": 4}, "image"),
}


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_and_does_not_collapse(name):
    encoder_name, options, view_name = SMALL[name]
    modality = load_modality(name)
    data = modality.example()
    torch.manual_seed(0)
    factory = modality.encoders[encoder_name]
    encoder = factory(**complete("encoder", factory, options, data.facts))
    views = modality.views[view_name](**complete("views", modality.views[view_name], {"n_views": 1}, data.facts))
    rows = SplitDataset(data.splits["train"], modality.collate, data.facts)
    objective = make_jepa(encoder, views, total_steps=60, predictor_width=32)
    objective.initialize(rows.__getitems__(list(range(16))))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    outputs = []
    for step in range(60):
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randperm(len(rows), generator=generator)[:16].tolist()
        outputs.append(objective(rows.__getitems__(chosen), generator=generator))
        optimizer.zero_grad()
        outputs[-1].loss.backward()
        optimizer.step()
        objective.update_teacher()
    last = [
        torch.stack([getattr(out, name).detach() for out in outputs[-10:]]).mean() for name in outputs[0]._fields[:3]
    ]
    loss, error_of_mean, deviation = last
    assert outputs[0]._fields[:3] == ("loss", "error_of_mean", "target_deviation")
    assert loss < 0.95 * error_of_mean
    assert deviation > 0.4 * outputs[0].target_deviation


def test_distances_and_positions():
    guess, target = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 0.5]]])
    found = [distance(guess, target, kind).item() for kind in ("l1", "smooth_l1", "cosine")]
    assert found == pytest.approx([1.75, (2.5 + 0.125) / 2, 1.0])
    codes = positions(torch.arange(6), (2, 3), 8)
    assert codes.shape == (6, 8)
    assert codes[:3, :4].equal(codes[:1, :4].expand(3, -1))
    assert codes[[1, 4], 4:].unique(dim=0).shape == (1, 4)
    assert codes.unique(dim=0).shape == (6, 8)
    torch.testing.assert_close(positions(torch.tensor([2]), (5,), 4), waves([2], 4))


def test_the_deviation_is_over_the_samples_that_reach_a_place():
    values = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(deviation(values, None), values.std(dim=0).mean())
    present = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]]).bool()
    values[~present] = 1e3
    expected = torch.cat([values[:, 0].std(dim=0), values[[0, 1, 3], 1].std(dim=0)]).mean()
    torch.testing.assert_close(deviation(values, present), expected)
    assert deviation(values[:1], None) == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"an encoder with tokens: .*ResNet1d has none"):
        make_jepa(ResNet1d(in_channels=2), twice, total_steps=1).initialize(series()["signal"])
    with pytest.raises(InputError, match="a batch of at least two samples"):
        made("image", images())(images(1))
    with pytest.raises(InputError, match="fewer targets than places"):
        made("image", images(), n_targets=20)
    with pytest.raises(InputError, match="loss l1, smooth_l1 or cosine; got 'l2'"):
        JEPA(loss="l2")
    for width, heads in ((6, 2), (16, 3), (0, 1)):
        with pytest.raises(InputError, match=f"a multiple of 4 and of its heads; got width {width}, {heads} heads"):
            JEPA(predictor_width=width, predictor_heads=heads)
    term = JEPA(n_targets=2)
    objective = Objective(vit_tiny(**IMAGES, width=8, depth=1, heads=2), twice, {"j": term}, projector=nn.Identity())
    with pytest.raises(InputError, match="a term wishes for the teacher, and there is none"):
        objective(images())


def test_a_series_whose_context_lies_behind_its_end_does_not_count():
    batch = series()
    batch["length"] = torch.tensor([40, 40, 40, 40, 40, 1])
    other = {**batch, "signal": batch["signal"].clone()}
    other["signal"][5, :, 0] += 5
    objective = made("series", batch).eval()
    found = set()
    for seed in range(20):
        with torch.no_grad():
            losses = [objective(one, generator=torch.Generator().manual_seed(seed)).loss for one in (batch, other)]
        shown = any((hidden.masks.context[5] == 0).any() for hidden in objective.terms["jepa"]._drawn)
        assert losses[0].isfinite()
        assert shown or losses[0].equal(losses[1])
        found.add(bool(shown))
    assert False in found


@pytest.mark.parametrize("domain", ["timeseries", "ecg", "tabular", "image", "audio"])
def test_there_is_a_recipe(domain):
    recipe = load_recipe(find_recipe(f"smoke/{domain}_jepa"))
    assert recipe.objective.name == "jepa"
    assert recipe.recipe.views["n_views"] == 1
