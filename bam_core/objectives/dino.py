"""The objective `dino` of recipes: the student assigns views to prototypes as its teacher does, centred and sharp."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.config.registry import extra
from bam_core.objectives.peers import (
    Generators,
    PeerObjective,
    PeerOutput,
    check_positive,
    peer_output,
    peer_projector,
    views_of,
)
from bam_core.objectives.prototypes import Prototypes
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


class DINOObjective(PeerObjective):
    """Self-distillation: the teacher sees the global views, the student all.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        distillation: lists of the teacher's and the student's outputs, a (b, k) tensor a view -> loss.
        projector: see `BAMObjective`; here it ends with prototypes.
        momentum: of the teacher, a number or a function of the step.

    Raises:
        InputError: in `forward`, fewer than two global views, or what `BAMObjective` says.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        distillation: Callable[[list[Tensor], list[Tensor]], Tensor],
        *,
        projector: nn.Module,
        momentum: float | Callable[[int], float] = 0.996,
    ) -> None:
        super().__init__(encoder, view_fn, projector=projector, momentum=momentum)
        self.distillation = distillation

    def forward(self, batch: Any, *, generator: Generators = None) -> PeerOutput:
        """Make views of a batch, embed them and compare; see `BAMObjective.forward`."""
        seen = self.see(batch, generator)
        assert self.teacher is not None  # `see` makes it
        outputs = views_of(seen.projections, seen.drawn.n_views)
        targets = views_of(self.teacher(seen.drawn.only_global().views)[1], seen.drawn.n_global)
        with torch.autocast(seen.projections.device.type, enabled=False):
            loss = self.distillation(targets, outputs)
        return peer_output(loss, targets, seen)


def make_dino(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    n_prototypes: int = 4096,
    temperature: float = 0.1,
    teacher_temperature: float = 0.04,
    center_momentum: float = 0.9,
    momentum: float = 0.996,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> DINOObjective:
    """DINO: lightly's `DINOLoss` on cosines with prototypes; local views are students, as in the paper.

    The head is the projector, with `projector_out` as its bottleneck, and prototypes on top; no batch normalisation,
    as in the paper. Over several ranks the centre is that of all. Left out: the last layer frozen in the first epoch,
    and the warm-up of the teacher's temperature, which are for long runs.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: length of the run in optimiser steps; filled in by the run.
        n_prototypes: outputs of the head. The paper has 65,536 for ImageNet; on small data they only cost time.
        temperature: of the student.
        teacher_temperature: of the teacher; lower than the student's.
        center_momentum: of the running mean that is taken off the teacher's outputs.
        momentum: of the teacher at the start.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the bottleneck below the prototypes.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        InputError: a temperature or a number of prototypes that is not positive, or a momentum outside [0, 1].
        MissingExtraError: lightly is not installed.

    Source: Caron et al., ICCV 2021, arXiv 2104.14294, section 3.1 and appendix C.
    """
    with extra("peers", "objective 'dino'"):
        from lightly.loss import DINOLoss
    check_positive("dino", temperature=temperature, teacher_temperature=teacher_temperature, n_prototypes=n_prototypes)
    head = peer_projector(projector_hidden, projector_out, projector_layers, batch_norm=False)
    return DINOObjective(
        encoder,
        view_fn,
        DINOLoss(
            n_prototypes,
            teacher_temp=teacher_temperature,
            student_temp=temperature,
            center_momentum=center_momentum,
        ),
        projector=nn.Sequential(head, Prototypes(projector_out, n_prototypes)),
        momentum=CosineSchedule(momentum, final_momentum, total_steps),
    )
