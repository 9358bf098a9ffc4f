"""The objective `barlow_twins` of recipes: the features of two views correlate each with itself and with no other."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.barlow_twins import BarlowTwins
from bam_core.protocols import ViewFn


def make_barlow_twins(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    redundancy: float = 0.005,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> Objective:
    """Barlow Twins: the mean of lightly's `BarlowTwinsLoss` over all pairs of global views, without local views.

    The projector's hidden layers have batch normalisation, as in the paper. Over several ranks the features are
    standardised and correlated over the joined batch, whose rows every rank has: lightly's own way standardises them
    rank by rank.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        redundancy: weight of the correlations between different features, lambda in the paper.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections; the paper's is 8192, and wider is better there.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        InputError: a weight that is not positive.
        MissingExtraError: lightly is not installed.

    Source: Zbontar et al., ICML 2021, arXiv 2103.03230, section 2.
    """
    return Objective(
        encoder,
        view_fn,
        {"barlow_twins": BarlowTwins(redundancy=redundancy)},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
    )
