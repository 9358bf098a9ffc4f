"""The objective `jepa` of recipes: what is shown predicts the teacher's tokens of what is hidden."""

from torch import nn

from bam_core.masks import Range
from bam_core.objective import Objective
from bam_core.objectives.terms.jepa import JEPA, Kind
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_jepa(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    momentum: float = 0.996,
    final_momentum: float = 1.0,
    n_targets: int = 4,
    target_share: Range = (0.15, 0.2),
    target_aspect: Range = (0.75, 1.5),
    predictor_width: int = 128,
    predictor_depth: int = 2,
    predictor_heads: int = 4,
    loss: Kind = "smooth_l1",
    micro_batch: int | None = None,
) -> Objective:
    """JEPA: prediction of hidden tokens in every global view, see `bam_core.objectives.terms.jepa`.

    It needs no pairs of views: `views.n_views: 1`, with whatever changes of the views are wanted, is enough. Momentum,
    targets and the form of the loss are those of the paper; its predictor, for a ViT-B, has 6 layers of width 384.

    Args:
        encoder: a `bam_core.tokens.TokenEncoder`.
        view_fn: batch -> views; local views are not used.
        total_steps: length of the run in optimiser steps; filled in by the run.
        momentum: of the teacher at the start.
        final_momentum: at the end, reached on a cosine.
        n_targets: targets of a view.
        target_share: smallest and largest share of the places that a target covers.
        target_aspect: smallest and largest height of a target over its width, in two dimensions.
        predictor_width: of the predictor's tokens; a multiple of 4 and of its heads.
        predictor_depth: layers of the predictor.
        predictor_heads: heads of its attention.
        loss: distance of guess and token: l1, smooth_l1 or cosine.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: a momentum outside [0, 1], or widths that do not fit.

    Source: Assran et al., "I-JEPA", CVPR 2023, arXiv 2301.08243, section 3.
    """
    term = JEPA(
        n_targets=n_targets,
        target_share=target_share,
        target_aspect=target_aspect,
        predictor_width=predictor_width,
        predictor_depth=predictor_depth,
        predictor_heads=predictor_heads,
        loss=loss,
    )
    schedule = CosineSchedule(momentum, final_momentum, total_steps)
    return Objective(
        encoder, view_fn, {"jepa": term}, projector=nn.Identity(), momentum=schedule, micro_batch=micro_batch
    )
