"""How rows and columns divide into views and ranks.

Rows are view-major: row (v, i) = v * b + i. Columns are view-major, then rank, then sample.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from bam_core.collectives import all_gather, counts_of_ranks, rank, world_size
from bam_core.errors import InputError
from bam_core.loss.attention import positive_mask


class ViewLayout(NamedTuple):
    """How the rows of one rank divide into views; see `check_layout`."""

    n_views: int
    n_global: int
    n_target: int
    batch_size: int

    @property
    def matches(self) -> list[tuple[int, int]]:
        """Pairs (student, target) of views that are compared: all different ones, or a single view with itself."""
        return [(v, a) for v in range(self.n_views) for a in range(self.n_global) if a != v] or [(0, 0)]

    @property
    def n_matched(self) -> list[int]:
        """For every view, the number of targets that it is compared with."""
        return [sum(view == student for student, _ in self.matches) for view in range(self.n_views)]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of views that are compared."""
        return len(self.matches)


def check_layout(
    n_rows: int, *, n_views: int, n_global: int | None, n_target: int | None, mask_positives: bool
) -> ViewLayout:
    """Check the numbers of views against the rows and fill in the defaults.

    Raises:
        InputError: numbers of rows that differ between ranks (all of them say so, before one waits for another), counts
            out of order, rows not divisible by `n_views`, or nothing left to attend to.
    """
    rows_of_ranks = counts_of_ranks(n_rows)
    if len(set(rows_of_ranks)) > 1:
        raise InputError(
            f"bam_loss expected the same number of rows on every rank; got {rows_of_ranks}. Drop the last partial "
            "batch (drop_last=True), and give every rank equally many samples."
        )
    n_global = n_views if n_global is None else n_global
    n_target = n_global if n_target is None else n_target
    if not 1 <= n_target <= n_global <= n_views:
        raise InputError(
            "bam_loss expected 1 <= n_target <= n_global <= n_views; got "
            f"n_target={n_target}, n_global={n_global}, n_views={n_views}."
        )
    if n_rows == 0 or n_rows % n_views:
        raise InputError(
            f"bam_loss expected embeddings of shape (n_views * b, d) with n_views={n_views}; got {n_rows} rows: "
            f"{n_rows} is not divisible by {n_views}, or zero. Drop the last partial batch or pass n_views."
        )
    batch_size = n_rows // n_views
    if batch_size * world_size() == 1 and (mask_positives or n_target == 1):
        raise InputError(
            "bam_loss expected at least two samples in the global batch; got one, which has nothing to attend to. "
            "Raise the batch size, or drop the last batch."
        )
    return ViewLayout(n_views, n_global, n_target, batch_size)


def gather_columns(rows: Float[Tensor, "rows d"], layout: ViewLayout) -> Float[Tensor, "columns d"]:
    """Columns of all ranks: the first `n_target` views, ordered by view, then rank, then sample."""
    targets = rearrange(rows[: layout.n_target * layout.batch_size], "(t b) d -> t b d", t=layout.n_target)
    return rearrange(all_gather(targets), "r t b d -> (t r b) d")


def sample_mask(layout: ViewLayout, device: torch.device) -> Bool[Tensor, "rows columns"]:
    """Positives of this rank's rows among the columns of all ranks."""
    samples = torch.arange(world_size() * layout.batch_size, device=device)
    own = samples[rank() * layout.batch_size :][: layout.batch_size]
    return positive_mask(own.repeat(layout.n_views), samples.repeat(layout.n_target))


def own_mask(layout: ViewLayout, device: torch.device) -> Bool[Tensor, "rows columns"]:
    """The column of every row of this rank that shows the same view of the same sample, if it is attended."""
    same_view = torch.eye(layout.n_views, layout.n_target, dtype=torch.bool, device=device)
    by_view = rearrange(sample_mask(layout, device), "(v b) (t m) -> v b t m", v=layout.n_views, t=layout.n_target)
    return (by_view & same_view[:, None, :, None]).flatten(2).flatten(0, 1)
