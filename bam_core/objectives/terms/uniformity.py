"""The term `uniformity`: the samples of a batch spread evenly over the sphere."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bam_core.collectives import all_gather, rank
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.joined import own_places, rows_of_ranks
from bam_core.terms import Comparison, TermOutput, projections_of
from bam_core.views import Drawn, recomputed

BLOCK = 1024  # rows whose cosines with all others are held at a time


def log_closeness(
    rows: Float[Tensor, "b p"], others: Float[Tensor, "n p"], own: Int[Tensor, " b"], *, t: float, block: int = BLOCK
) -> Float[Tensor, ""]:
    """log of the sum of exp(-t |x - y|^2) over unit rows x and others y but the own place; in blocks of rows."""

    def of_block(part: Tensor, place: Tensor, others: Tensor) -> Tensor:
        exponents = 2 * t * (part @ others.T - 1)  # |x - y|^2 = 2 - 2 cos
        return exponents.scatter(1, place[:, None], -torch.inf).flatten().logsumexp(0)

    parts = zip(rows.split(block), own.split(block), strict=True)
    return torch.stack([recomputed(of_block, part, place, others) for part, place in parts]).logsumexp(0)


class Uniformity(nn.Module):
    r"""Log of the mean Gaussian closeness of different samples, the mean over the global views of

    .. math:: \log \tfrac{1}{n(n-1)} \sum_{i \ne j} e^{-t |z_i - z_j|^2}, \quad \text{with unit rows } z.

    Over several ranks the samples are those of the joined batch. Memory grows with the batch: the cosines of a block of
    rows are computed a second time in the backward pass.

    Args:
        t: how near is close, > 0.

    Shape:
        A projection (b, p) of every global view -> a number, at most 0.

    Raises:
        InputError: t that is not positive; in a call, one sample, or a projection of zero.

    Source: Wang & Isola, ICML 2020, arXiv 2005.10242, equation 7.
    """

    def __init__(self, *, t: float = 2.0) -> None:
        super().__init__()
        if not t > 0:
            raise InputError(f"uniformity expected t > 0; got {t}. 2 is the paper's.")
        self.t = t

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare all samples of every view."""
        return TermOutput(torch.stack([self._of_view(unit_rows(rows)) for rows in projections_of(looks)]).mean())

    def _of_view(self, rows: Float[Tensor, "b p"]) -> Float[Tensor, ""]:
        with torch.autocast(rows.device.type, enabled=False):
            others = rows_of_ranks(rows, term="uniformity")
            own = log_closeness(rows, others, own_places(rows, rank()), t=self.t)
            return all_gather(own).logsumexp(0) - math.log(len(others) * (len(others) - 1))

    def cost(self, n_global: int) -> Comparison:
        """Every row with those of its own view."""
        return Comparison(n_columns=1)


TERM = Uniformity
