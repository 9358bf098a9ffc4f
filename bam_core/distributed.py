"""The only file that names torch.distributed: what the ranks exchange in a step.

Every function is the identity of one process when no process group is initialised, so the mathematics reads
the same on a laptop and on a cluster.

The gradient convention: each rank returns the mean loss of its own rows; the backward pass of `gather` sums the
gradients that all ranks hold for this rank's rows; DistributedDataParallel then averages over the ranks. Together
these give the gradient of the loss of the joined batch (tests/distributed).
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def world_size() -> int:
    """Number of ranks that share a global batch; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process among the ranks; 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def can_gather() -> bool:
    """Whether torch was built with what `gather` needs; a process group may come later."""
    return dist.is_available()


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


def gather(rows: Float[Tensor, "*shape"]) -> Float[Tensor, "ranks *shape"]:
    """Stack the equally shaped tensors of all ranks; differentiable.

    Args:
        rows: this rank's tensor; the shape must be the same on all ranks.

    Returns:
        (world_size, *shape). The gradient that flows back to this rank is the sum over all ranks.
    """
    return rows[None] if world_size() == 1 else _Gather.apply(rows)


def counts_of_ranks(count: int) -> list[int]:
    """A count of this rank beside those of the others, by rank; exchanged by the hosts, which wait for no device.

    Only a process group that serves CPU tensors can do so, such as "gloo" or "cpu:gloo,cuda:nccl". With another one,
    such as "nccl" alone, and in a compiled graph, this is the own count only.
    """
    if world_size() == 1 or torch.compiler.is_compiling() or "cpu:" not in dist.get_backend_config():
        return [count]
    counts = torch.empty(world_size(), 1, dtype=torch.int64, device="cpu")
    dist.all_gather(list(counts.unbind()), torch.tensor([count], device="cpu"))
    return [int(one) for one in counts]


def logsumexp_over_ranks(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Elementwise log of the sum over ranks of exp(values); no gradient."""
    return values if world_size() == 1 else gather(values).logsumexp(dim=0)


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
