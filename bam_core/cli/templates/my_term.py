"""my_term: say here what it adds to an objective, and which paper it follows.

As it stands: views of a sample attract each other on the sphere.

Source: Wang & Isola, "Understanding contrastive representation learning through alignment and
uniformity on the hypersphere", ICML 2020, arXiv 2005.10242, equation 6.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn
from torch import nn
from torch.nn import functional


class MyTerm(nn.Module):
    """Mean over all pairs of global views of |x - y|^power, x and y unit projections of one sample.

    The objective looks at the views for all of its terms at once; a term says what it wishes for, and
    compares what it is given. A head of its own goes into `self.heads = {"name": module}`; then a wish
    names it: `Wish(view, head="name")`. Random numbers come from `drawn.rand`.

    Args:
        power: of the distance, > 0.
    """

    def __init__(self, *, power: float = 2.0) -> None:
        super().__init__()
        if not power > 0:
            raise InputError(f"my_term expected power > 0; got {power}.")
        self.power = power

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """What to look at: the student's projections of the global views."""
        if drawn.n_global < 2 or drawn.batch_size < 2:
            got = f"{drawn.n_global} of {drawn.batch_size}"
            raise InputError(f"my_term expected two views of two samples at least; got {got}.")
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare. One look a wish, in the same order; `fraction` of the run is over."""
        views = [functional.normalize(rows, dim=1) for rows in projections_of(looks)]
        distances = torch.stack([(a - b).norm(dim=1) for a, b in combinations(views, 2)])
        return TermOutput(distances.pow(self.power).mean(), {"distance": distances.detach().mean()})
