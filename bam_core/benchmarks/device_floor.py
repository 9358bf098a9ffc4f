"""What no step can do without: large products, copies and exponentials."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bam_core.benchmarks.device_figures import Figure, Job, seconds_of

PRECISIONS = {
    "fp32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "bf16": (torch.bfloat16, False),
    "fp16": (torch.float16, False),
}


@contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Let products in float32 be rounded to TF32, or not; afterwards it is as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def floor(device: torch.device, small: bool) -> list[Job]:
    """Jobs for products in every precision, a copy, and exponentials."""
    n = 256 if small else 8192

    def product(name: str) -> list[Figure]:
        dtype, rounded = PRECISIONS[name]
        a = torch.randn(n, n, device=device).to(dtype)
        with tf32(rounded):
            seconds = seconds_of(lambda: a @ a, device)
        return [Figure(f"{n} x {n} x {n} product, {name}", 2 * n**3 / seconds / 1e12, "TFLOP/s")]

    def copy() -> list[Figure]:
        a = torch.empty(4 * n * n, device=device)
        b = torch.empty_like(a)
        return [Figure("copy", 2 * a.nbytes / seconds_of(lambda: b.copy_(a), device) / 1e9, "GB/s", "read and written")]

    def exponentials() -> list[Figure]:
        a = torch.zeros(4 * n * n, device=device)
        seconds = seconds_of(lambda: torch.exp(a, out=a), device)
        return [Figure("exponentials, float32 in place", 1e12 * seconds / len(a), "ps each", "memory included")]

    names = [name for name in PRECISIONS if device.type == "cuda" or name == "fp32"]
    return [
        *(Job(f"product {name}", lambda name=name: product(name)) for name in names),  # type: ignore[misc]
        Job("copy", copy),
        Job("exponentials", exponentials),
    ]
