"""The objective `dino` of recipes: the student assigns views to prototypes as its teacher does, centred and sharp."""

from torch import nn

from bam_core.looks import PROJECTOR
from bam_core.objective import Objective
from bam_core.objectives.terms.dino import DINO
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


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
) -> Objective:
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
    term = DINO(
        n_prototypes=n_prototypes,
        temperature=temperature,
        teacher_temperature=teacher_temperature,
        center_momentum=center_momentum,
        projector_hidden=projector_hidden,
        projector_out=projector_out,
        projector_layers=projector_layers,
        head=PROJECTOR,
    )
    return Objective(encoder, view_fn, {"dino": term}, momentum=CosineSchedule(momentum, final_momentum, total_steps))
