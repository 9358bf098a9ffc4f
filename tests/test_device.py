"""The whole objective on a device: nothing waits for it, nothing is left on another.

Fake tensors have no values, so whatever waits for a GPU's numbers, or mixes devices, is an error without any GPU.
Autograd's backward pass needs a real CUDA context: the loss alone is taken through it on the meta device in
tests/loss/test_streaming.py, and all of it here when there is a GPU.
"""

import pytest
import torch
from torch import nn

from bam_core import BAMObjective, Views
from bam_core.loss import dispatch
from bam_core.testing import fake_cuda

METHODS = ["dense", "stored", "streaming"]


def three_views(batch, generator=None):
    return apart(batch, 0.1 * torch.randn((3, *batch.shape), generator=generator, device=batch.device))


class Pooled(nn.Module):
    """(b, c, t) of any length -> (b, 8)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x).mean(-1)


def apart(batch, noise):
    first, second, third = batch + noise.to(batch.dtype)
    return Views([first, second], [third[:, :, :20]])


def made(momentum, top_k):
    objective = BAMObjective(Pooled(), three_views, momentum=momentum, top_k=top_k)
    objective.initialize(torch.randn(32, 2, 40))
    return objective


@pytest.fixture(params=METHODS)
def method(request, monkeypatch):
    """Let "auto" choose this form, as large batches on small memory would."""
    asked = []
    monkeypatch.setattr(dispatch, "_by_size", lambda score_bytes, free: asked.append(score_bytes) or request.param)
    dispatch._choose_once.cache_clear()
    yield request.param
    assert asked
    dispatch._choose_once.cache_clear()


@pytest.mark.parametrize("momentum", [None, 0.9])
@pytest.mark.parametrize("top_k", [None, 4])
def test_a_step_waits_for_no_gpu(method, momentum, top_k):
    model = made(momentum, top_k)
    with fake_cuda(model):
        out = model(torch.empty(32, 2, 40), generator=None)
        model.update_teacher()
    assert {value.device.type for value in out} == {"cuda"}
    assert out.loss.requires_grad


def test_waiting_for_the_gpu_is_noticed():
    """A view function that looks at a value."""
    model = BAMObjective(Pooled(), lambda x: [x * float(x.std()), x])
    model.initialize(torch.randn(8, 2, 40))
    with fake_cuda(model), pytest.raises(Exception, match="_local_scalar_dense"):
        model(torch.empty(8, 2, 40))


def test_a_mix_of_devices_is_noticed():
    model = BAMObjective(Pooled(), lambda x: [x + torch.zeros(40, device="cpu"), x])
    model.initialize(torch.randn(8, 2, 40))
    with fake_cuda(model), pytest.raises(Exception, match="device"):
        model(torch.empty(8, 2, 40))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("momentum", [None, 0.9])
@pytest.mark.parametrize("top_k", [None, 4])
def test_a_step_on_a_gpu_is_that_on_the_cpu(method, momentum, top_k):
    x = torch.randn(32, 2, 40)
    noise = 0.1 * torch.randn(3, *x.shape)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        noise_there = {"cpu": noise, device: noise.to(device)}
        model = BAMObjective(
            Pooled(), lambda z, n=noise_there: apart(z, n[z.device.type]), momentum=momentum, top_k=top_k
        )
        model.initialize(x)
        model.to(device, torch.float64)
        batch = x.to(device, torch.float64)
        torch.cuda.set_sync_debug_mode("error" if device == "cuda" else "default")
        try:
            out = model(batch)
            out.loss.backward()
            model.update_teacher()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        gradient = torch.cat([p.grad.flatten() for p in model.student.parameters()])
        results.append((out.loss.detach().cpu(), gradient.cpu()))
    (loss, gradient), (loss_on_gpu, gradient_on_gpu) = results
    assert torch.allclose(loss_on_gpu, loss, rtol=1e-9)
    assert (gradient_on_gpu - gradient).norm() <= 1e-8 * gradient.norm()
