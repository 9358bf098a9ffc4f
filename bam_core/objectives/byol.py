"""The objective `byol` of recipes: a predictor on the student guesses the teacher's projection of another view."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.batch_norm import with_global_batch_norm
from bam_core.config.registry import extra
from bam_core.objectives.peers import Generators, PeerObjective, PeerOutput, peer_output, peer_projector, views_of
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


class BYOLObjective(PeerObjective):
    """Prediction of the teacher's projections, over all ordered pairs of global views; no local views.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        predictor: (n, p) -> (n, p), on top of the student's projector.
        distance: predictions and targets, both (b, p) -> loss.
        projector: see `BAMObjective`.
        momentum: of the teacher, a number or a function of the step.

    Raises:
        InputError: in `forward`, fewer than two global views, or what `BAMObjective` says.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        predictor: nn.Module,
        distance: Callable[[Tensor, Tensor], Tensor],
        *,
        projector: nn.Module | None = None,
        momentum: float | Callable[[int], float] = 0.996,
    ) -> None:
        super().__init__(encoder, view_fn, projector=projector, momentum=momentum)
        self.predictor = predictor
        self.distance = distance

    def forward(self, batch: Any, *, generator: Generators = None) -> PeerOutput:
        """Make views of a batch, embed them and compare; see `BAMObjective.forward`."""
        seen = self.see(batch, generator, local=False)
        assert self.teacher is not None  # `see` makes it
        n_views = seen.drawn.n_views
        predictions = views_of(self.predictor(seen.projections), n_views)
        targets = views_of(self.teacher(seen.drawn.views)[1], n_views)
        with torch.autocast(seen.projections.device.type, enabled=False):
            losses = [self.distance(predictions[a], targets[b]) for a, b in permutations(range(n_views), 2)]
        return peer_output(torch.stack(losses).mean(), targets, seen)


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
) -> BYOLObjective:
    """BYOL: lightly's `NegativeCosineSimilarity` over all ordered pairs of global views; local views are not looked at.

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
    with extra("peers", "objective 'byol'"):
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules import BYOLPredictionHead
    negative_cosine = NegativeCosineSimilarity()
    return BYOLObjective(
        encoder,
        view_fn,
        with_global_batch_norm(BYOLPredictionHead(projector_out, projector_hidden, projector_out)),
        lambda predictions, targets: 2 + 2 * negative_cosine(predictions, targets),
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        momentum=CosineSchedule(momentum, final_momentum, total_steps),
    )
