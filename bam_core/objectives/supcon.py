"""The objective `supcon` of recipes: contrast in which samples of one class belong together; it learns from labels."""

from torch import nn

from bam_core.labelled_views import uses_labels
from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.supcon import SupCon
from bam_core.protocols import ViewFn


@uses_labels
def make_supcon(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    temperature: float = 0.1,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """Supervised contrast over all global views, with the labels of train; see `bam_core.objectives.terms.supcon`.

    Rows of train without a label are contrasted as in SimCLR. Local views are not used. The projector's hidden
    layers have batch normalisation, as those of the peers.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global, with the labels in `aux["label"]`.
        total_steps: not used.
        temperature: of the softmax over the batch; 0.1 is the paper's.
        projector_hidden: width of the projector's hidden layers; the paper has 2048.
        projector_out: width of the projections; the paper has 128.
        projector_layers: linear layers of the projector; the paper has 2.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: a temperature that is not positive.

    Source: Khosla et al., NeurIPS 2020, arXiv 2004.11362, section 3.
    """
    return Objective(
        encoder,
        view_fn,
        {"supcon": SupCon(temperature=temperature)},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        micro_batch=micro_batch,
    )
