"""Which form of the loss computes it, and how the fast forms enter autograd.

All forms give the same numbers (tests/loss/test_streaming.py); they differ in time, memory and what can be asked of
them:

- `dense`: the definition, in `bam_core.loss.definition`; about ten score matrices of memory; differentiable twice.
- `stored`: keeps the score matrix (half of it where it is symmetric) and works on blocks of it.
- `streaming`: computes blocks of scores anew in every pass, in at most 64 MiB beside arrays of the inputs' size.

On a GPU, float32 rows are multiplied in float16 with sums in float32 (`bam_core.loss.products`): as exact as TF32.
There `stored` keeps the kernel in bfloat16, and `streaming` is made by Triton where `kernels_serve` says so, else by
torch in blocks of up to 512 MiB.
"""

import logging
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from bam_core.collectives import max_over_ranks, world_size
from bam_core.errors import InputError
from bam_core.loss.blocks import ExactLoss, bounded
from bam_core.loss.kernel_check import kernels_serve
from bam_core.loss.products import rounds
from bam_core.loss.row_layout import ViewLayout, gather_columns
from bam_core.loss.streaming import blockwise_loss
from bam_core.loss.symmetric import symmetric_loss

Method = Literal["auto", "dense", "stored", "streaming"]

_LOGGER = logging.getLogger(__name__)
_DENSE_BYTES = 1 << 18  # 256 x 256 in float32; up to here dense is as fast, and can be differentiated twice
_STORED_BYTES = 1 << 30  # where free memory is not known
_STREAMING_ROOM = 40 << 20  # scores that the symmetric form may keep and still stay below 64 MiB


def choose_method(method: str, layout: ViewLayout, rows: Float[Tensor, "n d"]) -> str:
    """Turn "auto" into the form that suits the size and the free memory; log the choice once.

    Small batches are computed densely. Above, scores are stored if half of the free memory holds them, on every rank.
    The choice is made once for every shape, as asking for memory takes time and ranks have to agree.

    Raises:
        InputError: a method that does not exist.
    """
    if method not in get_args(Method):
        raise InputError(f"bam_loss expected method to be one of {', '.join(get_args(Method))}; got {method!r}.")
    n_columns = layout.n_target * layout.batch_size * world_size()
    if torch.compiler.is_compiling():
        return _by_size(len(rows) * n_columns * rows.element_size(), None) if method == "auto" else method
    return _choose_once(method, len(rows), n_columns, rows.element_size(), rows.device)


@cache
def _choose_once(method: str, n_rows: int, n_columns: int, element_size: int, device: torch.device) -> str:
    score_bytes = n_rows * n_columns * element_size
    chosen = method
    if method == "auto":
        chosen = _by_size(score_bytes, _free_memory_of_all_ranks(device))
    _LOGGER.info(
        "bam_loss with %d x %d scores (%.3g MiB) on %s: method %s%s",
        n_rows, n_columns, score_bytes / 2**20, device, chosen, ", chosen by size and free memory" * (method == "auto"),
    )  # fmt: skip
    return chosen


def _by_size(score_bytes: int, free: int | None) -> str:
    if score_bytes <= _DENSE_BYTES:
        return "dense"
    return "stored" if score_bytes <= (_STORED_BYTES if free is None else free / 2) else "streaming"


def _free_memory_of_all_ranks(device: torch.device) -> int | None:
    free = free_memory(device)
    if free is None or world_size() == 1:
        return free
    return -int(max_over_ranks(torch.tensor(-free, device=device)))


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be had on a device, or None if that cannot be told."""
    if device.type == "cuda" and torch.cuda.is_available():
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except (OSError, StopIteration):
        return None
    group = next((line[3:] for line in groups if line.startswith("0::")), "/")
    for folder in (path := Path("/sys/fs/cgroup") / group.lstrip("/"), *path.parents):
        try:
            limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        except OSError:
            continue
        if limit != "max":
            free = min(free, int(limit) - int(used))
    return max(free, 0)


class LossTerms(NamedTuple):
    """What the forms of the loss return, over this rank's rows; `column_error` over all ranks."""

    loss: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]


def exact_terms(
    rows: Float[Tensor, "n d"],
    target_rows: Float[Tensor, "n d"] | None,
    layout: ViewLayout,
    *,
    method: str,
    temperature: float,
    epsilon: float,
    iterations: int,
    top_k: int | None,
    mask_positives: bool,
    positive_weight: float,
) -> LossTerms:
    """The terms of `bam_loss` for unit rows, differentiable once.

    Args:
        rows: (n, d) this rank's unit rows, view-major.
        target_rows: (n, d) the teacher's unit rows, or None if `rows` give targets and columns.
        layout: how the rows divide into views.
        method: "stored" or "streaming".
        temperature: of the attention.
        epsilon: regularisation of the target.
        iterations: Sinkhorn iterations.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out.
        positive_weight: weight of the positives in the targets.

    Raises:
        InputError: iterations < 0; in the backward pass of the backward pass.
    """
    if iterations < 0:
        raise InputError(f"bam_loss expected iterations >= 0; got {iterations}. 3 is the default.")
    settings: dict[str, Any] = {
        "temperature": temperature,
        "epsilon": epsilon,
        "iterations": iterations,
        "mask_positives": mask_positives,
        "positive_weight": positive_weight,
    }
    if torch.compiler.is_compiling():  # as a decorator this would load the compiler for everybody, which takes seconds
        outside = torch.compiler.disable(exact_terms)
        return LossTerms(*outside(rows, target_rows, layout, method=method, top_k=top_k, **settings))
    if method == "streaming" and top_k is None and kernels_serve(rows, layout):
        columns = gather_columns(rows if target_rows is None else target_rows, layout)

        def on_chip() -> ExactLoss:
            from bam_core.loss.kernels import kernel_loss

            with torch.cuda.device(rows.device):
                return kernel_loss(rows.detach(), columns.detach(), target_rows, layout, **settings)

        return LossTerms(*_Exact.apply(rows, columns, on_chip))
    rows_are_columns = target_rows is None and world_size() == 1 and layout.n_target == layout.n_views
    linear = all(bounded(rows.dtype, scale=scale) for scale in (temperature, epsilon))
    halves = method == "stored" and rounds(rows)  # a stored half-size kernel, without symmetry
    if rows_are_columns and linear and top_k is None and not halves:
        room = sys.maxsize if method == "stored" else _STREAMING_ROOM
        return LossTerms(
            *_Exact.apply(rows, None, lambda: symmetric_loss(rows.detach(), layout, room=room, **settings))
        )

    columns = gather_columns(rows if target_rows is None else target_rows, layout)
    room = sys.maxsize if method == "stored" else 0

    def compute() -> ExactLoss:
        return blockwise_loss(rows.detach(), columns.detach(), target_rows, layout, top_k=top_k, room=room, **settings)

    return LossTerms(*_Exact.apply(rows, columns, compute))


class _Exact(torch.autograd.Function):
    """Gradients come with the values, so the backward pass only scales them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor | None, compute: Any) -> tuple[Tensor, ...]:
        result = compute()
        ctx.save_for_backward(rows, result.row_grad, columns, result.column_grad)
        figures = (result.target_entropy, result.attention_entropy, result.column_error)
        ctx.mark_non_differentiable(*figures)
        return result.loss, *figures

    @staticmethod
    def backward(ctx: Any, scale: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        rows, row_grad, columns, column_grad = ctx.saved_tensors
        for_columns = None if column_grad is None else _Scaled.apply(scale, column_grad, columns)
        return _Scaled.apply(scale, row_grad, rows), for_columns, None


class _Scaled(torch.autograd.Function):
    """scale * gradient; depends on the input in a way that cannot be differentiated."""

    @staticmethod
    def forward(ctx: FunctionCtx, scale: Tensor, gradient: Tensor, of: Tensor) -> Tensor:
        return scale * gradient

    @staticmethod
    def backward(ctx: FunctionCtx, *_: Tensor) -> tuple[Tensor, ...]:
        raise InputError(
            "bam_loss expected to be differentiated once; the stored and streaming forms have no gradients of "
            'gradients. Pass method="dense".'
        )
