"""Values that change over training, as pure functions of the step or of the part of the run that is over; no state.

Source: Loshchilov & Hutter, SGDR, ICLR 2017, arXiv 1608.03983 (one cosine, no restarts).
"""

import math
from dataclasses import dataclass

from bam_core.errors import InputError


@dataclass(frozen=True)
class CosineSchedule:
    """Half a cosine from `start` at step 0 to `end` at step `total_steps`, constant afterwards.

    Args:
        start: value at step 0.
        end: value from step `total_steps` on.
        total_steps: length in optimiser steps, >= 1.

    Raises:
        InputError: `total_steps` < 1.

    Example:
        >>> momentum = CosineSchedule(0.995, 1.0, total_steps=100)
        >>> momentum(0), round(momentum(50), 4), momentum(100)
        (0.995, 0.9975, 1.0)
    """

    start: float
    end: float
    total_steps: int

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise InputError(f"CosineSchedule expected total_steps >= 1; got {self.total_steps}.")

    def __call__(self, step: int) -> float:
        """Value at an optimiser step."""
        progress = min(max(step / self.total_steps, 0.0), 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class WarmupCosineSchedule:
    """Linear from `start` to `peak` over the warm-up, then half a cosine to `end`.

    Args:
        peak: value at step `warmup_steps`.
        end: value at step `total_steps` and after.
        warmup_steps: length of the linear part, 0 <= warmup_steps < total_steps.
        total_steps: length of the whole, in optimiser steps.
        start: value at step 0 when there is a warm-up.

    Raises:
        InputError: the warm-up does not fit into the whole.

    Example:
        >>> lr = WarmupCosineSchedule(peak=1.0, end=0.0, warmup_steps=10, total_steps=110)
        >>> lr(0), lr(5), lr(10), lr(60), lr(110)
        (0.0, 0.5, 1.0, 0.5, 0.0)
    """

    peak: float
    end: float
    warmup_steps: int
    total_steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_steps < self.total_steps:
            raise InputError(
                "WarmupCosineSchedule expected 0 <= warmup_steps < total_steps; got "
                f"warmup_steps={self.warmup_steps}, total_steps={self.total_steps}."
            )

    def __call__(self, step: int) -> float:
        """Value at an optimiser step."""
        if step < self.warmup_steps:
            return self.start + (self.peak - self.start) * step / self.warmup_steps
        cosine = CosineSchedule(self.peak, self.end, self.total_steps - self.warmup_steps)
        return cosine(step - self.warmup_steps)


@dataclass(frozen=True)
class Ramp:
    """A line from `start` to `end` over the first part of a run, constant afterwards.

    Args:
        start: value at the start of the run.
        end: value from `over` on.
        over: part of the run, in (0, 1].

    Raises:
        InputError: `over` out of range.

    Example:
        >>> weight = Ramp(0.0, 1.0, over=0.2)
        >>> weight(0.0), weight(0.1), weight(0.5)
        (0.0, 0.5, 1.0)
    """

    start: float
    end: float
    over: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.over <= 1:
            raise InputError(f"Ramp expected `over`, a part of the run, in (0, 1]; got {self.over}.")

    def __call__(self, fraction: float) -> float:
        """Value when so much of the run is over."""
        return self.start + (self.end - self.start) * min(fraction / self.over, 1.0)
