"""The objective `simclr` of recipes: NT-Xent, a sample's views against all others of the batch."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.simclr import SimCLR
from bam_core.protocols import ViewFn


def make_simclr(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    temperature: float = 0.1,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
) -> Objective:
    """SimCLR: the mean of lightly's `NTXentLoss` over all pairs of global views; local views are not used.

    The projector's hidden layers have batch normalisation, as in the authors' code. Several ranks see each other's
    negatives, and the loss is that of the joined batch.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        temperature: of the softmax over the batch; 0.1 is the paper's choice for ImageNet, 0.5 for CIFAR-10.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.

    Returns:
        The objective.

    Raises:
        InputError: a temperature that is not positive.
        MissingExtraError: lightly is not installed.

    Source: Chen et al., ICML 2020, arXiv 2002.05709, section 2.1.
    """
    return Objective(
        encoder,
        view_fn,
        {"simclr": SimCLR(temperature=temperature)},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
    )
