"""The objective `bam` of recipes: `BAMObjective` from plain values."""

from torch import nn

from bam_core.objective import BAMObjective
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_bam(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    micro_batch: int | None = None,
    temperature: float = 0.1,
    epsilon: float | None = None,
    iterations: int = 3,
    n_target: int | None = None,
    top_k: int | None = None,
    mask_positives: bool = True,
    positive_weight: float | None = None,
    momentum: float | None = None,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    projector_standardize: bool = True,
) -> BAMObjective:
    """Balanced self-attention matching.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views.
        total_steps: length of the run in optimiser steps; filled in by the run.
        micro_batch: rows that the encoder sees at a time; filled in by `train.micro_batch`.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target. None: a quarter of `temperature`; strong views collapsed the
            paper's half without a teacher, never the quarter (docs/results.md).
        iterations: Sinkhorn iterations.
        n_target: the first T global views are the attended columns; None for all.
        top_k: keep only the k largest entries of a target row; None for all.
        mask_positives: leave a sample's own columns out.
        positive_weight: part of the target that falls on the sample's own other views, in [0, 1]; 0 is the paper's
            loss, 1 is NT-Xent. None: a half, or 0 where positives are not masked.
        momentum: of an EMA teacher at the start; None for no teacher.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        projector_standardize: set its input's shift and scale by the first batch, see `Standardize`.

    Returns:
        The objective.
    """
    return BAMObjective(
        encoder,
        view_fn,
        projector=Projector(
            hidden_features=projector_hidden,
            out_features=projector_out,
            n_layers=projector_layers,
            standardize=projector_standardize,
        ),
        momentum=None if momentum is None else CosineSchedule(momentum, final_momentum, total_steps),
        n_target=n_target,
        temperature=temperature,
        epsilon=epsilon,
        iterations=iterations,
        top_k=top_k,
        mask_positives=mask_positives,
        positive_weight=positive_weight,
        micro_batch=micro_batch,
    )
