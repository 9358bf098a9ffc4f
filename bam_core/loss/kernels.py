"""The streaming form as Triton kernels: no score leaves the chip; memory is a few arrays of the inputs' size.

Rows and columns are multiplied in float16 with sums in float32: the digits of TF32 at half the traffic. Sinkhorn's
potentials come from visits to all tiles of scores, each a log-sum-exp with a bias, which is taken online; two
kernels then make loss and gradient, one for rows and one for columns. A tile holds all views of its samples, so that
the targets of one view are at hand for the others, and positives are left out inside the tile.

Triton comes with torch's wheels for GPUs. `TRITON_INTERPRET=1` runs the kernels on the CPU, for tests.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, sections 3.1-3.3; the online log-sum-exp is Milakov and
Gimelshein's, arXiv 1805.02867, as in Dao et al., "FlashAttention", arXiv 2205.14135.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import logsumexp_over_ranks, mean_over_ranks, rank, world_size
from bam_core.loss.blocks import ExactLoss
from bam_core.loss.positives import MixedTargets
from bam_core.loss.row_layout import ViewLayout

LARGEST_WIDTH = 256  # of rows; an accumulator of a tile's gradient has to fit into registers
MOST_VIEWS = 16
_ROWS, _COLUMNS, _WARPS = 64, 64, 8
_NONE, _POSITIVES, _OWN = 0, 1, 2  # what a tile leaves out
_GAIN = tl.constexpr(2048.0)  # float16 has no room for small entries of the gradient


def kernel_loss(
    rows: Float[Tensor, "n d"],
    columns: Float[Tensor, "m d"],
    target_rows: Float[Tensor, "n d"] | None,
    layout: ViewLayout,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
    mask_positives: bool,
    positive_weight: float,
    precision: torch.dtype = torch.float16,
) -> ExactLoss:
    """Loss, diagnostics and gradients of `bam_loss` for unit rows; see `bam_core.loss.streaming.blockwise_loss`.

    Args:
        rows: (n, d) this rank's unit rows, view-major; at most 256 wide, and 16 views.
        columns: (m, d) unit columns of all ranks.
        target_rows: (n, d) the teacher's unit rows, or None if `rows` give the targets.
        layout: how the rows divide into views.
        temperature: of the attention.
        epsilon: regularisation of the target.
        iterations: Sinkhorn iterations.
        mask_positives: leave a sample's own columns out.
        positive_weight: weight of the positives in the targets; if not 0, attention leaves out only a row's own column.
        precision: of what is multiplied; sums are in float32.
    """
    n, m, b = len(rows), len(columns), layout.batch_size
    z, c = rows.to(precision).contiguous(), columns.to(precision).contiguous()
    source = z if target_rows is None else target_rows.detach().to(precision).contiguous()
    of_rows, of_columns = (b, rank() * b), (world_size() * b, 0)
    left_out = _POSITIVES if mask_positives else _NONE
    unattended = _OWN if positive_weight else left_out

    f, g = (torch.zeros(k, device=rows.device) for k in (n, m))
    for _ in range(iterations):
        g = -logsumexp_over_ranks(_log_sums(c, source, f, of_columns, of_rows, 1 / epsilon, left_out))
        f = -_log_sums(source, c, g, of_rows, of_columns, 1 / epsilon, left_out)
    if not iterations:
        f = -_log_sums(source, c, g, of_rows, of_columns, 1 / epsilon, left_out)
    log_norm = _log_sums(z, c, torch.zeros_like(g), of_rows, of_columns, 1 / temperature, unattended)

    mixed = MixedTargets(layout, positive_weight)
    matched = torch.tensor(layout.n_matched, dtype=torch.float32, device="cpu").to(rows.device, non_blocking=True)
    balanced = torch.tensor(mixed.balanced, dtype=torch.float32, device="cpu").to(rows.device, non_blocking=True)
    on_positives = mixed.on_positives(f).contiguous()
    row_grad, column_grad = (torch.empty(k, rows.shape[1], device=rows.device) for k in (n, m))
    target_scores, attention_scores, negative_entropy = (torch.empty_like(f) for _ in range(3))
    totals = torch.empty_like(g)
    views = triton.next_power_of_2(layout.n_views)
    samples = max(_ROWS // views, 1)
    width = max(triton.next_power_of_2(rows.shape[1]), 16)
    shared: tuple[Any, ...] = (
        z, source, c, f, g, log_norm, matched, balanced, on_positives, n, m, b, rows.shape[1], *of_rows, of_columns[0],
        1 / temperature, 1 / epsilon,
    )  # fmt: skip
    sizes: dict[str, Any] = {
        "D": width, "SAMPLES": samples, "VIEWS": views, "N_VIEWS": layout.n_views, "N_GLOBAL": layout.n_global,
        "N_TARGET": layout.n_target, "COLUMNS": _COLUMNS, "TEACHER": target_rows is not None,
        "LEFT_OUT": left_out, "UNATTENDED": unattended, "num_warps": _WARPS,
    }  # fmt: skip
    _rows_kernel[(triton.cdiv(b, samples),)](
        *shared, row_grad, target_scores, attention_scores, negative_entropy, **sizes
    )
    _columns_kernel[(triton.cdiv(m, _COLUMNS),)](*shared, column_grad, totals, **sizes)

    n_terms = layout.n_pairs * b
    scale = 1 / (temperature * n_terms)
    per_row = matched.repeat_interleave(b)
    kept = layout.n_global * b
    mean_total = n * world_size() / m
    return ExactLoss(
        loss=((per_row * log_norm).sum() - target_scores.sum() / temperature) / n_terms,
        target_entropy=mixed.entropies(-negative_entropy[:kept].view(layout.n_global, b)).mean(),
        attention_entropy=(log_norm - attention_scores / temperature).mean(),
        column_error=(mean_over_ranks(totals) * world_size() / mean_total - 1).abs().max(),
        row_grad=row_grad.mul_(scale),
        column_grad=column_grad.mul_(scale) if target_rows is None else None,
    )


def _log_sums(
    rows: Float[Tensor, "n d"],
    columns: Float[Tensor, "m d"],
    bias: Float[Tensor, " m"],
    of_rows: tuple[int, int],
    of_columns: tuple[int, int],
    scale: float,
    left_out: int,
) -> Float[Tensor, " n"]:
    """Of every row, log of the sum over the columns of exp(scale * row . column + bias).

    Args:
        rows: (n, d), view-major.
        columns: (m, d), view-major.
        bias: of the columns.
        of_rows: rows of a view, and the number of the first sample.
        of_columns: the same of the columns.
        scale: of the products.
        left_out: see `_left_out`.
    """
    out = torch.empty(len(rows), device=rows.device)
    width = max(triton.next_power_of_2(rows.shape[1]), 16)
    _log_sums_kernel[(triton.cdiv(len(rows), _ROWS),)](
        rows, columns, bias, out, len(rows), len(columns), rows.shape[1], *of_rows, *of_columns, scale,
        D=width, ROWS=_ROWS, COLUMNS=_COLUMNS, LEFT_OUT=left_out, num_warps=_WARPS,
    )  # fmt: skip
    return out


@triton.jit
def _load(base, index, known, d, D: tl.constexpr):
    """Rows of a matrix of width d, zero where they are not known."""
    place = tl.arange(0, D)
    return tl.load(
        base + index[:, None].to(tl.int64) * d + place[None, :], mask=known[:, None] & (place < d)[None, :], other=0.0
    )


@triton.jit
def _left_out(row_sample, row_view, column_sample, column_view, KIND: tl.constexpr):
    """Where a row meets its own sample (1), or its own view of it (2); nowhere (0)."""
    same = row_sample[:, None] == column_sample[None, :]
    if KIND == 0:
        same = same & (row_sample[:, None] < 0)
    if KIND == 2:
        same = same & (row_view[:, None] == column_view[None, :])
    return same


@triton.jit
def _log_sums_kernel(
    rows, columns, bias, out, n, m, d, row_period, row_first, column_period, column_first, scale,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, LEFT_OUT: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    x = _load(rows, r, r < n, d, D)
    peak = tl.full((ROWS,), -1e30, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    for start in range(0, m, COLUMNS):
        k = start + tl.arange(0, COLUMNS)
        y = _load(columns, k, k < m, d, D)
        s = tl.dot(x, tl.trans(y), input_precision="ieee") * scale + tl.load(bias + k, mask=k < m, other=0.0)[None, :]
        out_of_sum = _left_out(
            r % row_period + row_first, r // row_period, k % column_period + column_first, k // column_period, LEFT_OUT
        )
        s = tl.where(out_of_sum | (k >= m)[None, :], -float("inf"), s)
        highest = tl.maximum(peak, tl.max(s, axis=1))
        total = total * tl.exp(peak - highest) + tl.sum(tl.exp(s - highest[:, None]), axis=1)
        peak = highest
    tl.store(out + r, peak + tl.log(total), mask=r < n)


@triton.jit
def _tile(
    x, t, y, r, view, known, k, f, g, log_norm, matched, balanced, on_positives, m, row_period, row_first,
    column_period, by_temperature, by_epsilon,
    SAMPLES: tl.constexpr, VIEWS: tl.constexpr, N_VIEWS: tl.constexpr, N_GLOBAL: tl.constexpr, N_TARGET: tl.constexpr,
    COLUMNS: tl.constexpr, TEACHER: tl.constexpr, LEFT_OUT: tl.constexpr, UNATTENDED: tl.constexpr,
):  # fmt: skip
    """Scores, plan, its logarithm, targets, attention and gradient of the scores of a tile."""
    row_sample, column_sample = r % row_period + row_first, k % column_period
    column_view = k // column_period
    there = known[:, None] & (k < m)[None, :]
    scores = tl.dot(x, tl.trans(y), input_precision="ieee")
    target_scores = scores
    if TEACHER:
        target_scores = tl.dot(t, tl.trans(y), input_precision="ieee")
    log_plan = target_scores * by_epsilon + tl.load(g + k, mask=k < m, other=0.0)[None, :]
    log_plan = log_plan + tl.load(f + r, mask=known, other=0.0)[:, None]
    in_plan = there & ~_left_out(row_sample, view, column_sample, column_view, LEFT_OUT)
    log_plan = tl.where(in_plan, log_plan, 0.0)
    plan = tl.where(in_plan, tl.exp(log_plan), 0.0)

    norm = tl.load(log_norm + r, mask=known, other=0.0)
    attended = there & ~_left_out(row_sample, view, column_sample, column_view, UNATTENDED)
    attention = tl.where(attended, tl.exp(tl.where(attended, scores * by_temperature - norm[:, None], 0.0)), 0.0)

    if N_VIEWS == 1:
        targets = plan
    else:
        given = tl.where((view < N_GLOBAL)[:, None], plan, 0.0)
        all_given = tl.sum(tl.reshape(given, (SAMPLES, VIEWS, COLUMNS)), axis=1)
        spread = tl.broadcast_to(all_given[:, None, :], (SAMPLES, VIEWS, COLUMNS))
        targets = tl.reshape(spread, (SAMPLES * VIEWS, COLUMNS)) - given
    targets = targets * tl.load(balanced + view, mask=view < N_VIEWS, other=0.0)[:, None]
    if UNATTENDED == 2:
        own_sample = there & (row_sample[:, None] == column_sample[None, :])
        place = view[:, None] * N_TARGET + column_view[None, :]
        targets = targets + tl.load(on_positives + place, mask=own_sample, other=0.0)
    targets = tl.where(there, targets, 0.0)
    n_matched = tl.load(matched + view, mask=view < N_VIEWS, other=0.0)
    return scores, plan, log_plan, targets, attention, n_matched[:, None] * attention - targets


@triton.jit
def _rows_kernel(
    z, source, columns, f, g, log_norm, matched, balanced, on_positives, n, m, b, d, row_period, row_first,
    column_period, by_temperature, by_epsilon, grad, target_scores, attention_scores, negative_entropy,
    D: tl.constexpr, SAMPLES: tl.constexpr, VIEWS: tl.constexpr, N_VIEWS: tl.constexpr, N_GLOBAL: tl.constexpr,
    N_TARGET: tl.constexpr, COLUMNS: tl.constexpr, TEACHER: tl.constexpr, LEFT_OUT: tl.constexpr,
    UNATTENDED: tl.constexpr,
):  # fmt: skip
    q = tl.arange(0, SAMPLES * VIEWS)
    sample, view = tl.program_id(0) * SAMPLES + q // VIEWS, q % VIEWS
    r = view * b + sample
    known = (sample < b) & (view < N_VIEWS)
    x = _load(z, r, known, d, D)
    t = x
    if TEACHER:
        t = _load(source, r, known, d, D)
    total = tl.zeros((SAMPLES * VIEWS, D), tl.float32)
    of_targets, of_attention, of_plan = (
        tl.zeros((SAMPLES * VIEWS,), tl.float32), tl.zeros((SAMPLES * VIEWS,), tl.float32),
        tl.zeros((SAMPLES * VIEWS,), tl.float32),
    )  # fmt: skip
    for start in range(0, m, COLUMNS):
        k = start + tl.arange(0, COLUMNS)
        y = _load(columns, k, k < m, d, D)
        scores, plan, log_plan, targets, attention, by_score = _tile(
            x, t, y, r, view, known, k, f, g, log_norm, matched, balanced, on_positives, m, row_period, row_first,
            column_period, by_temperature, by_epsilon, SAMPLES, VIEWS, N_VIEWS, N_GLOBAL, N_TARGET, COLUMNS, TEACHER,
            LEFT_OUT, UNATTENDED,
        )  # fmt: skip
        total += tl.dot((by_score * _GAIN).to(y.dtype), y, input_precision="ieee")
        of_targets += tl.sum(targets * scores, axis=1)
        of_attention += tl.sum(attention * scores, axis=1)
        of_plan += tl.sum(plan * log_plan, axis=1)
    place = tl.arange(0, D)
    tl.store(
        grad + r[:, None].to(tl.int64) * d + place[None, :], total / _GAIN, mask=known[:, None] & (place < d)[None, :]
    )
    tl.store(target_scores + r, of_targets, mask=known)
    tl.store(attention_scores + r, of_attention, mask=known)
    tl.store(negative_entropy + r, of_plan, mask=known)


@triton.jit
def _columns_kernel(
    z, source, columns, f, g, log_norm, matched, balanced, on_positives, n, m, b, d, row_period, row_first,
    column_period, by_temperature, by_epsilon, grad, totals,
    D: tl.constexpr, SAMPLES: tl.constexpr, VIEWS: tl.constexpr, N_VIEWS: tl.constexpr, N_GLOBAL: tl.constexpr,
    N_TARGET: tl.constexpr, COLUMNS: tl.constexpr, TEACHER: tl.constexpr, LEFT_OUT: tl.constexpr,
    UNATTENDED: tl.constexpr,
):  # fmt: skip
    k = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    y = _load(columns, k, k < m, d, D)
    q = tl.arange(0, SAMPLES * VIEWS)
    view = q % VIEWS
    total = tl.zeros((COLUMNS, D), tl.float32)
    of_plan = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, b, SAMPLES):
        sample = start + q // VIEWS
        r = view * b + sample
        known = (sample < b) & (view < N_VIEWS)
        x = _load(z, r, known, d, D)
        t = x
        if TEACHER:
            t = _load(source, r, known, d, D)
        _scores, plan, _log_plan, _targets, _attention, by_score = _tile(
            x, t, y, r, view, known, k, f, g, log_norm, matched, balanced, on_positives, m, row_period, row_first,
            column_period, by_temperature, by_epsilon, SAMPLES, VIEWS, N_VIEWS, N_GLOBAL, N_TARGET, COLUMNS, TEACHER,
            LEFT_OUT, UNATTENDED,
        )  # fmt: skip
        if not TEACHER:
            total += tl.dot(tl.trans((by_score * _GAIN).to(x.dtype)), x, input_precision="ieee")
        of_plan += tl.sum(plan, axis=0)
    if not TEACHER:
        place = tl.arange(0, D)
        tl.store(
            grad + k[:, None].to(tl.int64) * d + place[None, :], total / _GAIN,
            mask=(k < m)[:, None] & (place < d)[None, :],
        )  # fmt: skip
    tl.store(totals + k, of_plan, mask=k < m)
