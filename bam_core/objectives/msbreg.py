"""The objective `msbreg` of recipes: embeddings as particles, drawn to their centroid, spread evenly, and diffusing."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.brownian import Brownian
from bam_core.objectives.terms.centroid_attraction import CentroidAttraction
from bam_core.objectives.terms.singular_values import SingularValues
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_msbreg(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    attraction: float = 1.0,
    singular: float = 1.0,
    brownian: float = 0.1,
    step: float = 0.3,
    momentum: float = 0.99,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """MSBReg: the weighted sum of the terms `centroid_attraction` (to the teacher's), `singular_values` and `brownian`.

    The projector's hidden layers have batch normalisation. Local views are drawn to the centroid, too.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: length of the run in optimiser steps; filled in by the run.
        attraction: weight of the pull to the centroid (M).
        singular: weight of the even spectrum (S).
        brownian: weight of the random steps (B).
        step: length of a random step.
        momentum: of the teacher at the start.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: a step that is not positive, or a momentum outside [0, 1].

    Source: Moon et al., 2022, arXiv 2207.03552, in our reading of abstract and figure 1. No code is public; all numbers
    are ours.
    """
    return Objective(
        encoder,
        view_fn,
        {
            "attraction": CentroidAttraction(teacher=True),
            "singular": SingularValues(),
            "brownian": Brownian(step=step),
        },
        weights={"attraction": attraction, "singular": singular, "brownian": brownian},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        momentum=CosineSchedule(momentum, final_momentum, total_steps),
        micro_batch=micro_batch,
    )
