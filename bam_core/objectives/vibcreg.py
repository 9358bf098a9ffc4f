"""The objective `vibcreg` of recipes: VICReg with correlations for covariances, on whitened projections."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.vibcreg import VIbCReg
from bam_core.objectives.whitening import IterativeNorm
from bam_core.protocols import ViewFn


def make_vibcreg(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    invariance: float = 25.0,
    variance: float = 25.0,
    correlation: float = 200.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """VIbCReg: the term `vibcreg` on projections that iterative normalisation has whitened.

    The projector's hidden layers have batch normalisation. Local views are not looked at.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        invariance: weight of the distance between the views.
        variance: weight of the hinge that keeps every feature's deviation at 1.
        correlation: weight of the correlations.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: a weight below 0.

    Source: Lee & Aune, 2021, arXiv 2109.00783. The authors made it for series; weights are our reading.
    """
    projector = peer_projector(projector_hidden, projector_out, projector_layers)
    return Objective(
        encoder,
        view_fn,
        {"vibcreg": VIbCReg(invariance=invariance, variance=variance, correlation=correlation)},
        projector=nn.Sequential(projector, IterativeNorm(projector_out)),
        micro_batch=micro_batch,
    )
