"""What the fast forms of the loss share: their result, kept scores, and softmax over rows that come in tiles."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import rank, world_size
from bam_core.loss.products import product
from bam_core.loss.row_layout import ViewLayout

WORK_BYTES = 48 << 20  # for the tiles that are worked on
_MASKED = -1e20  # below every logit, and finite: zero times it is zero
_MOST_ROWS = 512
_ON_GPU = 512 << 20, 4096  # the same two for GPUs, which wait for the host when pieces are small
_TILE_ELEMENTS = {"cpu": 1 << 18}  # 1 MiB in float32 stays near a core; accelerators take all columns at once


class ExactLoss(NamedTuple):
    """Figures of this rank's rows, and the gradients that come with them.

    Attributes:
        loss: mean cross-entropy over this rank's rows, in nats.
        target_entropy: mean entropy of this rank's targets, in nats.
        attention_entropy: mean entropy of this rank's attention, in nats.
        column_error: see `sinkhorn`; over the rows of all ranks.
        row_grad: (n, d) gradient for the rows.
        column_grad: (m, d) gradient for the columns; None when they are a teacher's, or the rows themselves.
    """

    loss: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]
    row_grad: Float[Tensor, "n d"]
    column_grad: Float[Tensor, "m d"] | None


def bounded(dtype: torch.dtype, *, scale: float) -> bool:
    """Whether exp(cosine / scale), and what Sinkhorn's scalings make of it, are normal numbers.

    Kernel entries and the ratios of scalings lie within exp(+-2 / scale); a factor of e^7 is left for sums.
    """
    return 2 / scale <= -math.log(torch.finfo(dtype).tiny) - 7


class Store:
    """Blocks that are kept from pass to pass, as long as there is room.

    Args:
        room: bytes that may be kept.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.kept: dict[tuple[int, int], Tensor] = {}

    def memory(self, key: tuple[int, int], scratch: Tensor) -> Tensor:
        """Memory to compute a block into: new and kept if there is room for it, else the scratch."""
        if scratch.nbytes > self.room:
            return scratch
        self.room -= scratch.nbytes
        self.kept[key] = torch.empty_like(scratch)
        return self.kept[key]


class Blocks:
    """Rows in blocks of samples with all their views, columns in tiles, and the memory to work on one block.

    Args:
        columns: (m, d) unit columns of all ranks.
        layout: how the rows divide into views.
        mask_positives: leave a sample's own columns out.
        whole_rows: how many (rows, m) matrices a block needs at a time.
        room: bytes of scores that may be kept from pass to pass.
    """

    def __init__(
        self, columns: Float[Tensor, "m d"], layout: ViewLayout, *, mask_positives: bool, whole_rows: int, room: int
    ) -> None:
        self.layout, self.mask_positives, self.store = layout, mask_positives, Store(room)
        work, most = _ON_GPU if columns.device.type == "cuda" else (WORK_BYTES, _MOST_ROWS)
        rows = min(work // (whole_rows * len(columns) * columns.element_size()), most)
        n_blocks = math.ceil(layout.batch_size / max(rows // layout.n_views, 1))
        self.samples = math.ceil(layout.batch_size / n_blocks)
        self.starts = range(0, layout.batch_size, self.samples)
        rows = self.samples * layout.n_views
        self.width = max(_TILE_ELEMENTS.get(columns.device.type, rows * len(columns)) // rows, 1)
        self.n_columns = len(columns)
        self.columns = columns.split(self.width)
        by_rank = columns.view(layout.n_target, world_size(), layout.batch_size, columns.shape[1])
        self.own_columns = by_rank[:, rank()]
        self.memory: dict[tuple[str, int], Tensor] = {}

    def rows_of(self, rows: Float[Tensor, "n d"], start: int) -> Float[Tensor, "block d"]:
        """All views of the block that starts with the given sample, view-major."""
        by_view = rows.view(self.layout.n_views, self.layout.batch_size, -1)
        return by_view[:, start : start + self.samples].flatten(0, 1)

    def split(self, values: Float[Tensor, "m *d"]) -> tuple[Float[Tensor, "_ *d"], ...]:
        """What every column has, tile by tile."""
        return torch.split(values, self.width)

    def buffer(self, name: str, tile: int, n_rows: int) -> Float[Tensor, "block width"]:
        """Uninitialised memory for a tile; the same at every call with this name and tile."""
        columns = self.columns[tile]
        if (name, tile) not in self.memory:
            self.memory[name, tile] = columns.new_empty(self.samples * self.layout.n_views * len(columns))
        return self.memory[name, tile][: n_rows * len(columns)].view(n_rows, len(columns))

    def logits(
        self, rows: Float[Tensor, "block d"], start: int, tile: int, out: Float[Tensor, "block width"], *, keep: bool
    ) -> Float[Tensor, "block width"]:
        """Products of a block's rows and a tile's columns, very low at the positives; kept, or put into `out`."""
        key = (start, tile)
        if keep and key in self.store.kept:
            return self.store.kept[key]
        logits = product(rows, self.columns[tile].T, out=self.store.memory(key, out) if keep else out)
        if self.mask_positives:
            for _, _, entries in self.positives(logits, start, tile):
                entries.fill_(_MASKED)
        return logits

    def positives(
        self, values: Float[Tensor, "block width"], start: int, tile: int
    ) -> Iterator[tuple[int, slice, Float[Tensor, "v _"]]]:
        """What a tile holds where rows meet their own sample: attended view, samples of the block, their entries."""
        by_view = values.view(self.layout.n_views, -1, values.shape[1])
        for view in range(self.layout.n_target):
            first = (view * world_size() + rank()) * self.layout.batch_size + start - tile * self.width
            low, high = max(0, -first), min(by_view.shape[1], values.shape[1] - first)
            if low < high:
                yield view, slice(low, high), by_view[:, low:high, first + low : first + high].diagonal(0, 1, 2)

    def positive_logits(self, rows: Float[Tensor, "block d"], start: int) -> Float[Tensor, "v t samples"]:
        """Products of a block's rows and the columns of their own sample, very low at the row's own column."""
        by_view = rows.view(self.layout.n_views, -1, rows.shape[1])
        logits = torch.einsum("vsd,tsd->vts", by_view, self.own_columns[:, start : start + self.samples])
        logits.diagonal().fill_(_MASKED)
        return logits


def shift(logits: Tensor, peak: Tensor, out: Tensor) -> Tensor:
    """logits - peak, ending where exponentials no longer count beside 1: the processor is slow below that."""
    return torch.sub(logits, peak, out=out).clamp_min_(math.log(torch.finfo(logits.dtype).tiny) * 2 / 3)


class Tile(NamedTuple):
    """Exponentials of a tile of logits, and their sums over its columns.

    Attributes:
        values: exp(logits - peak).
        peak: each row's largest logit in this tile, or 0.
        total: sums of `values`.
        logit_total: sums of `values * (logits - peak)`, or 0.
    """

    values: Float[Tensor, "block width"]
    peak: Float[Tensor, " block"]
    total: Float[Tensor, " block"]
    logit_total: Float[Tensor, " block"]


def exponential(
    logits: Float[Tensor, "block width"], *, bounded: bool, out: Float[Tensor, "block width"] | None = None
) -> Tile:
    """Exponentials of a tile; the logits are used up.

    Args:
        logits: what to take the exponential of.
        bounded: no need to subtract each row's largest logit.
        out: memory for the values; then `logit_total` is computed too. Default: in place, and it is not.
    """
    nothing = logits.new_zeros(len(logits))
    peak = nothing if bounded else logits.amax(dim=1)
    if not bounded:
        shift(logits, peak[:, None], out=logits)
    values = torch.exp(logits, out=logits if out is None else out)
    return Tile(values, peak, values.sum(dim=1), nothing if out is None else logits.mul_(values).sum(dim=1))


class TiledSoftmax(NamedTuple):
    """How tiles make up the softmax of whole rows.

    Attributes:
        weights: the softmax is each tile's `values` times its weights.
        log_norm: log of the sum of exp(logits).
        entropy: of the softmax, in nats; needs each tile's `logit_total`.
    """

    weights: Float[Tensor, "tiles block"]
    log_norm: Float[Tensor, " block"]
    entropy: Float[Tensor, " block"]


def softmax_of(tiles: list[Tile]) -> TiledSoftmax:
    """Put the tiles of some rows in proportion."""
    peak, total, logit_total = (torch.stack([tile[k] for tile in tiles]) for k in (1, 2, 3))
    highest = peak.amax(dim=0)
    scale = (peak - highest).exp_()
    norm = (scale * total).sum(dim=0)
    weights = scale / norm
    mean_logit = (weights * (logit_total + (peak - highest) * total)).sum(dim=0)
    return TiledSoftmax(weights, highest + norm.log(), norm.log() - mean_logit)
