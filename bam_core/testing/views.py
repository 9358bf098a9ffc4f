"""What views promise: reproducible, different, on the device of the batch."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from bam_core.protocols import Batch
from bam_core.testing.contract import Contract
from bam_core.testing.devices import fake_cuda, like
from bam_core.views import View, accepts_keyword, batch_size, leaves, make_views, map_tensors


class Maker(NamedTuple):
    """A view function and its name."""

    name: str
    view_fn: Callable[..., Any]

    def draw(self, batch: Batch, seed: int = 0) -> list[View]:
        """Global and local views from a seed."""
        made = make_views(self.view_fn, batch, torch.Generator().manual_seed(seed))
        return [*made.global_views, *made.local_views]

    def untouched(self, batch: Batch) -> View:
        """What is embedded after training."""
        untouched = getattr(self.view_fn, "untouched", None)
        return batch if untouched is None else untouched(batch)


def check_views(contract: Contract, maker: Maker, batch: Batch, take: Callable[[list[int]], Batch]) -> None:
    """All rules of one view function.

    Args:
        contract: of the modality.
        maker: the view function.
        batch: of some rows.
        take: numbers of rows -> batch.

    Raises:
        ContractError: a rule is broken.
    """
    what, n = f"views {maker.name!r}", batch_size(batch)
    with contract.rule("views take a keyword `generator`, also None") as need:
        need(accepts_keyword(maker.view_fn, "generator"), f"{what} do not")
        make_views(maker.view_fn, batch, None)
        maker.view_fn(batch, generator=None)
    before = map_tensors(batch, torch.clone)
    with contract.rule("views show every sample of the batch, at least twice, in finite numbers") as need:
        first = maker.draw(batch, 1)
        need(len(first) >= 2, f"{what}: {len(first)} view")
        for view in first:
            need(batch_size(view) == n, f"{what}: {batch_size(view)} samples of {n}")
            need(all(leaf.isfinite().all() for leaf in leaves(view)), f"{what}: NaN or infinity")
    with contract.rule("views leave the batch as it is") as need:
        need(_same([batch], [before]), f"{what} change it in place")
    with contract.rule("the same generator gives the same views, another one others, and views differ") as need:
        need(
            _same(first, maker.draw(batch, 1)), f"{what} differ though the seed is the same; do they use a global one?"
        )
        need(not _same(first, maker.draw(batch, 2)), f"{what} are the same for another seed")
        need(not _same(first[:1], first[1:2]), f"the first two of {what} are the same")
    with contract.rule("views work for a single sample") as need:
        need(all(batch_size(view) == 1 for view in maker.draw(take([0]))), f"{what} do not")
    with contract.rule("an `untouched` view of the batch shows every sample, always the same") as need:
        untouched = maker.untouched(batch)
        need(batch_size(untouched) == n, f"{what}: {batch_size(untouched)} samples of {n}")
        need(_same([untouched], [maker.untouched(batch)]), f"{what}: it differs from call to call")
    with contract.rule("views are made on the device of the batch, and nothing there is looked at or fetched") as need:
        copied = copy.deepcopy(maker.view_fn)
        with fake_cuda():
            made = make_views(copied, like(batch), None)
            devices = {leaf.device.type for view in (*made.global_views, *made.local_views) for leaf in leaves(view)}
        need(devices == {"cuda"}, f"{what} of a batch on cuda lie on {', '.join(sorted(devices))}")


def _same(first: list[View], second: list[View]) -> bool:
    pairs = zip((x for view in first for x in leaves(view)), (x for view in second for x in leaves(view)), strict=True)
    return len(first) == len(second) and all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)
