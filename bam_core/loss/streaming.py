r"""The loss of `bam_loss`, number for number, from blocks of rows: the score matrix need not be held.

A block is a few samples in all their views against all columns. Two facts make blocks enough:

- Sinkhorn's rows come last, so given the columns' potential g a row of the plan is softmax(S / epsilon + g), and one
  pass over the blocks sums its columns, which makes the next potential: one pass is one whole iteration.
- The gradient is known in closed form, dL/dS^(v) = (n_v Q^(v) - T_v) / (temperature * pairs * b) with T_v the sum of
  the n_v targets that view v is matched with, so the last pass yields loss and gradient together. That holds for the
  mixed targets of `bam_core.loss.positives`, too: their few entries at positives are put in one by one.

That makes K + 1 passes. A block is worked on in tiles of columns, small enough to stay in cache; every tile subtracts
its own row maxima before the exponential, and the tiles of a row are put in proportion afterwards, so that nothing
under- or overflows at any epsilon. Tiles of scores are kept from pass to pass as far as `room` allows.
`bam_core.loss.symmetric` does half of this work where rows and columns are the same.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, sections 3.1-3.3; the blockwise form is this project's.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import logsumexp_over_ranks, mean_over_ranks, world_size
from bam_core.diagnostics import entropy
from bam_core.loss.balancing import keep_top_k
from bam_core.loss.blocks import Blocks, ExactLoss, bounded, exponential, shift, softmax_of
from bam_core.loss.positives import MixedTargets
from bam_core.loss.products import add_product, rounds
from bam_core.loss.row_layout import ViewLayout
from bam_core.loss.stored_kernel import stored_potential
from bam_core.loss.symmetric import symmetric_potential


def blockwise_loss(
    rows: Float[Tensor, "n d"],
    columns: Float[Tensor, "m d"],
    target_rows: Float[Tensor, "n d"] | None,
    layout: ViewLayout,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
    top_k: int | None,
    mask_positives: bool,
    positive_weight: float,
    room: int,
) -> ExactLoss:
    """Loss, diagnostics and gradients of `bam_loss` for unit rows, in K + 1 passes over blocks.

    Args:
        rows: (n, d) this rank's unit rows, view-major.
        columns: (m, d) unit columns of all ranks.
        target_rows: (n, d) the teacher's unit rows, or None if `rows` give the targets.
        layout: how the rows divide into views.
        temperature: of the attention.
        epsilon: regularisation of the target.
        iterations: Sinkhorn iterations.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out.
        positive_weight: weight of the positives in the targets; if not 0, attention leaves out only a row's own column.
        room: bytes of scores that may be kept between passes.

    Returns:
        The figures, and the gradients for the rows and, without a teacher, for the columns.
    """
    source = rows if target_rows is None else target_rows
    linear, symmetric = bounded(rows.dtype, scale=epsilon), layout.n_target == layout.n_views and world_size() == 1
    settings: dict[str, Any] = {"epsilon": epsilon, "iterations": iterations}
    stored_on_gpu = linear and room > 0 and rounds(rows)
    if stored_on_gpu:
        room = 0
    elif linear and symmetric:
        potential = symmetric_potential(source, layout, mask_positives=mask_positives, room=room, **settings)
        room = 0  # what comes is a single pass
    blocks = Blocks(columns, layout, mask_positives=mask_positives, whole_rows=2 if top_k is None else 7, room=room)
    if stored_on_gpu:
        potential = stored_potential(blocks, source, **settings)
    elif not (linear and symmetric):
        potential = (linear_potential if linear else stable_potential)(blocks, source, **settings)

    mixed = MixedTargets(layout, positive_weight)
    on_positives = mixed.on_positives(rows)
    loss, target_entropy, attention_entropy = rows.new_zeros(3).unbind()
    column_total = rows.new_zeros(len(columns))
    column_grad = torch.zeros_like(columns) if target_rows is None else None
    row_grads = []
    for start in blocks.starts:
        block, target_block = blocks.rows_of(rows, start), blocks.rows_of(source, start)
        targets, students = [], []
        if positive_weight:
            positive_logits = blocks.positive_logits(block / temperature, start)
        for t, g in enumerate(blocks.split(potential)):
            target, student, logits = (blocks.buffer(x, t, len(block)) for x in ("target", "student", "logits"))
            target_logits = blocks.logits(target_block / epsilon, start, t, target, keep=True)
            if target_rows is None:
                torch.mul(target_logits, epsilon / temperature, out=logits)
            else:
                blocks.logits(block / temperature, start, t, logits, keep=False)
            if positive_weight:
                for view, samples, entries in blocks.positives(logits, start, t):
                    entries.copy_(positive_logits[:, view, samples])
            students.append(exponential(logits, bounded=bounded(rows.dtype, scale=temperature), out=student))
            torch.add(target_logits, g, out=logits)
            targets.append(exponential(logits, bounded=bounded(rows.dtype, scale=epsilon), out=target))
        plan, attention = softmax_of(targets), softmax_of(students)
        for total, tile, weights in zip(blocks.split(column_total), targets, plan.weights, strict=True):
            total.addmv_(tile.values.T, weights)

        n_samples = len(block) // layout.n_views
        kept = layout.n_global * n_samples
        plans = [tile.values[:kept].mul_(w[:kept, None]) for tile, w in zip(targets, plan.weights, strict=True)]
        plans = [x.view(layout.n_global, n_samples, -1) for x in plans]
        if top_k is None:
            entropies = plan.entropy[:kept].view(layout.n_global, n_samples)
        else:
            largest = keep_top_k(torch.cat(plans, dim=-1), top_k)
            entropies = entropy(largest)
            plans = list(largest.split(blocks.width, dim=-1))
        target_entropy += mixed.entropies(entropies).sum()

        for weights, attended, n in zip(
            attention.weights.view(len(students), layout.n_views, n_samples).unbind(1),
            attention.entropy.view(layout.n_views, n_samples),
            layout.n_matched,
            strict=True,
        ):
            weights.mul_(n)
            loss += n * attended.sum()
        block_grad = torch.zeros_like(block)
        for t, tile in enumerate(students):
            grad_scores = tile.values.mul_(attention.weights[t][:, None])
            by_view = grad_scores.view(layout.n_views, n_samples, -1)
            for student_view, target_view in layout.matches:
                by_view[student_view].sub_(plans[t][target_view], alpha=mixed.balanced[student_view])
            if positive_weight:
                for view, _, entries in blocks.positives(grad_scores, start, t):
                    entries.sub_(on_positives[:, view, None])
            add_product(block_grad, grad_scores, blocks.columns[t])
            if column_grad is not None:
                add_product(blocks.split(column_grad)[t], grad_scores.T, block)
        loss += (block * block_grad).sum() / temperature  # cross-entropy = n H(Q) + <n Q - T, S> / temperature
        attention_entropy += attention.entropy.sum()
        row_grads.append(block_grad.view(layout.n_views, n_samples, -1))

    n_terms = layout.n_pairs * layout.batch_size
    mean_total = len(rows) * world_size() / len(columns)
    totals = mean_over_ranks(column_total) * world_size()
    return ExactLoss(
        loss=loss / n_terms,
        target_entropy=target_entropy / (layout.n_global * layout.batch_size),
        attention_entropy=attention_entropy / len(rows),
        column_error=(totals / mean_total - 1).abs().max(),
        row_grad=torch.cat(row_grads, dim=1).flatten(0, 1).mul_(1 / (temperature * n_terms)),
        column_grad=None if column_grad is None else column_grad.mul_(1 / (temperature * n_terms)),
    )


def linear_potential(
    blocks: Blocks, rows: Float[Tensor, "n d"], *, epsilon: float, iterations: int
) -> Float[Tensor, " m"]:
    """The columns' potential of Sinkhorn's last column scaling, up to a constant; for a `bounded` kernel."""
    scaling: Tensor | None = None
    for _ in range(iterations):
        column_total = rows.new_zeros(blocks.n_columns)
        for start in blocks.starts:
            block = blocks.rows_of(rows, start) / epsilon
            kernels = []
            row_total = block.new_ones(len(block)) if scaling is None else block.new_zeros(len(block))
            for t in range(len(blocks.columns)):
                out = blocks.buffer("target", t, len(block))
                kernels.append(torch.exp(blocks.logits(block, start, t, out, keep=True), out=out))
                if scaling is not None:
                    row_total.addmv_(kernels[t], blocks.split(scaling)[t])
            row_scaling = 1 / row_total
            for total, kernel in zip(blocks.split(column_total), kernels, strict=True):
                total.addmv_(kernel.T, row_scaling)
        scaling = 1 / mean_over_ranks(column_total)
    return rows.new_zeros(blocks.n_columns) if scaling is None else scaling.log()


def stable_potential(
    blocks: Blocks, rows: Float[Tensor, "n d"], *, epsilon: float, iterations: int
) -> Float[Tensor, " m"]:
    """The same for any kernel: every exponential is taken after its row's or column's largest logit is subtracted."""
    if iterations == 0:
        return rows.new_zeros(blocks.n_columns)
    peak, total = rows.new_full((blocks.n_columns,), -torch.inf), rows.new_zeros(blocks.n_columns)
    for start in blocks.starts:
        block = blocks.rows_of(rows, start) / epsilon
        for t, (peak_t, total_t) in enumerate(zip(blocks.split(peak), blocks.split(total), strict=True)):
            out = blocks.buffer("target", t, len(block))
            logits = blocks.logits(block, start, t, out, keep=True)
            highest = torch.maximum(peak_t, logits.amax(dim=0))
            total_t.mul_((peak_t - highest).exp_()).add_(shift(logits, highest, out=out).exp_().sum(dim=0))
            peak_t.copy_(highest)
    potential = -logsumexp_over_ranks(peak + total.log())
    for _ in range(iterations - 1):
        total.zero_()
        for start in blocks.starts:
            block = blocks.rows_of(rows, start) / epsilon
            tiles = []
            for t, g in enumerate(blocks.split(potential)):
                out = blocks.buffer("target", t, len(block))
                logits = torch.add(blocks.logits(block, start, t, out, keep=True), g, out=out)
                tiles.append(exponential(logits, bounded=False))
            for total_t, tile, weights in zip(blocks.split(total), tiles, softmax_of(tiles).weights, strict=True):
                total_t.addmv_(tile.values.T, weights)
        potential = potential - mean_over_ranks(total).log()
    return potential
