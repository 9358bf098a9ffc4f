"""Masks: how often each place is drawn, which shapes blocks have, that context and targets are apart, and shards."""

import itertools

import pytest
import torch

from bam_core.errors import InputError
from bam_core.masks import draw_block, draw_blocks, draw_subset, draw_subsets, rand_from

N = 8000
PLANES = [(14, 14), (8, 8), (4, 9), (2, 3), (1, 7), (30, 2)]
LINES = [(2,), (5,), (9,), (64,)]


def rand(seed=0, n=N):
    return rand_from([torch.Generator().manual_seed(seed)], n)


def frequency(places, grid):
    """Share of the samples in which each place was drawn."""
    n = torch.tensor(grid).prod()
    return torch.zeros(len(places), n).scatter(1, places.flatten(1), 1.0).mean(dim=0)


def within_chance(found, expected, n=N):
    """Five deviations of a share that was counted n times."""
    expected = torch.as_tensor(expected).expand_as(found)
    deviation = (expected * (1 - expected) / n).sqrt()
    return bool(((found - expected).abs() <= 5 * deviation + 1e-6).all())


def shapes(places, grid):
    """(height, width) of every block; fails where places do not fill their rectangle."""
    rows, columns = places // grid[-1], places % grid[-1]
    height = rows.amax(-1) - rows.amin(-1) + 1
    width = columns.amax(-1) - columns.amin(-1) + 1
    assert (height * width == places.shape[-1]).all()
    ordered = places.sort(dim=-1).values
    assert (ordered.diff(dim=-1) > 0).all()
    return torch.stack([height, width], dim=-1)


@pytest.mark.parametrize("grid", [*PLANES, *LINES, (2, 2, 2)])
def test_every_place_is_equally_likely_in_a_subset(grid):
    n = torch.tensor(grid).prod().item()
    places = draw_subset(rand(), grid, share=0.4)
    k = places.shape[1]
    assert k == max(1, min(round(0.4 * n), n - 1))
    assert (places.diff(dim=1) > 0).all()
    assert within_chance(frequency(places, grid), k / n)


@pytest.mark.parametrize("grid", [(14, 14), (8, 8), (4, 9), (12,), (1, 12)])
def test_positions_of_blocks_are_equally_likely(grid):
    places = draw_block(rand(), grid, share=(0.15, 0.25))
    rows, columns = (1, *grid)[-2:]
    drawn = shapes(places, grid)
    expected = torch.zeros(rows, columns)
    kinds = {tuple(shape) for shape in drawn.tolist()}
    for height, width in kinds:
        share = (drawn == torch.tensor([height, width])).all(dim=1).float().mean()
        assert within_chance(share[None], 1 / len(kinds))
        corners = list(itertools.product(range(rows - height + 1), range(columns - width + 1)))
        for top, left in corners:
            expected[top : top + height, left : left + width] += 1 / len(corners) / len(kinds)
    assert within_chance(frequency(places, grid), expected.flatten())


def test_shapes_of_blocks():
    drawn = {tuple(shape) for shape in shapes(draw_block(rand(), (14, 14), share=(0.15, 0.2)), (14, 14)).tolist()}
    assert drawn == {(5, 6), (6, 5)}  # 30 of 196 places, of the areas from 30 to 39 the one with two such rectangles
    wide = {tuple(s) for s in shapes(draw_block(rand(), (8, 8), share=(0.3, 0.4), aspect=(0.3, 4.0)), (8, 8)).tolist()}
    assert wide == {(3, 8), (4, 6), (6, 4), (8, 3)}
    line = shapes(draw_block(rand(), (20,), share=(0.2, 0.3)), (20,))
    assert set(map(tuple, line.tolist())) == {(1, 5)}


@pytest.mark.parametrize("grid", [*PLANES, *LINES])
def test_targets_are_blocks_and_the_context_lies_outside(grid):
    n_targets = min(3, torch.tensor(grid).prod().item() - 1)
    masks = draw_blocks(rand(n=500), grid, n_targets=n_targets)
    shapes(masks.targets, grid)
    n = torch.tensor(grid).prod().item()
    assert masks.context.shape == (500, n - masks.targets[0].numel())
    assert masks.context.shape[1] >= 1
    assert (masks.context.diff(dim=1) > 0).all()
    assert not (masks.context[:, :, None] == masks.targets.flatten(1)[:, None]).any()
    assert min(masks.context.min(), masks.targets.min()) >= 0
    assert max(masks.context.max(), masks.targets.max()) < n


def test_what_is_left_of_overlapping_targets_is_equally_likely_in_the_context():
    masks = draw_blocks(rand(), (6,), n_targets=2, share=(0.3, 0.35))
    free = torch.ones(N, 6).scatter(1, masks.targets.flatten(1), 0.0)
    expected = (free * 2 / free.sum(dim=1, keepdim=True)).mean(dim=0)
    assert masks.context.shape == (N, 2)
    assert within_chance(frequency(masks.context, (6,)), expected)
    first, second = masks.targets[:, 0, 0], masks.targets[:, 1, 0]
    assert within_chance((first == second).float().mean()[None], 1 / 5)  # five positions, drawn independently


@pytest.mark.parametrize("grid", [(14,), (4, 9), (5,), (2,), (3, 3, 3)])
def test_subsets_are_apart_and_equally_likely(grid):
    n = torch.tensor(grid).prod().item()
    n_targets = min(4, n - 1)
    masks = draw_subsets(rand(), grid, n_targets=n_targets)
    every = torch.cat([masks.context, masks.targets.flatten(1)], dim=1)
    assert (every.sort(dim=1).values == torch.arange(n)).all()
    assert within_chance(frequency(masks.context, grid), masks.context.shape[1] / n)
    for target in masks.targets.unbind(dim=1):
        assert within_chance(frequency(target, grid), target.shape[1] / n)


DRAWS = {
    "subset": lambda rand: draw_subset(rand, (5, 7), share=0.3),
    "block": lambda rand: draw_block(rand, (5, 7), share=(0.2, 0.4)),
    "blocks": lambda rand: draw_blocks(rand, (5, 7)),
    "subsets": lambda rand: draw_subsets(rand, (5, 7)),
}


def joined(drawn):
    return drawn if isinstance(drawn, torch.Tensor) else torch.cat([drawn.context, drawn.targets.flatten(1)], dim=1)


@pytest.mark.parametrize("name", DRAWS)
def test_masks_follow_from_the_generators_and_not_from_the_processes(name):
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    draw = DRAWS[name]
    together = joined(draw(rand_from(generators(1, 2, 3), 6)))
    apart = torch.cat([joined(draw(rand_from(generators(seed), 2))) for seed in (1, 2, 3)])
    assert together.equal(apart)
    assert together.equal(joined(draw(rand_from(generators(1, 2, 3), 6))))
    assert not together.equal(joined(draw(rand_from(generators(4, 5, 6), 6))))


@pytest.mark.parametrize("share", [(0.0, 0.2), (0.3, 0.2), (0.2, 1.0)])
def test_shares_that_are_none(share):
    for draw in (draw_block, draw_blocks, draw_subsets):
        with pytest.raises(InputError, match=r"masks expected share in \(0, 1\), the smallest first"):
            draw(rand(n=2), (4, 4), share=share)


def test_settings_that_do_not_fit():
    with pytest.raises(InputError, match="range of aspects around 1"):
        draw_block(rand(n=2), (4, 4), share=(0.2, 0.3), aspect=(1.2, 1.5))
    with pytest.raises(InputError, match="grid of one or two axes"):
        draw_block(rand(n=2), (4, 4, 4), share=(0.2, 0.3))
    with pytest.raises(InputError, match="at least two places"):
        draw_subset(rand(n=2), (1, 1), share=0.5)
    for n_targets in (0, 4):
        with pytest.raises(InputError, match="fewer targets than places"):
            draw_blocks(rand(n=2), (4,), n_targets=n_targets)
    for generators, n in (([], 4), ([None, None], 3)):
        with pytest.raises(InputError, match="a part for every generator"):
            rand_from(generators, n)
