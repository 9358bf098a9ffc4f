"""Times with their spread, and whether other processes disturbed them."""

import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_DISTURBED = 0.05
_PAUSE = 0.5  # seconds until the next attempt
_TICK = 1e-3  # processor time comes in steps of about this many seconds


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}-{self.high:{spec}})"


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of some values.

    Example:
        >>> f"{spread([3.0, 1.0, 2.0]):.1f}"
        '2.0 (1.5-2.5)'
    """
    if len(values) == 1:
        return Spread(*values, *values, *values)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


class Timing(NamedTuple):
    """How long something took, and how much others disturbed it.

    Attributes:
        seconds: of wall time.
        processor_seconds: of all threads, with their waiting for each other; on one thread, others hardly change it.
        others: share of all processors' time that went to other processes meanwhile; 0 where that cannot be told.
    """

    seconds: float
    processor_seconds: float
    others: float

    @property
    def disturbed(self) -> bool:
        """Whether other processes took more than a twentieth of the machine."""
        return self.others > _DISTURBED


def measure(function: Callable[[], object], *, patience: float = 0.0) -> Timing:
    """Time a call; if other processes disturbed it, try again.

    Args:
        function: what to time.
        patience: seconds after which no further attempt is begun.

    Returns:
        The first timing that was not disturbed, or else the least disturbed one.
    """
    end = time.perf_counter() + patience
    best = _time(function)
    while best.disturbed and time.perf_counter() < end:
        time.sleep(_PAUSE)
        best = min(best, _time(function), key=lambda timing: timing.others)
    return best


def _time(function: Callable[[], object]) -> Timing:
    start, own, busy = time.perf_counter(), _own_seconds(), _busy_seconds()
    function()
    seconds = time.perf_counter() - start
    used = _own_seconds() - own
    others = max(_busy_seconds() - busy - used, 0.0)
    return Timing(seconds, max(used, _TICK), others / (seconds * (os.cpu_count() or 1)))


def _own_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # those that have ended
    return time.process_time() + children.ru_utime + children.ru_stime


def _busy_seconds() -> float:
    """Processor time that all processes of the machine have used, those of other machines on it included."""
    try:
        with Path("/proc/stat").open() as file:
            user, nice, system, _, _, *others = (int(x) for x in file.readline().split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
