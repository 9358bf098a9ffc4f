"""my_objective keeps the promises of its protocol."""

from pathlib import Path

import torch
from bam_core.config.registry import load_objective
from bam_core.testing import check_objective
from torch import nn

MAKE = load_objective(f"{Path(__file__).with_name('my_objective.py')}:make_my_objective")


def test_it_keeps_its_promises() -> None:
    """Every rule of bam_core.protocols.Objective."""
    check_objective(MAKE, width=8)


def test_equal_views_are_aligned() -> None:
    """Views that do not differ have nothing to learn but to spread."""
    objective = MAKE(nn.Linear(4, 4), lambda batch: [batch, batch], total_steps=1)
    out = objective(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    assert out.alignment < 1e-6
    assert out.uniformity < 0
