"""The objective `nnclr` of recipes: a view has to find the nearest neighbour of another view of its sample."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.neighbour import Neighbour
from bam_core.protocols import ViewFn


def make_nnclr(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    queue_size: int = 4096,
    temperature: float = 0.1,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """NNCLR: contrast with nearest neighbours out of a queue, see `bam_core.objectives.terms.neighbour`.

    Projector and predictor have batch normalisation in their hidden layers. Local views are not used.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: not used.
        queue_size: rows of former batches that neighbours are looked for in; the paper has 98,304, for ImageNet.
        temperature: of the softmax over the batch; 0.1 is the paper's.
        projector_hidden: width of the hidden layers of projector and predictor; the paper has 2048 and 4096.
        projector_out: width of the projections; 256 is the paper's.
        projector_layers: linear layers of the projector; 3 is the paper's.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: a temperature or a size that is not positive.

    Source: Dwibedi et al., ICCV 2021, arXiv 2104.14548, section 3.
    """
    term = Neighbour(queue_size=queue_size, temperature=temperature, hidden=projector_hidden)
    projector = peer_projector(projector_hidden, projector_out, projector_layers)
    return Objective(encoder, view_fn, {"nnclr": term}, projector=projector, micro_batch=micro_batch)
