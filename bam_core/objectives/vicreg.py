"""The objective `vicreg` of recipes: views agree, every feature varies, no two features vary together."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.vicreg import VICReg
from bam_core.protocols import ViewFn


def make_vicreg(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> Objective:
    """VICReg: the mean of lightly's `VICRegLoss` over all pairs of global views; local views are not used.

    The projector's hidden layers have batch normalisation, as in the paper. Over several ranks variance and covariance
    are those of the joined batch.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        invariance: weight of the distance between the views, lambda in the paper.
        variance: weight of the hinge that keeps every feature's deviation at 1, mu in the paper.
        covariance: weight of the covariances, nu in the paper.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections; the paper's is 8192, and wider is better there.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        MissingExtraError: lightly is not installed.

    Source: Bardes et al., ICLR 2022, arXiv 2105.04906, section 4.
    """
    return Objective(
        encoder,
        view_fn,
        {"vicreg": VICReg(invariance=invariance, variance=variance, covariance=covariance)},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
    )
