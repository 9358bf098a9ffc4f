"""Parameters spread over the ranks (FSDP2), held whole again, and written as one process would write them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from bam_core.collectives import world_size


def shard(module: nn.Module, device_type: str) -> None:
    """Spread parameters over the ranks (FSDP2): those of each child, and of each block of layers in it, apart.

    Of a dict of modules, such as the terms of an objective, each is a child.

    A block is an element of an outermost list or sequence of layers that has layers itself. Its parameters are gathered
    when it is called, and dropped again afterwards.

    Args:
        module: the objective; its parameters become `DTensor`s.
        device_type: of the ranks' devices, such as "cuda".
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device_type, (world_size(),))
    children = [part for c in module.children() for part in (c.values() if isinstance(c, nn.ModuleDict) else [c])]
    for child in children:
        for block in _blocks(child):
            fully_shard(block, mesh=mesh, reshard_after_forward=True)
        if any(True for _ in child.parameters()):
            fully_shard(child, mesh=mesh, reshard_after_forward=True)
    fully_shard(module, mesh=mesh)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield from (block for block in child if any(True for _ in block.children()))
        else:
            yield from _blocks(child)


@contextmanager
def unsharded(module: nn.Module) -> Iterator[None]:
    """Hold all parameters that `shard` has spread on every rank, to call a part of the objective from outside.

    Every rank has to do this together. A module that is not spread is left as it is.
    """
    units: list[Any] = [m for m in module.modules() if hasattr(m, "unshard")]
    for unit in units:
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()


def to_full(value: Any) -> Any:
    """A tensor that `shard` has spread, gathered by all ranks, on the CPU; other values as they are."""
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def shard_like(value: Any, like: Any) -> Any:
    """A whole tensor, the same on all ranks, spread over them like another one if that is of its shape and spread."""
    if not hasattr(like, "full_tensor") or getattr(value, "shape", None) != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
