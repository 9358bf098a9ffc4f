"""The objective `lejepa` of recipes: views agree, and the samples of a batch are distributed as a standard normal."""

from torch import nn

from bam_core.errors import InputError
from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.centroid_attraction import CentroidAttraction
from bam_core.objectives.terms.sigreg import SIGReg
from bam_core.protocols import ViewFn


def make_lejepa(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    regularisation: float = 0.05,
    n_directions: int = 1024,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """LeJEPA: views agree, and projections are isotropic Gaussian; see the term `sigreg`.

    With r the regularisation, the loss is (1 - r) times `centroid_attraction` of projections as they are, without a
    teacher, plus r times `sigreg`. Local views take part in both. The projector's hidden layers have batch
    normalisation.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        regularisation: r, in [0, 1]; 0.05 is that of the authors' code, the paper goes from 0.01 to 0.1.
        n_directions: random directions that samples are seen from; 1024 are those of the authors' code.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: settings out of range.

    Source: Balestriero & LeCun, 2025, arXiv 2511.08544, section 5.
    """
    if not 0 <= regularisation <= 1:
        raise InputError(f"lejepa expected a regularisation in [0, 1]; got {regularisation}.")
    return Objective(
        encoder,
        view_fn,
        {"attraction": CentroidAttraction(unit=False), "sigreg": SIGReg(n_directions=n_directions)},
        weights={"attraction": 1 - regularisation, "sigreg": regularisation},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        micro_batch=micro_batch,
    )
