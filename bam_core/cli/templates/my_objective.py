"""my_objective: say here what the loss compares, and which paper it follows.

As it stands: views of a sample attract each other, and all samples repel each other on the sphere.

Source: Wang & Isola, "Understanding contrastive representation learning through alignment and
uniformity on the hypersphere", ICML 2020, arXiv 2005.10242.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from bam_core.errors import InputError
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.views import batch_size, draw_views, encode_views
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


class MyObjective(nn.Module):
    """Alignment and uniformity around any encoder and any views.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views; all pairs of global views are compared.
        weight: of the uniformity.
        width: of the projections that are compared.
    """

    def __init__(self, encoder: nn.Module, view_fn: ViewFn, *, weight: float, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.view_fn = view_fn
        self.weight = weight
        self.projector = Projector(hidden_features=2 * width, out_features=width)

    def initialize(self, batch: Any) -> None:
        """Let a batch tell the projector the width of the embeddings."""
        if all(not nn.parameter.is_lazy(p) for p in self.parameters()):
            return
        embeddings = self.embed(batch)
        with torch.no_grad():
            self.projector(embeddings)

    def forward(self, batch: Any, *, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> Output:
        """Draw views, embed and compare them."""
        views, n_views, n_global = draw_views(self.view_fn, batch, generator)
        embeddings = torch.cat(encode_views(self.encoder, views))
        n = batch_size(batch)
        if n < 2:
            raise InputError(f"expected at least two samples to compare; got {n}.")
        unit = functional.normalize(self.projector(embeddings), dim=-1)
        shown = unit.reshape(n_views, n, -1)[:n_global]
        pairs = [(i, j) for i in range(n_global) for j in range(i)]
        alignment = torch.stack([(shown[i] - shown[j]).square().sum(-1).mean() for i, j in pairs]).mean()
        uniformity = torch.stack([torch.pdist(view).square().mul(-2).exp().mean().log() for view in shown]).mean()
        loss = alignment + self.weight * uniformity
        return Output(loss, alignment.detach(), uniformity.detach(), embeddings.detach())

    def update_teacher(self) -> None:
        """Called after every optimiser step; there is no teacher."""

    @torch.no_grad()
    def embed(self, batch: Any, *, teacher: bool = False) -> Tensor:
        """(b, d) embeddings of the untouched batch, in evaluation mode."""
        if teacher:
            raise InputError("this objective has no teacher.")
        untouched = getattr(self.view_fn, "untouched", None)
        modes = [(module, module.training) for module in self.encoder.modules()]
        self.encoder.eval()
        try:
            return encode_views(self.encoder, [batch if untouched is None else untouched(batch)])[0]
        finally:
            for module, mode in modes:
                module.training = mode


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
