"""Losses, diagnostics and state-dict keys of every objective are those that were written down before it was of terms.

The fixture was written with version 0.1 as it was then, by `run` below; weights, batches and views are closed forms, so
that no random generator has a say.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bam_core import Views
from bam_core.config.registry import load_objective

BEFORE = json.loads((Path(__file__).parents[1] / "fixtures" / "objectives" / "version_0_1.json").read_text())
SMALL = {"projector_hidden": 16, "projector_out": 8}
CASES = {
    "bam": ("bam", SMALL),
    "bam, the paper's, with a teacher": ("bam", {**SMALL, "positive_weight": 0.0, "epsilon": 0.05, "momentum": 0.9}),
    "bam, top k, one target view": ("bam", {**SMALL, "top_k": 4, "n_target": 1, "momentum": 0.9}),
    "bam, positives not masked": ("bam", {**SMALL, "mask_positives": False, "projector_standardize": False}),
    "bam, in micro-batches": ("bam", {**SMALL, "micro_batch": 5, "momentum": 0.9}),
    "simclr": ("simclr", {**SMALL, "temperature": 0.2}),
    "vicreg": ("vicreg", SMALL),
    "barlow_twins": ("barlow_twins", SMALL),
    "byol": ("byol", {**SMALL, "momentum": 0.9}),
    "dino": ("dino", {**SMALL, "n_prototypes": 12, "momentum": 0.9}),
    "swav": ("swav", {**SMALL, "n_prototypes": 12}),
}


class Encoder(nn.Module):
    """(b, 3, t) -> (b, 6) for any t."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 10), nn.GELU(), nn.Linear(10, 6))

    def forward(self, x):
        return self.layers(x.mean(-1))


def views(batch):
    return Views([batch, (2 * batch).sin()], [batch[..., :5].cos(), batch[..., 2:6] + 0.3])


def wave(*shape, speed):
    numbers = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return (speed * numbers).sin().reshape(shape)


def run(name, options):
    """Four steps of plain gradient descent in float64."""
    encoder = Encoder()
    with torch.no_grad():
        for k, parameter in enumerate(encoder.parameters()):
            parameter.copy_(wave(*parameter.shape, speed=0.3 + 0.01 * k))
    objective = load_objective(name)(encoder, views, total_steps=4, **options).double()
    objective.initialize(wave(12, 3, 8, speed=0.7))
    with torch.no_grad():
        for k, (key, parameter) in enumerate((n, p) for n, p in objective.named_parameters() if p.requires_grad):
            scale = 2 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.1
            centre = float(parameter.ndim == 1 and key.endswith("weight"))  # of batch normalisation
            parameter.copy_(centre + scale * wave(*parameter.shape, speed=1.1 + 0.01 * k))
        if objective.teacher is not None:
            for own, theirs in zip(objective.teacher.parameters(), objective.student.parameters(), strict=True):
                own.copy_(theirs)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1e-2)
    steps = []
    for step in range(4):
        out = objective(3 * wave(12, 3, 8, speed=1.3 + step).cumsum(-1))
        out.loss.backward()
        scalars = {k: v.item() for k, v in out._asdict().items() if isinstance(v, torch.Tensor) and v.ndim == 0}
        gradients = [p.grad.norm() for p in objective.parameters() if p.grad is not None]
        steps.append({**scalars, "gradient": torch.stack(gradients).norm().item(),
                      "embeddings": out.embeddings.norm().item(), "rows": len(out.embeddings)})  # fmt: skip
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
    keys = {k: list(v.shape) if isinstance(v, torch.Tensor) else None for k, v in objective.state_dict().items()}
    return {"steps": steps, "keys": keys, "trained": [list(p.shape) for p in objective.parameters() if p.requires_grad]}


@pytest.mark.parametrize("case", CASES)
def test_numbers_and_keys(case):
    got, before = run(*CASES[case]), BEFORE[case]
    assert got["trained"] == before["trained"], "an optimiser's state names parameters by their place"
    for now, then in zip(got["steps"], before["steps"], strict=True):
        assert now == pytest.approx(then, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_a_state_dict_of_before_is_loaded(case):
    """All of its keys have a place, also those of what is a term's by now, such as BYOL's predictor."""
    name, options = CASES[case]
    objective = load_objective(name)(Encoder(), views, total_steps=4, **options)
    state = {k: {"steps": 3} if s is None else torch.full(s, 0.25) for k, s in BEFORE[case]["keys"].items()}
    objective.load_state_dict(state)
    assert all((p == 0.25).all() for p in objective.parameters())
    assert options.get("momentum") is None or objective.teacher.steps == 3
