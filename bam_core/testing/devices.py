"""Run device code without a device: fake tensors raise on every look at a value and on every mix of devices."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bam_core.views import View, map_tensors


@contextmanager
def fake_cuda(*modules: nn.Module) -> Iterator[Any]:
    """A mode in which new tensors lie on a GPU that is not there, and the parameters of some modules as well.

    Args:
        *modules: changed in place, and of no use afterwards; give copies.

    Yields:
        The mode.

    Example:
        >>> with fake_cuda(network := nn.Linear(2, 3)):
        ...     network(torch.empty(4, 2)).device.type
        'cuda'
    """
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.device("cuda"):
        for module in (m for root in modules for m in root.modules()):
            for name, p in module._parameters.items():
                if p is not None:
                    module._parameters[name] = nn.Parameter(torch.empty(p.shape, dtype=p.dtype), p.requires_grad)
            for name, b in module._buffers.items():
                if b is not None:
                    module._buffers[name] = torch.empty(b.shape, dtype=b.dtype)
        yield mode


def like(view: View) -> View:
    """A view of the same shapes, of no values; inside `fake_cuda` it lies on that device."""
    return map_tensors(view, lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))
