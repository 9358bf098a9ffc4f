"""my_objective: say here what the loss compares, and which paper it follows.

As it stands: views of a sample attract each other, and all samples repel each other on the sphere.

Source: Wang & Isola, "Understanding contrastive representation learning through alignment and
uniformity on the hypersphere", ICML 2020, arXiv 2005.10242.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.objective import Objective
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn
from torch import nn
from torch.nn import functional


class MyObjective(nn.Module):
    """The loss, a term of the objective: mean |x - y|^2 of two views, and how evenly samples spread.

    Anything else that keeps the promises of `bam_core.terms.Term` will do as well.

    Args:
        weight: of the spread, >= 0.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise InputError(f"my_objective expected weight >= 0; got {weight}.")
        self.weight = weight

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """What to look at: the student's projections of the global views."""
        if drawn.n_global < 2 or drawn.batch_size < 2:
            got = f"{drawn.n_global} of {drawn.batch_size}"
            raise InputError(f"expected two views of two samples at least; got {got}.")
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare. One look a wish, in the same order; the scalars are logged beside the loss."""
        views = [functional.normalize(rows, dim=1) for rows in projections_of(looks)]
        alignment = torch.stack([(a - b).square().sum(1).mean() for a, b in combinations(views, 2)]).mean()
        spread = [torch.pdist(view).square().mul(-2).exp().mean().log() for view in views]
        uniformity = torch.stack(spread).mean()
        scalars = {"alignment": alignment.detach(), "uniformity": uniformity.detach()}
        return TermOutput(alignment + self.weight * uniformity, scalars)


def make_my_objective(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    weight: float = 1.0,
    width: int = 128,
    micro_batch: int | None = None,
) -> Objective:
    """The objective of recipes; its keyword arguments are their section `objective`.

    `Objective` draws the views, embeds and projects them, and adds terms up; `momentum=0.99` brings a
    teacher, whose looks are `Wish(view, "teacher")`.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views; all pairs of global views are compared.
        total_steps: length of the run, for schedules; filled in by the run.
        weight: of the spread.
        width: of the projections.
        micro_batch: rows that the encoder sees at a time; filled in by the run.
    """
    projector = Projector(hidden_features=2 * width, out_features=width)
    terms = {"my_objective": MyObjective(weight=weight)}
    return Objective(encoder, view_fn, terms, projector=projector, micro_batch=micro_batch)
