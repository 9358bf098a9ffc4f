"""The only file that names torch.distributed: what the ranks exchange in a step.

Every function is the identity of one process when no process group is initialised, so the mathematics reads
the same on a laptop and on a cluster.

The gradient convention: each rank returns the mean loss of its own rows; the backward pass of `all_gather` sums the
gradients that all ranks hold for this rank's rows; DistributedDataParallel then averages over the ranks. Together
these give the gradient of the loss of the joined batch (tests/distributed).
"""

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from bam_core.errors import InputError

_TEXT_BYTES = 1024


def world_size() -> int:
    """Number of ranks that share a global batch; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process among the ranks; 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def can_gather() -> bool:
    """Whether torch was built with what `all_gather` needs; a process group may come later."""
    return dist.is_available()


def leave_group() -> None:
    """End what the ranks share, once all of them are here; the last call of a process. Without a group: nothing.

    Threads of gloo that outlive the interpreter abort the process now and then, although its work is done.
    """
    if dist.is_available() and dist.is_initialized():
        gc.collect()  # what DistributedDataParallel and trainers leave behind holds the group
        dist.barrier()
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        out = rows.new_empty((world_size(), *rows.shape))
        dist.all_gather(list(out.unbind()), rows)
        return out

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad[rank()]


def all_gather(rows: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "ranks *shape"]:
    """Stack the equally shaped tensors of all ranks; differentiable.

    Args:
        rows: this rank's tensor; the shape must be the same on all ranks.

    Returns:
        (world_size, *shape). The gradient that flows back to this rank is the sum over all ranks.
    """
    return rows[None] if world_size() == 1 else _Gather.apply(rows)


def hosts_exchange() -> bool:
    """Whether the ranks can ask each other without waiting for their devices: with "gloo" or "cpu:gloo,cuda:nccl"."""
    return world_size() > 1 and not torch.compiler.is_compiling() and "cpu:" in dist.get_backend_config()


def counts_of_ranks(count: int) -> list[int]:
    """A count of this rank beside those of the others, by rank; exchanged by the hosts, which wait for no device.

    Unless `hosts_exchange`, such as with "nccl" alone or in a compiled graph, this is the own count only.
    """
    if not hosts_exchange():
        return [count]
    counts = torch.empty(world_size(), 1, dtype=torch.int64, device="cpu")
    dist.all_gather(list(counts.unbind()), torch.tensor([count], device="cpu"))
    return [int(one) for one in counts]


def errors_shared() -> AbstractContextManager[None]:
    """Make an InputError of one rank one of every rank, so that none waits in vain for a rank that gave up.

    Does nothing unless `hosts_exchange`.

    Raises:
        InputError: the body raised it, here or on another rank.
    """
    return _errors_shared() if hosts_exchange() else nullcontext()


@contextmanager
def _errors_shared() -> Iterator[None]:
    problem = None
    try:
        yield
    except InputError as error:
        problem = error
    counts = counts_of_ranks(int(problem is not None))
    if problem is not None:
        raise problem
    if any(counts):
        raise InputError(
            f"rank {counts.index(1)} could not use its part of the batch, as its own message says; no rank can go on "
            "without it."
        )


def texts_of_ranks(text: str, device: torch.device) -> list[str]:
    """A short text of this rank beside those of the others, by rank; waits for the device."""
    if world_size() == 1:
        return [text]
    row = torch.zeros(_TEXT_BYTES, dtype=torch.uint8)
    raw = bytearray(text.encode()[:_TEXT_BYTES])
    row[: len(raw)] = torch.tensor(list(raw), dtype=torch.uint8)
    return [bytes(one).rstrip(b"\0").decode(errors="ignore") for one in all_gather(row.to(device)).tolist()]


def any_rank(flag: Bool[Tensor, ""]) -> Bool[Tensor, ""]:
    """Whether a flag is set on any rank; the host does not wait for it."""
    return flag if world_size() == 1 else max_over_ranks(flag.float()) > 0


def logsumexp_over_ranks(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Elementwise log of the sum over ranks of exp(values); no gradient."""
    return values if world_size() == 1 else all_gather(values).logsumexp(dim=0)


def mean_over_ranks(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Elementwise mean over ranks; no gradient."""
    if world_size() == 1:
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values / world_size()


def max_over_ranks(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Elementwise maximum over ranks; no gradient."""
    if world_size() == 1:
        return values
    values = values.clone()
    dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values
