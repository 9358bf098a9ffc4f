"""The fast forms of the loss against the dense definition: value, diagnostics, gradients, memory, devices."""

import logging
import shutil
import subprocess
import sys
import weakref
from contextlib import nullcontext

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from loss_options import loss_options
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from bam_core import BAMLoss, InputError, bam_loss, positive_mask, sinkhorn
from bam_core.loss import blocks, dispatch, symmetric
from bam_core.loss.attention import unit_rows
from bam_core.loss.row_layout import check_layout, gather_columns
from bam_core.loss.streaming import blockwise_loss

FAST = ["stored", "streaming"]
CASES = [
    {},
    {"n_views": 4, "n_global": 2},
    {"n_views": 4, "n_global": 3, "n_target": 2, "top_k": 4},
    {"n_views": 1},
    {"mask_positives": False},
    {"iterations": 0},
    {"top_k": 3},
    {"epsilon": 0.005, "temperature": 0.01},
    {"positive_weight": 0.5},
    {"positive_weight": 0.3, "n_views": 4, "n_global": 3, "n_target": 2, "top_k": 4},
]


def rows(n, d=5, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def figures(student, teacher=None, **options):
    z = student.clone().requires_grad_()
    out = bam_loss(z, teacher, **options)
    out.loss.backward()
    return torch.stack([value.detach() for value in out]).double(), z.grad


def assert_same(student, teacher=None, *, method, rtol, gradient_rtol, **options):
    expected, expected_gradient = figures(student, teacher, method="dense", **options)
    values, gradient = figures(student, teacher, method=method, **options)
    assert torch.allclose(values[0], expected[0], rtol=rtol, atol=rtol / 100)
    assert torch.allclose(values, expected, rtol=10 * rtol, atol=10 * rtol)
    assert (gradient - expected_gradient).norm() <= gradient_rtol * (expected_gradient.norm() + 1e-4)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few samples, so that small batches have many of them and a last partial one."""
    monkeypatch.setattr(blocks, "_MOST_ROWS", 6)
    monkeypatch.setitem(blocks._TILE_ELEMENTS, "cpu", 20)
    monkeypatch.setitem(symmetric._TILE_ROWS, "cpu", 6)
    monkeypatch.setattr(dispatch, "_STREAMING_ROOM", 500)


@st.composite
def problems(draw):
    options = draw(loss_options([0.001, 0.05, 0.3], [None, None, 2, 100])) | {"method": draw(st.sampled_from(FAST))}
    return options["n_views"] * draw(st.integers(2, 11)), options, draw(st.booleans()), draw(st.integers(0, 99))


def top_k_is_a_toss(rows, *, n_views, n_global, n_target, epsilon, iterations, top_k, mask_positives, **_):
    """Whether the k-th and the next entry of a sample's target are equal to rounding, so that either may be kept."""
    samples = torch.arange(len(rows) // n_views).repeat(n_views)
    columns = samples[: n_target * len(rows) // n_views]
    unit = unit_rows(rows)
    mask = positive_mask(samples, columns) if mask_positives else None
    plan = sinkhorn(unit @ unit[: len(columns)].T, epsilon=epsilon, iterations=iterations, mask=mask).plan
    shown = plan[: n_global * len(rows) // n_views].view(n_global, -1, len(columns)).mean(0)
    ordered = shown.sort(descending=True).values
    if top_k is None or top_k >= len(columns):
        return False
    last, first_out = ordered[:, top_k - 1], ordered[:, top_k]
    return bool((last - first_out <= 1e-9 * last).any())


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problems())
def test_equals_the_dense_form(small_blocks, problem):
    n, options, with_teacher, seed = problem
    teacher = rows(n, seed=seed + 100) if with_teacher else None
    assume(not top_k_is_a_toss(rows(n, seed=seed) if teacher is None else teacher, **options))
    assert_same(rows(n, seed=seed), teacher, rtol=1e-10, gradient_rtol=1e-9, **options)


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("with_teacher", [False, True])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_equals_the_dense_form_in_float32(options, with_teacher, method):
    """With blocks as they are; 1,212 rows make several, the last of them partial."""
    student, teacher = rows(1212, 32, dtype=torch.float32), rows(1212, 32, seed=1, dtype=torch.float32)
    sharp = 5 if "epsilon" in options else 1  # scores / 0.005 have five digits left in float32, whatever the form
    assert_same(
        student, teacher if with_teacher else None, method=method, rtol=sharp * 1e-6, gradient_rtol=1e-5, **options
    )


def two_poles(n, dtype):
    """Rows around two opposite points: the scores reach both ends of [-1, 1]."""
    pole = torch.zeros(8, dtype=dtype)
    pole[0] = 1
    return torch.where(torch.arange(n)[:, None] % 2 == 0, pole, -pole) + 1e-3 * rows(n, 8, dtype=dtype)


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("with_teacher", [False, True])
@pytest.mark.parametrize(("epsilon", "temperature"), [(0.005, 0.01), (0.025, 0.05), (0.025, 0.1), (0.005, 0.1)])
def test_sharp_targets_between_opposite_poles(epsilon, temperature, with_teacher, method):
    """float32 against float64: nothing under- or overflows on either side of the linear form's limit."""
    student, teacher = two_poles(64, torch.float32), two_poles(64, torch.float32).flip(1) if with_teacher else None
    options = {"epsilon": epsilon, "temperature": temperature, "iterations": 10}
    expected, expected_gradient = figures(
        student.double(), None if teacher is None else teacher.double(), method="dense", **options
    )
    values, gradient = figures(student, teacher, method=method, **options)
    assert torch.allclose(values[:4], expected[:4], rtol=1e-4, atol=1e-4)
    assert gradient.isfinite().all()
    dense_error = (figures(student, teacher, method="dense", **options)[1] - expected_gradient).norm()
    assert (gradient - expected_gradient).norm() <= 3 * dense_error + 1e-5 * expected_gradient.norm()


@pytest.mark.parametrize("positive_weight", [0.0, 0.3])
def test_the_symmetric_form_and_the_general_one_agree(small_blocks, positive_weight):
    z = unit_rows(rows(26))
    options = {"temperature": 0.1, "epsilon": 0.05, "iterations": 3, "mask_positives": True, "room": 0}
    options["positive_weight"] = positive_weight
    layout = check_layout(26, n_views=2, n_global=None, n_target=None, mask_positives=True)
    half = symmetric.symmetric_loss(z, layout, **options)
    whole = blockwise_loss(z, gather_columns(z, layout), None, layout, top_k=None, **options)
    assert torch.allclose(torch.stack(half[:4]), torch.stack(whole[:4]))
    assert torch.allclose(half.row_grad, whole.row_grad + whole.column_grad)


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(method, dtype):
    z = rows(64, d=32, dtype=torch.float32)
    expected = bam_loss(z, method="dense").loss
    with torch.autocast("cpu", dtype=dtype):
        out = bam_loss(z.requires_grad_(), method=method)
    out.loss.backward()
    assert out.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert z.grad.dtype == torch.float32
    half = z.detach().to(dtype).requires_grad_()
    out = bam_loss(half, method=method)
    out.loss.backward()
    assert out.loss.dtype == torch.float32
    assert half.grad.dtype == dtype
    assert out.loss.item() == pytest.approx(bam_loss(half.detach(), method="dense").loss.item(), rel=1e-6)


@pytest.mark.parametrize("method", FAST)
def test_backward_twice_and_scaled(method):
    z = rows(12).requires_grad_()
    loss = bam_loss(z, method=method).loss
    loss.backward(retain_graph=True)
    once = z.grad.clone()
    (3 * loss).backward()
    assert torch.allclose(z.grad, 4 * once)


@pytest.mark.parametrize("method", FAST)
def test_without_gradients(method):
    with torch.no_grad():
        out = bam_loss(rows(12), method=method)
    assert not out.loss.requires_grad
    assert out.loss.item() == pytest.approx(bam_loss(rows(12), method="dense").loss.item())


@pytest.mark.parametrize("method", FAST)
def test_gradients_of_gradients_are_an_error(method):
    z = rows(12).requires_grad_()
    (gradient,) = torch.autograd.grad(bam_loss(z, method=method).loss, z, create_graph=True)
    with pytest.raises(InputError, match='Pass method="dense"'):
        gradient.square().sum().backward()
    (gradient,) = torch.autograd.grad(bam_loss(z, method="dense").loss, z, create_graph=True)
    gradient.square().sum().backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("method", FAST)
def test_wrong_iterations(method):
    with pytest.raises(InputError, match="iterations >= 0; got -1"):
        bam_loss(rows(8), iterations=-1, method=method)


def test_wrong_method():
    layout = check_layout(8, n_views=2, n_global=None, n_target=None, mask_positives=True)
    with pytest.raises(InputError, match="one of auto, dense, stored, streaming; got 'fast'"):
        dispatch.choose_method("fast", layout, rows(8))


def test_the_module_takes_a_method():
    module = BAMLoss(method="streaming")
    assert module(rows(12)).loss == bam_loss(rows(12), method="streaming").loss
    assert "method=streaming" in repr(module)


@pytest.fixture
def fresh_choices():
    dispatch._choose_once.cache_clear()
    yield
    dispatch._choose_once.cache_clear()


@pytest.mark.usefixtures("fresh_choices")
@pytest.mark.parametrize(
    ("n", "free", "expected"),
    [
        (64, None, "dense"),
        (64, 0, "dense"),
        (512, None, "stored"),
        (512, 1 << 30, "stored"),
        (512, 9, "streaming"),
    ],
)
def test_auto_goes_by_size_and_free_memory(monkeypatch, n, free, expected):
    monkeypatch.setattr(dispatch, "free_memory", lambda device: free)
    layout = check_layout(n, n_views=2, n_global=None, n_target=None, mask_positives=True)
    assert dispatch.choose_method("auto", layout, rows(n)) == expected


@pytest.mark.usefixtures("fresh_choices")
def test_the_choice_is_logged_once(caplog):
    with caplog.at_level(logging.INFO, logger="bam_core"):
        for _ in range(3):
            bam_loss(rows(12))
        bam_loss(rows(16))
        bam_loss(rows(16), method="stored")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert "12 x 12 scores" in messages[0]
    assert "method dense, chosen by size and free memory" in messages[0]
    assert messages[2].endswith("method stored")


def test_free_memory_is_told_or_not():
    free = dispatch.free_memory(torch.device("cpu"))
    assert free is None or free > 0
    assert dispatch.free_memory(torch.device("meta")) is None


class PeakMemory(TorchDispatchMode):
    """Highest number of bytes in tensors that operations returned and that were alive together."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.storages = set()

    def release(self, key, n_bytes):
        self.live -= n_bytes
        self.storages.discard(key)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.storages:
                    self.storages.add(storage._cdata)
                    self.live += storage.nbytes()
                    weakref.finalize(storage, self.release, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return out


@pytest.mark.slow
@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize(
    ("options", "with_teacher"), [({}, False), ({}, True), ({"epsilon": 0.005}, False), ({"top_k": 8}, True)], ids=str
)
def test_memory(options, with_teacher, method):
    n, d = 8192, 4
    z, teacher = rows(n, d, dtype=torch.float32), rows(n, d, seed=1, dtype=torch.float32) if with_teacher else None
    with PeakMemory() as memory:
        bam_loss(z.requires_grad_(), teacher, method=method, **options).loss.backward()
    score_bytes = 4 * n * n
    if method == "streaming":
        assert memory.peak <= (64 << 20) + 20 * 4 * n * d
    else:
        assert 0.5 * score_bytes < memory.peak <= 1.2 * score_bytes  # the meter does see the scores


DEVICE_CASES = [*CASES, {"n_views": 8, "n_global": 2, "top_k": 4}]


@pytest.mark.parametrize("method", ["auto", "dense", *FAST])
@pytest.mark.parametrize("with_teacher", [False, True])
@pytest.mark.parametrize("options", DEVICE_CASES, ids=str)
def test_no_synchronisation_and_no_other_device(options, with_teacher, method):
    """Fake tensors have no values, so whatever would wait for a GPU's numbers, or mix devices, is an error.

    The fast forms compute their gradients here too; autograd's own backward pass needs a real CUDA context.
    """
    with FakeTensorMode():
        student = torch.randn(48, 16, device="cuda", requires_grad=True)
        teacher = torch.randn(48, 16, device="cuda") if with_teacher else None
        out = bam_loss(student, teacher, method=method, **options)
    assert {value.device.type for value in out} == {"cuda"}


@pytest.mark.parametrize("method", ["auto", "dense", *FAST])
@pytest.mark.parametrize("with_teacher", [False, True])
@pytest.mark.parametrize("options", DEVICE_CASES, ids=str)
def test_no_synchronisation_in_the_backward_pass(monkeypatch, options, with_teacher, method):
    """The same with the backward pass, on the meta device, which has no autocast."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    student = torch.randn(48, 16, device="meta", requires_grad=True)
    teacher = torch.randn(48, 16, device="meta") if with_teacher else None
    bam_loss(student, teacher, method=method, **options).loss.backward()
    assert student.grad.device.type == "meta"


def test_fake_tensors_notice_synchronisation():
    with FakeTensorMode(), pytest.raises(Exception, match="_local_scalar_dense"):
        float(torch.ones((), device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", ["dense", *FAST])
@pytest.mark.parametrize("with_teacher", [False, True])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_on_a_gpu(options, with_teacher, method):
    student, teacher = rows(1200, 32), rows(1200, 32, seed=1) if with_teacher else None
    expected, expected_gradient = figures(student, teacher, method="dense", **options)
    on_gpu = None if teacher is None else teacher.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        z = student.cuda().requires_grad_()
        out = bam_loss(z, on_gpu, method=method, **options)
        out.loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.allclose(torch.stack([value.detach() for value in out]).cpu(), expected, rtol=1e-9)
    assert torch.allclose(z.grad.cpu(), expected_gradient, rtol=1e-8, atol=1e-12)


COMPILED = """
import torch
from bam_core import bam_loss

def figures(function, z, teacher, **options):
    out = function(z, teacher, **options)
    return torch.stack([value.detach() for value in out]), torch.autograd.grad(out.loss, z)[0]

torch.manual_seed(0)
z, teacher = torch.randn(24, 5, dtype=torch.float64, requires_grad=True), torch.randn(24, 5, dtype=torch.float64)
cases = [("dense", "aot_eager", t, o) for o in ({}, {"n_views": 4, "n_global": 2, "top_k": 4}) for t in (None, teacher)]
cases += [(method, "aot_eager", None, {}) for method in ("auto", "stored", "streaming")]
cases += [("dense", "inductor", None, {})] * HAS_COMPILER
for method, backend, t, options in cases:
    torch._dynamo.reset()
    compiled = torch.compile(bam_loss, fullgraph=method in ("auto", "dense"), backend=backend)
    expected = figures(bam_loss, z, t, method="dense", **options)
    for got, wanted in zip(figures(compiled, z, t, method=method, **options), expected, strict=True):
        torch.testing.assert_close(got, wanted)
"""


@pytest.mark.slow
def test_compiles():
    """The dense form as one graph, the fast ones left out of the graph; in a process without run-time type checks."""
    code = COMPILED.replace("HAS_COMPILER", str(shutil.which("g++") is not None))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
