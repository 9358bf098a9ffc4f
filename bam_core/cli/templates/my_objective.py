"""my_objective: say here what the loss compares, and which paper it follows.

As it stands: views of a sample attract each other, and all samples repel each other on the sphere.

Source: Wang & Isola, "Understanding contrastive representation learning through alignment and
uniformity on the hypersphere", ICML 2020, arXiv 2005.10242.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from bam_core.errors import InputError
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.student import StudentObjective
from torch import Tensor, nn
from torch.nn import functional


class Output(NamedTuple):
    """What a step gives; numbers beside the loss are logged.

    Attributes:
        loss: to minimise.
        alignment: mean squared distance of two views of a sample.
        uniformity: log of the mean closeness of different samples; lower is more even.
        embeddings: (n_views * b, d) encoder outputs, detached.
    """

    loss: Tensor
    alignment: Tensor
    uniformity: Tensor
    embeddings: Tensor


class MyObjective(StudentObjective):
    """Alignment and uniformity around any encoder and any views.

    `StudentObjective` draws the views, embeds and projects them; only the loss is left to do. Anything
    else that keeps the promises of `bam_core.protocols.Objective` will do as well.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views; all pairs of global views are compared.
        weight: of the uniformity.
        width: of the projections that are compared.
    """

    def __init__(self, encoder: nn.Module, view_fn: ViewFn, *, weight: float, width: int) -> None:
        super().__init__(encoder, view_fn, projector=Projector(hidden_features=2 * width, out_features=width))
        self.weight = weight

    def forward(self, batch: Any, *, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> Output:
        """Draw views, embed and compare them."""
        seen = self.see(batch, generator, local=False)
        views = functional.normalize(seen.projections, dim=-1).chunk(seen.drawn.n_views)
        if len(views) < 2 or len(views[0]) < 2:
            raise InputError(f"expected two views of two samples at least; got {len(views)} of {len(views[0])}.")
        alignment = torch.stack([(a - b).square().sum(-1).mean() for a, b in combinations(views, 2)]).mean()
        spread = [torch.pdist(view).square().mul(-2).exp().mean().log() for view in views]
        uniformity = torch.stack(spread).mean()
        loss = alignment + self.weight * uniformity
        return Output(loss, alignment.detach(), uniformity.detach(), seen.embeddings.detach())


def make_my_objective(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    weight: float = 1.0,
    width: int = 128,
) -> MyObjective:
    """The objective of recipes; its keyword arguments are their section `objective`.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views.
        total_steps: length of the run, for schedules; filled in by the run.
        weight: of the uniformity.
        width: of the projections.
    """
    return MyObjective(encoder, view_fn, weight=weight, width=width)
