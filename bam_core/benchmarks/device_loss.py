"""The loss in all its forms on a device, beside the three products that no form on all pairs can do without."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from bam_core.benchmarks.device_figures import Figure, Job, peak_mib, seconds_of
from bam_core.benchmarks.device_floor import PRECISIONS, tf32
from bam_core.loss import dispatch
from bam_core.loss.attention import unit_rows
from bam_core.loss.definition import bam_loss
from bam_core.loss.kernel_check import without_kernels

WIDTH = 256
_DENSE_MATRICES = 10


def losses(device: torch.device, small: bool) -> list[Job]:
    """Jobs for every size, the products and the forms."""
    on_gpu = device.type == "cuda"
    methods = ("dense", "stored", "streaming", *(("streaming without Triton",) if on_gpu else ()))
    jobs = []
    for rows in (128, 512) if small else (8192, 32_768, 65_536):
        for name in PRECISIONS if on_gpu else ("fp32",):
            jobs.append(_job(rows, f"three products, {name}", partial(_products, rows, name, device), device))
        for teacher in (False, True):
            for method in methods:
                what = f"BAM {method}{', teacher' * teacher}"
                jobs.append(_job(rows, what, partial(_bam, rows, method, teacher, device), device))
        jobs.append(_job(rows, "lightly NT-Xent", partial(_nt_xent, rows, device), device))
    return jobs


def _job(rows: int, name: str, make: Callable[[], Callable[[], object]], device: torch.device) -> Job:
    what = f"{name}, {rows:,} rows"

    def run() -> list[Figure]:
        step = make()
        peak = peak_mib(step, device)
        note = "" if peak is None else f"{peak:,.0f} MiB"
        return [Figure(what, 1e3 * seconds_of(step, device), "ms", note)]

    return Job(what, run)


def _rows(rows: int, device: torch.device) -> Tensor:
    return torch.randn(rows, WIDTH, device=device, generator=torch.Generator(device).manual_seed(0))


def _products(rows: int, precision: str, device: torch.device) -> Callable[[], object]:
    dtype, rounded = PRECISIONS[precision]
    z = unit_rows(_rows(rows, device)).to(dtype)
    slab = min(rows, (1 << 28) // rows)

    def run() -> None:
        total = torch.zeros_like(z)
        with tf32(rounded):
            for part in z.split(slab):
                scores = part @ z.T
                scores @ z
                total.addmm_(scores.T, part)

    return run


def _bam(rows: int, method: str, teacher: bool, device: torch.device) -> Callable[[], object]:
    free = dispatch.free_memory(device)
    if method == "dense" and free is not None and _DENSE_MATRICES * 4 * rows**2 > free:
        raise MemoryError(f"{_DENSE_MATRICES} matrices of scores do not fit into {free / 2**30:.0f} GiB")
    z = _rows(rows, device).requires_grad_()
    other = z.detach().flip(0).contiguous() if teacher else None
    form, _, in_torch = method.partition(" without ")

    def run() -> None:
        z.grad = None
        with without_kernels() if in_torch else nullcontext():
            bam_loss(z, other, method=form).loss.backward()  # type: ignore[arg-type]

    return run


def _nt_xent(rows: int, device: torch.device) -> Callable[[], object]:
    from lightly.loss import NTXentLoss

    free = dispatch.free_memory(device)
    if free is not None and _DENSE_MATRICES * 4 * rows**2 > free:
        raise MemoryError(f"its matrices of scores do not fit into {free / 2**30:.0f} GiB")
    z, loss = _rows(rows, device).requires_grad_(), NTXentLoss()

    def run() -> None:
        z.grad = None
        loss(*z.chunk(2)).backward()

    return run
