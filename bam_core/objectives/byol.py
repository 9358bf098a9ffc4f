"""The objective `byol` of recipes: a predictor on the student guesses the teacher's projection of another view."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.byol import BYOL
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_byol(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    momentum: float = 0.996,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> Objective:
    """BYOL: lightly's `NegativeCosineSimilarity` over all ordered pairs of global views; local views are not used.

    Projector and predictor (lightly's `BYOLPredictionHead`, with the projector's hidden width) have batch
    normalisation in their hidden layers, as in the paper. The loss is 2 - 2 cos as in the paper, from 0 to 4. Rows of
    other ranks play no part in it.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: length of the run in optimiser steps; filled in by the run.
        momentum: of the teacher at the start.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the hidden layers of projector and predictor.
        projector_out: width of projections and predictions.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        InputError: a momentum outside [0, 1].
        MissingExtraError: lightly is not installed.

    Source: Grill et al., NeurIPS 2020, arXiv 2006.07733, section 3.
    """
    return Objective(
        encoder,
        view_fn,
        {"byol": BYOL(projector_hidden=projector_hidden, projector_out=projector_out)},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        momentum=CosineSchedule(momentum, final_momentum, total_steps),
    )
