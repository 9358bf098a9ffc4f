"""What `bam bench device` measures: figures, the jobs that make them, and time on a device."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

_MOST, _SECONDS = 10, 1.0


class Figure(NamedTuple):
    """A number that was measured: what, how much, in which unit, and what else is to be said."""

    what: str
    value: float
    unit: str
    note: str = ""


class Job(NamedTuple):
    """Something to measure, and what it is called."""

    what: str
    run: Callable[[], list[Figure]]


def seconds_of(function: Callable[[], object], device: torch.device) -> float:
    """Median of up to ten calls within a second, after one that warms up; the device has finished every time."""
    times: list[float] = []
    function()
    _finish(device)
    while len(times) < _MOST and (not times or sum(times) < _SECONDS):
        start = time.perf_counter()
        function()
        _finish(device)
        times.append(time.perf_counter() - start)
    return median(times)


def peak_mib(function: Callable[[], object], device: torch.device) -> float | None:
    """Most memory of a GPU that a call holds above what was held before, in MiB; None elsewhere."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    function()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
