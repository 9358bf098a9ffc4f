"""Every rule of `check_objective` can be broken, and is then named: the skeleton of `bam new objective`, spoilt."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

import bam_core.cli
from bam_core import ContractError, EMATeacher
from bam_core.config.registry import load_objective
from bam_core.objective import Objective
from bam_core.projector import Projector
from bam_core.testing import check_objective

SKELETON = Path(bam_core.cli.__file__).parent / "templates" / "my_objective.py"
Loss = load_objective(f"{SKELETON}:MyObjective")
make_good = load_objective(f"{SKELETON}:make_my_objective")


class Good(Objective):
    """The skeleton's objective as a class, for methods to be replaced."""

    def __init__(self, encoder, view_fn, *, weight, width):
        projector = Projector(hidden_features=2 * width, out_features=width)
        super().__init__(encoder, view_fn, {"loss": Loss(weight=weight)}, projector=projector)


def spoilt(**methods):
    """A factory of the skeleton's class with other methods."""
    cls = type("Spoilt", (Good,), methods)

    def make(encoder: nn.Module, view_fn: object, *, total_steps: int):
        return cls(encoder, view_fn, weight=1.0, width=8)

    return make


def changed(**fields):
    """A factory whose output has other fields."""

    def forward(self, batch, *, generator=None):
        out = Good.forward(self, batch, generator=generator)
        return out._replace(**{name: change(out) for name, change in fields.items()})

    return spoilt(forward=forward)


class Lonely(NamedTuple):
    loss: torch.Tensor


def open_options(encoder: nn.Module, view_fn: object, *, total_steps: int, **options: int):
    return make_good(encoder, view_fn, total_steps=total_steps)


def no_steps(encoder: nn.Module, view_fn: object, *, weight: float = 1.0):
    return make_good(encoder, view_fn, total_steps=1)


def no_default(encoder: nn.Module, view_fn: object, *, total_steps: int, weight: float):
    return make_good(encoder, view_fn, total_steps=1)


def no_module(encoder: nn.Module, view_fn: object, *, total_steps: int):
    return {}


def no_embed(encoder: nn.Module, view_fn: object, *, total_steps: int):
    return nn.Linear(2, 2)


def learns_statistics(self, batch):
    self.projector(self.encoder(batch))


def again(self, batch):
    Good.initialize(self, batch)
    with torch.no_grad():
        next(self.projector.parameters()).mul_(0.9)


def late(self, batch, *, generator=None):
    if not hasattr(self, "extra"):
        self.extra = nn.Linear(2, 2)
    return Good.forward(self, batch, generator=generator)


def idle(self, batch):
    Good.initialize(self, batch)
    if not hasattr(self, "extra"):
        self.extra = nn.Linear(2, 2)


def joined(self, batch, *, generator=None):
    return Good.forward(self, batch, generator=generator if isinstance(generator, torch.Generator) else generator[0])


def sees_no_generator(self, batch, *, generator=None):
    n = 1 if isinstance(generator, torch.Generator) else len(generator)
    return Good.forward(self, batch, generator=[torch.Generator().manual_seed(k) for k in range(n)])


def moves_by_itself(self):
    with torch.no_grad():
        next(self.encoder.parameters()).mul_(0.9)


def in_training_mode(self, batch, *, teacher=False):
    return self.encoder(self.view_fn.untouched(batch)).detach()


def stays_in_evaluation(self, batch, *, teacher=False):
    out = Good.embed(self, batch)
    self.eval()
    return out


def counts(self, batch, *, generator=None):
    self.calls = getattr(self, "calls", 0) + 1
    out = Good.forward(self, batch, generator=generator)
    return out._replace(loss=out.loss * self.calls)


def takes_one(self, batch, *, generator=None):
    if len(batch) < 2:
        batch = batch.expand(2, -1, -1)
    return Good.forward(self, batch, generator=generator)


def with_teacher(update, trainable=False):
    """A factory with a teacher that is moved in this way."""

    class Taught(Good):
        def __init__(self, encoder, view_fn, **options):
            super().__init__(encoder, view_fn, **options)
            self.teacher = EMATeacher(nn.ModuleDict({"encoder": encoder}), 0.5)
            self.teacher.requires_grad_(trainable)

        def forward(self, batch, *, generator=None):
            if update == "forward":
                self.teacher.update(nn.ModuleDict({"encoder": self.encoder}))
            return super().forward(batch, generator=generator)

        def update_teacher(self):
            if update == "step":
                self.teacher.update(nn.ModuleDict({"encoder": self.encoder}))

        def embed(self, batch, *, teacher=False):
            return super().embed(batch)

    def make(encoder: nn.Module, view_fn: object, *, total_steps: int):
        return Taught(encoder, view_fn, weight=1.0, width=8)

    return make


def micro(encoder: nn.Module, view_fn: object, *, total_steps: int, micro_batch: int | None = None):
    return Good(encoder, view_fn, weight=1.0 if micro_batch is None else 1.1, width=8)


BROKEN = [
    (open_options, r"keyword-only.*\*\*options: int can be given by position, or is open"),
    (no_steps, "no keyword `total_steps`"),
    (no_default, "weight: float has no default"),
    (no_module, "returns a module.*a dict"),
    (no_embed, "returns a module.*no encoder, initialize, update_teacher, embed"),
    (spoilt(initialize=learns_statistics), "changes neither the encoder.*running_mean"),
    (spoilt(initialize=again), "when called again"),
    (spoilt(initialize=lambda self, batch: None), "still without a shape"),
    (spoilt(forward=late), "no call makes parameters.*extra"),
    (spoilt(forward=lambda self, batch, *, generator=None: torch.zeros(())), "a NamedTuple.*a Tensor"),
    (spoilt(forward=lambda self, batch, *, generator=None: Lonely(torch.zeros(()))), "the fields loss"),
    (changed(loss=lambda out: out.loss.detach()), "a finite number to differentiate"),
    (changed(loss=lambda out: out.loss * torch.nan), "a finite number to differentiate.*nan"),
    (changed(alignment=lambda out: out.loss), "alignment hold on to the graph"),
    (changed(embeddings=lambda out: out.embeddings[:5]), r"embeddings of shape \(5, 8\), not \(64, 8\)"),
    (spoilt(initialize=idle), "which DDP waits for.*none for extra"),
    (changed(loss=lambda out: 0 * out.loss), "zero for the whole encoder"),
    (spoilt(forward=sees_no_generator), "for both seeds"),
    (spoilt(forward=joined), "divide the batch into parts"),
    (spoilt(update_teacher=moves_by_itself), "no attribute `teacher`"),
    (with_teacher("forward"), "moved before update_teacher"),
    (with_teacher("never"), "it did not move"),
    (with_teacher("step", trainable=True), "DDP waits for.*none for teacher|trainable parameters"),
    (spoilt(embed=in_training_mode), "in evaluation mode.*other vectors"),
    (spoilt(embed=stays_in_evaluation), "in the mode it was in"),
    (spoilt(forward=counts), "holds all that training depends on.*instead of"),
    (spoilt(forward=takes_one), "one sample, which is nothing to compare with"),
    (micro, "with `micro_batch`, loss and gradient.*instead of"),
]


def test_the_skeleton_is_good():
    check_objective(make_good, width=8)


def test_a_teacher_is_good():
    check_objective(with_teacher("step"))


@pytest.mark.parametrize(("factory", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_rule_is_named(factory, message):
    with pytest.raises(ContractError, match=f"(?s)breaks a rule of its protocol: .*{message}"):
        check_objective(factory)
