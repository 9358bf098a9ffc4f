"""The objective `visreg` of recipes: views agree, and scale and shape of the projections are regularised apart."""

from torch import nn

from bam_core.errors import InputError
from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.centroid_attraction import CentroidAttraction
from bam_core.objectives.terms.visreg import VISReg
from bam_core.protocols import ViewFn


def make_visreg(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    regularisation: float = 0.6,
    n_directions: int = 1024,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """VISReg: views agree; scale and shape of the projections are regularised apart; see the term `visreg`.

    With r the regularisation, the loss is (1 - r) times `centroid_attraction` of projections as they are, without a
    teacher, plus r times `visreg`. Local views take part in both. The projector's hidden layers have batch
    normalisation.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        regularisation: r, in [0, 1]; 0.6 is the paper's for small data, 0.9 that for ImageNet.
        n_directions: random directions that samples are seen from; the authors' code has 4096.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: settings out of range.

    Source: Wu et al., 2026, arXiv 2606.02572, section 3.
    """
    if not 0 <= regularisation <= 1:
        raise InputError(f"visreg expected a regularisation in [0, 1]; got {regularisation}.")
    return Objective(
        encoder,
        view_fn,
        {"attraction": CentroidAttraction(unit=False), "visreg": VISReg(n_directions=n_directions)},
        weights={"attraction": 1 - regularisation, "visreg": regularisation},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        micro_batch=micro_batch,
    )
