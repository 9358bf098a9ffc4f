"""The objective `swav` of recipes: each view predicts the balanced assignment of another view to prototypes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.collectives import can_gather
from bam_core.config.registry import extra
from bam_core.errors import InputError
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


class SwAVObjective(PeerObjective):
    """Swapped prediction: the global views give assignments, all views predict them.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        swapped: lists of the outputs of the global and of the local views, a (b, k) tensor a view -> loss.
        projector: see `BAMObjective`; here it ends with prototypes.

    Raises:
        InputError: in `forward`, fewer than two global views, or what `BAMObjective` says.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        swapped: Callable[[list[Tensor], list[Tensor]], Tensor],
        *,
        projector: nn.Module,
    ) -> None:
        super().__init__(encoder, view_fn, projector=projector)
        self.swapped = swapped

    def forward(self, batch: Any, *, generator: Generators = None) -> PeerOutput:
        """Make views of a batch, embed them and compare; see `BAMObjective.forward`."""
        seen = self.see(batch, generator)
        outputs = views_of(seen.projections, seen.drawn.n_views)
        n_global = seen.drawn.n_global
        with torch.autocast(seen.projections.device.type, enabled=False):
            loss = self.swapped(outputs[:n_global], outputs[n_global:])
        return peer_output(loss.squeeze(), outputs, seen)


def make_swav(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    n_prototypes: int = 3000,
    temperature: float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> SwAVObjective:
    """SwAV: lightly's `SwaVLoss` on cosines with prototypes; local views are students, as in the paper.

    The projector's hidden layers have batch normalisation, as in the paper. Over several ranks the assignments are
    balanced over the joined batch. Left out: the queue of former batches, and the prototypes frozen at the start.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        n_prototypes: number of prototypes; 3,000 are the paper's, for ImageNet.
        temperature: of the predictions.
        epsilon: regularisation of the balanced assignments, >= 0.0125.
        iterations: Sinkhorn iterations.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections below the prototypes.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        InputError: a temperature or a number of prototypes that is not positive, or an epsilon below 0.0125.
        MissingExtraError: lightly is not installed.

    Source: Caron et al., NeurIPS 2020, arXiv 2006.09882, section 3.
    """
    with extra("peers", "objective 'swav'"):
        from lightly.loss import SwaVLoss
    check_positive("swav", temperature=temperature, n_prototypes=n_prototypes)
    if epsilon < 0.0125:
        raise InputError(f"swav expected epsilon >= 0.0125; got {epsilon}: exp(1 / epsilon) overflows below.")
    return SwAVObjective(
        encoder,
        view_fn,
        SwaVLoss(temperature, iterations, epsilon, sinkhorn_gather_distributed=can_gather()),
        projector=nn.Sequential(
            peer_projector(projector_hidden, projector_out, projector_layers), Prototypes(projector_out, n_prototypes)
        ),
    )
