"""Which places of a grid are shown and which are to be predicted: blocks, subsets, and several blocks at once.

How many places are drawn follows from the grid, never from the draw, so that the parts of a batch that several
processes drew fit together. Places are numbered row after row. A draw takes its random numbers from `rand`, a callable:
`rand(*shape)` returns (b, *shape) numbers in [0, 1), each part of the batch from a generator of its own.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from bam_core.errors import InputError

Rand = Callable[..., Tensor]
Range = tuple[float, float]


class Masks(NamedTuple):
    """Places to show and places to predict.

    Attributes:
        context: (b, k) the places that are shown, in ascending order; none of them is a target.
        targets: (b, m, a) the places of m targets.
    """

    context: Int[Tensor, "b k"]
    targets: Int[Tensor, "b m a"]


def rand_from(generators: Sequence[torch.Generator | None], batch_size: int) -> Rand:
    """Random numbers for a batch of as many equal parts as there are generators.

    Args:
        generators: one for each part; None is the global one.
        batch_size: samples of all parts.

    Raises:
        InputError: a batch that cannot be divided into that many parts.

    Example:
        >>> one, other = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        >>> rand_from([one, other], 6)(5).shape
        torch.Size([6, 5])
    """
    if not generators or batch_size % len(generators):
        raise InputError(
            f"rand_from expected a batch of a multiple of {len(generators)} samples, a part for every generator; got "
            f"{batch_size}."
        )
    b = batch_size // len(generators)

    def rand(*shape: int) -> Tensor:
        device = [torch.device("cpu") if g is None else g.device for g in generators]
        parts = zip(generators, device, strict=True)
        return torch.cat([torch.rand(b, *shape, generator=g, device=d) for g, d in parts])

    return rand


def draw_subset(rand: Rand, grid: tuple[int, ...], *, share: float) -> Int[Tensor, "b k"]:
    """Some of the places, all equally likely.

    Args:
        rand: see the module.
        grid: places along every axis.
        share: of the places, in (0, 1); at least one is drawn, and one left out.

    Raises:
        InputError: a share out of range, or a grid of fewer than two places.

    Example:
        >>> draw_subset(rand_from([torch.Generator()], 3), (4, 5), share=0.25).shape
        torch.Size([3, 5])
    """
    n = _places(grid)
    _check_share("share", (share, share))
    return _ascending(rand(n).argsort(dim=1)[:, : _between(round(share * n), n)])


def draw_block(rand: Rand, grid: tuple[int, ...], *, share: Range, aspect: Range = (0.75, 1.5)) -> Int[Tensor, "b a"]:
    """Places of a block: a stretch of a line, or a rectangle of a plane.

    Every position within the grid is equally likely, as is every shape. All shapes have the same number of places.

    Args:
        rand: see the module.
        grid: places along one or two axes.
        share: smallest and largest share of the places; of the areas between, the one that most rectangles have.
        aspect: smallest and largest height of a rectangle over its width.

    Raises:
        InputError: ranges that are none, a grid of three axes, or one of fewer than two places.

    Example:
        >>> draw_block(rand_from([torch.Generator()], 3), (14, 14), share=(0.15, 0.2)).shape
        torch.Size([3, 30])
    """
    return _blocks(rand, grid, 1, _shapes(grid, share, aspect, _places(grid) - 1))[:, 0]


def draw_blocks(
    rand: Rand, grid: tuple[int, ...], *, n_targets: int = 4, share: Range = (0.15, 0.2), aspect: Range = (0.75, 1.5)
) -> Masks:
    """Several blocks to predict, which may overlap, and a context from what none of them covers.

    The context is as large as it can be whatever the overlap: all places less those of blocks that do not overlap.
    Where they do, it is a random part of what is left.

    Args:
        rand: see the module.
        grid: places along one or two axes.
        n_targets: blocks.
        share: smallest and largest share of the places that one of them covers; see `draw_block`. Less is taken where
            the blocks would leave no context.
        aspect: see `draw_block`.

    Raises:
        InputError: as `draw_block`; a grid of no more places than targets.

    Example:
        >>> masks = draw_blocks(rand_from([torch.Generator()], 3), (14, 14))
        >>> masks.context.shape, masks.targets.shape
        (torch.Size([3, 76]), torch.Size([3, 4, 30]))

    Source: Assran et al., "I-JEPA", CVPR 2023, arXiv 2301.08243, section 3 and appendix A.1 (shares and aspects; four
    targets). There the context is another block less the targets, cut to what the smallest of a batch has; here sizes
    follow from the grid.
    """
    n = _places(grid)
    largest = _largest_target(n, n_targets)
    targets = _blocks(rand, grid, n_targets, _shapes(grid, share, aspect, largest))
    covered = torch.zeros(len(targets), n, device=targets.device).scatter(1, targets.flatten(1), 1.0)
    k = n - n_targets * targets.shape[2]
    return Masks(_ascending((rand(n) + covered).argsort(dim=1)[:, :k]), targets)


def draw_subsets(rand: Rand, grid: tuple[int, ...], *, n_targets: int = 4, share: Range = (0.15, 0.2)) -> Masks:
    """Several subsets to predict and the rest as context, all disjoint: for places without neighbours, as in tables.

    Args:
        rand: see the module.
        grid: places along every axis.
        n_targets: subsets.
        share: smallest and largest share of the places that one of them has; the middle is taken, less where the
            subsets would leave no context.

    Raises:
        InputError: a range that is none, or a grid of no more places than targets.

    Example:
        >>> masks = draw_subsets(rand_from([torch.Generator()], 3), (14,))
        >>> masks.context.shape, masks.targets.shape
        (torch.Size([3, 6]), torch.Size([3, 4, 2]))

    Source: after Thimonier et al., "T-JEPA", ICLR 2025, arXiv 2410.05016, where the sizes of the subsets are drawn.
    """
    n = _places(grid)
    _check_share("share", share)
    a = max(1, min(_largest_target(n, n_targets), round(sum(share) / 2 * n)))
    order = rand(n).argsort(dim=1)
    cut = n_targets * a
    return Masks(_ascending(order[:, cut:]), _ascending(order[:, :cut].unflatten(1, (n_targets, a))))


class _Shapes(NamedTuple):
    heights: list[int]
    widths: list[int]


def _shapes(grid: tuple[int, ...], share: Range, aspect: Range, largest: int) -> _Shapes:
    """Rectangles of one area that fit into the grid: of the areas in range, the one that has most of them."""
    _check_share("share", share)
    if not 0 < aspect[0] <= 1 <= aspect[1]:
        raise InputError(f"blocks expected a range of aspects around 1, such as (0.75, 1.5); got {aspect}.")
    if len(grid) not in (1, 2):
        raise InputError(f"blocks expected a grid of one or two axes; got {grid}. Draw subsets instead.")
    n = math.prod(grid)
    low, high = (min(bound * n, largest) for bound in share)
    if len(grid) == 1:
        return _Shapes([1], [_between(round((low + high) / 2), largest + 1)])
    found: dict[int, list[tuple[int, int]]] = {}
    for h in range(1, grid[0] + 1):
        for w in range(1, grid[1] + 1):
            if h * w <= largest and aspect[0] <= h / w <= aspect[1]:
                found.setdefault(h * w, []).append((h, w))
    inside = [area for area in found if low <= area <= high]
    middle = (low + high) / 2
    area = min(inside or found, key=lambda a: (-len(found[a]) if inside else 0, abs(a - middle), a))
    return _Shapes([h for h, _ in found[area]], [w for _, w in found[area]])


def _blocks(rand: Rand, grid: tuple[int, ...], m: int, shapes: _Shapes) -> Int[Tensor, "b m a"]:
    rows, columns = (1, *grid) if len(grid) == 1 else grid
    u = rand(m, 3)
    heights, widths = (torch.tensor(sides, device=u.device) for sides in shapes)
    kind = (u[..., 0] * len(heights)).long()
    top = (u[..., 1] * (rows - heights[kind] + 1)).long()
    left = (u[..., 2] * (columns - widths[kind] + 1)).long()
    inner = torch.arange(shapes.heights[0] * shapes.widths[0], device=u.device)
    wide = widths[kind][..., None]
    row = top[..., None] + torch.div(inner, wide, rounding_mode="floor")
    return row * columns + left[..., None] + inner % wide


def _ascending(places: Tensor) -> Tensor:
    return places.sort(dim=-1).values


def _between(wanted: int, n: int) -> int:
    return max(1, min(wanted, n - 1))


def _places(grid: tuple[int, ...]) -> int:
    n = math.prod(grid)
    if n < 2:
        raise InputError(
            f"masks expected a grid of at least two places, one to show and one to hide; got {grid}. Choose smaller "
            "patches."
        )
    return n


def _largest_target(n: int, n_targets: int) -> int:
    """Places of a target so that all of them leave one for the context."""
    if not 1 <= n_targets < n:
        raise InputError(
            f"masks expected fewer targets than places, and at least one; got {n_targets} targets in {n} places."
        )
    return (n - 1) // n_targets


def _check_share(name: str, share: Range) -> None:
    if not 0 < share[0] <= share[1] < 1:
        raise InputError(f"masks expected {name} in (0, 1), the smallest first; got {share}.")
