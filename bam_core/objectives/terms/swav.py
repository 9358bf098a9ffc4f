"""The term `swav`: each view predicts the balanced assignment of another view to prototypes."""

from collections.abc import Sequence

import torch
from torch import nn

from bam_core.collectives import can_gather
from bam_core.config.registry import extra
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.objectives.pairs import check_comparable, check_positive, with_cosine
from bam_core.objectives.prototypes import prototype_head
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


class SwAV(nn.Module):
    """Swapped prediction: the global views give assignments, all views predict them; lightly's `SwaVLoss`.

    Over several ranks the assignments are balanced over the joined batch.

    Args:
        n_prototypes: number of prototypes; 3,000 are the paper's, for ImageNet.
        temperature: of the predictions.
        epsilon: regularisation of the balanced assignments, >= 0.0125.
        iterations: Sinkhorn iterations.
        projector_hidden: width of the hidden layers of the head, which the term brings.
        projector_out: width of the projections below the prototypes.
        projector_layers: linear layers below the prototypes.
        head: name of that head.

    Shape:
        A projection (b, n_prototypes) of every view -> a number.

    Raises:
        InputError: a temperature or a number of prototypes that is not positive, or an epsilon below 0.0125; in
            `wishes`, fewer than two global views, or a batch of one.
        MissingExtraError: lightly is not installed.

    Source: Caron et al., NeurIPS 2020, arXiv 2006.09882, section 3.
    """

    def __init__(
        self,
        *,
        n_prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        projector_hidden: int = 512,
        projector_out: int = 256,
        projector_layers: int = 3,
        head: str = "swav",
    ) -> None:
        with extra("peers", "objective 'swav'"):
            from lightly.loss import SwaVLoss
        check_positive("swav", temperature=temperature, n_prototypes=n_prototypes)
        if epsilon < 0.0125:
            raise InputError(f"swav expected epsilon >= 0.0125; got {epsilon}: exp(1 / epsilon) overflows below.")
        super().__init__()
        self.head = head
        self.heads = {head: prototype_head(projector_hidden, projector_out, projector_layers, n_prototypes)}
        self.swapped = SwaVLoss(temperature, iterations, epsilon, sinkhorn_gather_distributed=can_gather())

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student."""
        check_comparable(drawn)
        return [Wish(view, head=self.head) for view in range(drawn.n_views)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare."""
        outputs = projections_of(looks)
        with torch.autocast(outputs[0].device.type, enabled=False):
            loss = self.swapped(outputs[: drawn.n_global], outputs[drawn.n_global :])
        return with_cosine(loss.squeeze(), outputs)


TERM = SwAV
