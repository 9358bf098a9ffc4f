"""The objective `masked_bam` of recipes: BAM between random parts of one view, with no changes of the data."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.terms.masked_bam import MaskedBAM
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_masked_bam(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    shown: float = 0.5,
    n_masks: int = 2,
    temperature: float = 0.1,
    epsilon: float | None = None,
    iterations: int = 3,
    positive_weight: float | None = None,
    momentum: float | None = None,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """Balanced attention matching on tokens, see `bam_core.objectives.terms.masked_bam`.

    It needs no pairs of views: `views.n_views: 1` is enough.

    Args:
        encoder: a `bam_core.tokens.TokenEncoder`.
        view_fn: batch -> views; local views are not looked at.
        total_steps: length of the run in optimiser steps; filled in by the run.
        shown: share of the places that a mask shows.
        n_masks: masks of a global view.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target. None: a quarter of `temperature`.
        iterations: Sinkhorn iterations.
        positive_weight: part of the target that falls on the sample's own other masks. None: a half.
        momentum: of an EMA teacher at the start; None for no teacher.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: settings out of range.

    Source: ours, on arXiv 2408.02014.
    """
    term = MaskedBAM(
        shown=shown,
        n_masks=n_masks,
        teacher=momentum is not None,
        temperature=temperature,
        epsilon=epsilon,
        iterations=iterations,
        positive_weight=positive_weight,
    )
    return Objective(
        encoder,
        view_fn,
        {"masked_bam": term},
        projector=Projector(hidden_features=projector_hidden, out_features=projector_out, n_layers=projector_layers),
        momentum=None if momentum is None else CosineSchedule(momentum, final_momentum, total_steps),
        micro_batch=micro_batch,
    )
