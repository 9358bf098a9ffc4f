"""Run device code without a device: fake tensors raise on every look at a value and on every mix of devices."""

from contextlib import contextmanager

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode


@contextmanager
def fake_cuda(*modules):
    """A mode in which new tensors lie on a GPU that is not there, and the modules' parameters as well."""
    with FakeTensorMode() as mode, torch.device("cuda"):
        for module in (m for root in modules for m in root.modules()):
            for name, p in module._parameters.items():
                if p is not None:
                    module._parameters[name] = nn.Parameter(torch.empty(p.shape, dtype=p.dtype), p.requires_grad)
            for name, b in module._buffers.items():
                if b is not None:
                    module._buffers[name] = torch.empty(b.shape, dtype=b.dtype)
        yield mode
