"""The objective `swav` of recipes: each view predicts the balanced assignment of another view to prototypes."""

from torch import nn

from bam_core.looks import PROJECTOR
from bam_core.objective import Objective
from bam_core.objectives.terms.swav import SwAV
from bam_core.protocols import ViewFn


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
) -> Objective:
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
    term = SwAV(
        n_prototypes=n_prototypes,
        temperature=temperature,
        epsilon=epsilon,
        iterations=iterations,
        projector_hidden=projector_hidden,
        projector_out=projector_out,
        projector_layers=projector_layers,
        head=PROJECTOR,
    )
    return Objective(encoder, view_fn, {"swav": term})
