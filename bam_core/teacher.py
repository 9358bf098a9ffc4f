"""An exponential moving average of the student that gives the targets.

Source: Tarvainen & Valpola, Mean Teacher, NeurIPS 2017, arXiv 1703.01780.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bam_core.errors import InputError


class EMATeacher(nn.Module):
    """A copy of a module whose parameters follow it: theta_t <- m theta_t + (1 - m) theta_s.

    Buffers, such as the statistics of batch normalisation, are the teacher's own: they follow from its own passes.

    Args:
        student: the module to copy; its parameters must be initialised.
        momentum: m in [0, 1], or a function of the optimiser step such as a `CosineSchedule`.

    Raises:
        InputError: a momentum outside [0, 1].

    Example:
        >>> student = nn.Linear(2, 2)
        >>> teacher = EMATeacher(student, momentum=0.9)
        >>> _ = student.weight.data.add_(1.0)
        >>> teacher.update(student)
        >>> bool(torch.allclose(teacher.module.weight, student.weight - 0.9))
        True
    """

    step: torch.Tensor

    def __init__(self, student: nn.Module, momentum: float | Callable[[int], float]) -> None:
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False)
        self.momentum = momentum
        self.steps = 0
        self.momentum_at(0)

    def momentum_at(self, step: int) -> float:
        """The momentum of an optimiser step."""
        value = self.momentum(step) if callable(self.momentum) else self.momentum
        if not 0 <= value <= 1:
            raise InputError(f"EMATeacher expected a momentum in [0, 1]; got {value} at step {step}.")
        return value

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Move towards the student; call once per optimiser step."""
        average = get_ema_multi_avg_fn(self.momentum_at(self.steps))
        average(list(self.module.parameters()), [p.detach() for p in student.parameters()], None)
        self.steps += 1

    def forward(self, *inputs: object) -> object:
        """The teacher's output, without gradient."""
        with torch.no_grad():
            return self.module(*inputs)

    def get_extra_state(self) -> dict[str, int]:
        """Number of updates so far, so that a momentum schedule continues where it stopped."""
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Restore the number of updates."""
        self.steps = state["steps"]
