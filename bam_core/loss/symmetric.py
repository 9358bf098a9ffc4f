r"""The loss when the attended columns are the rows themselves: one process, no teacher, no local views.

Scores are then symmetric, which saves half of everything: a tile of scores S_ij serves S_ji as well, and the two
halves of the gradient, dS z + dS^T z, are one product with the symmetric matrix dS + dS^T. The tiles on and above the
diagonal are visited 2 K + 1 times (K Sinkhorn iterations are 2 K products of the kernel with a vector); a tile and its
scratch stay in the processor's cache, and tiles that fit into `room` are kept from the first visit.

Everything is linear here (no logarithms), which is safe as long as `fits` says so.
"""

import math
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.loss.blocks import ExactLoss, Store
from bam_core.loss.positives import MixedTargets
from bam_core.loss.products import add_product, product
from bam_core.loss.row_layout import ViewLayout

_TILE_ROWS = {"cpu": 512, "cuda": 4096}  # 1 MiB in float32 stays near the cores; GPUs wait when tiles are small
_TILE_ROWS_ELSEWHERE = 1024  # accelerators want larger pieces; five of them still fit into 64 MiB


class _Tiles:
    """Rows in blocks of samples with all their views, and the tiles of kernel between two blocks."""

    def __init__(
        self,
        rows: Tensor,
        layout: ViewLayout,
        *,
        epsilon: float,
        mask_positives: bool,
        positive_weight: float = 0.0,
        room: int,
    ) -> None:
        self.n_views = layout.n_views
        self.positive_weight = positive_weight
        largest = max(_TILE_ROWS.get(rows.device.type, _TILE_ROWS_ELSEWHERE) // self.n_views, 1)
        self.samples = math.ceil(layout.batch_size / math.ceil(layout.batch_size / largest))
        blocks = rows.view(self.n_views, layout.batch_size, -1).split(self.samples, dim=1)
        self.rows = torch.cat([block.flatten(0, 1) for block in blocks])
        self.sizes = [block.shape[0] * block.shape[1] for block in blocks]
        self.pairs = list(combinations_with_replacement(range(len(blocks)), 2))
        self.mask_positives = mask_positives
        self.scratch = [rows.new_empty(max(self.sizes) ** 2) for _ in range(4)]
        self.columns = self.split(self.rows)
        self.scaled = self.split(self.rows / epsilon)
        self.store = Store(room)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, self.sizes)

    def buffer(self, k: int, i: int, j: int) -> Tensor:
        return self.scratch[k][: self.sizes[i] * self.sizes[j]].view(self.sizes[i], self.sizes[j])

    def kernel(self, i: int, j: int) -> Tensor:
        """exp(S / epsilon), 0 at the positives."""
        if (i, j) in self.store.kept:
            return self.store.kept[i, j]
        out = self.store.memory((i, j), self.buffer(0, i, j))
        return self.clear(product(self.scaled[i], self.columns[j].T, out=out).exp_(), i, j)

    def logits_and_kernel(self, i: int, j: int) -> tuple[Tensor, Tensor]:
        """S / epsilon, right at the positives if they have a weight and else finite, and its exponential, 0 there."""
        out = self.buffer(0, i, j)
        if (i, j) in self.store.kept:
            kernel = self.store.kept[i, j]
            logits = self.clear(torch.log(kernel, out=out), i, j)
            if self.positive_weight and i == j:
                rows, columns = (x[i].view(self.n_views, -1, x[i].shape[1]) for x in (self.scaled, self.columns))
                self.positives(logits).copy_(torch.einsum("vsd,tsd->vts", rows, columns))
            return logits, kernel
        logits = product(self.scaled[i], self.columns[j].T, out=out)
        kernel = torch.exp(logits, out=self.store.memory((i, j), self.buffer(1, i, j)))
        return logits, self.clear(kernel, i, j)

    def clear(self, tile: Tensor, i: int, j: int) -> Tensor:
        if self.mask_positives and i == j:
            self.positives(tile).fill_(0.0)
        return tile

    def clear_unattended(self, tile: Tensor, i: int, j: int) -> Tensor:
        """Zero what the attention leaves out: a row's own column if positives have a weight, else what `clear` does."""
        if not self.positive_weight:
            return self.clear(tile, i, j)
        if i == j:
            tile.diagonal().fill_(0.0)
        return tile

    def positives(self, tile: Tensor) -> Tensor:
        """(v, v, samples) of a tile on the diagonal: what rows of a view hold at each view of their own sample."""
        return self.by_view(tile).diagonal(0, 1, 3)

    def by_view(self, tile: Tensor) -> Tensor:
        rows, columns = tile.shape
        return tile.view(self.n_views, rows // self.n_views, self.n_views, columns // self.n_views)

    def add_product(self, total: tuple[Tensor, ...], tile: Tensor, x: tuple[Tensor, ...], i: int, j: int) -> None:
        """Add (tile and its mirror image) times x."""
        total[i].addmv_(tile, x[j])
        if i != j:
            total[j].addmv_(tile.T, x[i])

    def kernel_times(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        totals, parts = self.split(total), self.split(x)
        for i, j in self.pairs:
            self.add_product(totals, self.kernel(i, j), parts, i, j)
        return total

    def column_scaling(self, iterations: int, column_sum: Tensor) -> Tensor:
        """Sinkhorn's last column scaling, from the sums of the kernel's columns."""
        scaling = 1 / column_sum
        for _ in range(iterations - 1):
            scaling = 1 / self.kernel_times(1 / self.kernel_times(scaling))
        return scaling

    def to_view_major(self, x: Tensor) -> Tensor:
        blocks = [part.view(self.n_views, -1, x.shape[-1]) for part in self.split(x)]
        return torch.cat(blocks, dim=1).flatten(0, 1)


def symmetric_potential(
    rows: Float[Tensor, "n d"],
    layout: ViewLayout,
    *,
    epsilon: float,
    iterations: int,
    mask_positives: bool,
    room: int,
) -> Float[Tensor, " n"]:
    """The columns' potential of Sinkhorn's last column scaling, for unit rows that are their own columns."""
    if iterations == 0:
        return rows.new_zeros(len(rows))
    tiles = _Tiles(rows, layout, epsilon=epsilon, mask_positives=mask_positives, room=room)
    column_sum = tiles.kernel_times(rows.new_ones(len(rows)))
    return tiles.to_view_major(tiles.column_scaling(iterations, column_sum).log()[:, None]).squeeze(1)


def symmetric_loss(
    rows: Float[Tensor, "n d"],
    layout: ViewLayout,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
    mask_positives: bool,
    positive_weight: float,
    room: int,
) -> ExactLoss:
    """Loss, diagnostics and gradient of `bam_loss` for unit rows that are their own columns.

    Args:
        rows: (n, d) unit vectors, view-major; all views are global and attended.
        layout: how the rows divide into views.
        temperature: of the attention.
        epsilon: regularisation of the target.
        iterations: Sinkhorn iterations.
        mask_positives: leave a sample's own columns out.
        positive_weight: weight of the positives in the targets; if not 0, attention leaves out only a row's own column.
        room: bytes of scores that may be kept between passes.

    Returns:
        The figures, and the gradient for the rows in both their roles.
    """
    tiles = _Tiles(
        rows, layout, epsilon=epsilon, mask_positives=mask_positives, positive_weight=positive_weight, room=room
    )
    n, split = len(rows), tiles.split
    sharpness = epsilon / temperature  # turns S / epsilon into S / temperature
    ones = rows.new_ones(n)

    attention_sum, column_sum = rows.new_zeros(n), rows.new_zeros(n)
    attention_sums, column_sums, one = split(attention_sum), split(column_sum), split(ones)
    for i, j in tiles.pairs:
        logits, kernel = tiles.logits_and_kernel(i, j)
        tiles.add_product(column_sums, kernel, one, i, j)
        attention = tiles.clear_unattended(logits.mul_(sharpness).exp_(), i, j)
        tiles.add_product(attention_sums, attention, one, i, j)

    v = tiles.column_scaling(iterations, column_sum) if iterations else ones
    u = 1 / (tiles.kernel_times(v) if iterations else column_sum)

    n_matched, balanced = max(layout.n_views - 1, 1), 1.0 - positive_weight
    w = n_matched / attention_sum
    column_total, target_score, attention_score = (rows.new_zeros(n) for _ in range(3))
    grad = torch.zeros_like(tiles.rows)
    us, vs, ws, grads = split(u), split(v), split(w), split(grad)
    column_totals, target_scores, attention_scores = split(column_total), split(target_score), split(attention_score)
    for i, j in tiles.pairs:
        logits, kernel = tiles.logits_and_kernel(i, j)
        scratch = tiles.buffer(3, i, j)
        attention = torch.mul(logits, sharpness, out=tiles.buffer(2, i, j)).exp_()
        tiles.clear_unattended(attention, i, j)
        tiles.add_product(column_totals, kernel, us, i, j)
        tiles.add_product(target_scores, torch.mul(kernel, logits, out=scratch), vs, i, j)
        tiles.add_product(attention_scores, torch.mul(attention, logits, out=scratch), one, i, j)

        # dS + dS^T = n (Q + Q^T) - what the targets and their mirror image hold for the matched views
        grad_scores = attention.mul_(torch.add(ws[i][:, None], ws[j], out=scratch))
        by_view, kernel_by_view, factors = (tiles.by_view(x) for x in (grad_scores, kernel, scratch))
        torch.mul(us[i][:, None], vs[j], out=scratch)
        for student, target in layout.matches:
            by_view[student].addcmul_(kernel_by_view[target], factors[target], value=-balanced)
        torch.mul(vs[i][:, None], us[j], out=scratch)
        for student, target in layout.matches:
            by_view[:, :, student].addcmul_(kernel_by_view[:, :, target], factors[:, :, target], value=-balanced)
        if positive_weight and i == j:  # all n matched views and all n positives share the weight
            tiles.positives(grad_scores).sub_(2 * positive_weight)
        tiles.clear_unattended(grad_scores, i, j)
        add_product(grads[i], grad_scores, tiles.columns[j])
        if i != j:
            add_product(grads[j], grad_scores.T, tiles.columns[i])

    # <dS, S> = n_matched <Q, S> - <targets, S> is half of <z, (dS + dS^T) z>
    log_sum = attention_sum.log()
    attended = (attention_score * w).sum() * sharpness
    matched = attended - (tiles.rows * grad).sum() / (2 * temperature)
    column_total *= v
    entropy = -(u.log().sum() + (column_total * v.log()).sum() + (u * target_score).sum()) / n
    n_terms = layout.n_pairs * layout.batch_size
    return ExactLoss(
        loss=(n_matched * log_sum.sum() - matched) / n_terms,
        target_entropy=MixedTargets(layout, positive_weight).entropies(entropy.expand(layout.n_global, 1))[0, 0],
        attention_entropy=(log_sum.sum() - attended / n_matched) / n,
        column_error=(column_total - 1).abs().max(),
        row_grad=tiles.to_view_major(grad).mul_(1 / (temperature * n_terms)),
        column_grad=None,
    )
