"""The term `decorrelation`: every feature of a view varies, and no two features vary together."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.objectives.joined import rows_of_ranks
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn

_TINY = 1e-4  # of the paper, below the root


def variance_hinge(rows: Float[Tensor, "n p"]) -> Float[Tensor, ""]:
    """Mean over the features of max(0, 1 - sqrt(variance + 1e-4)), v(Z) in the paper."""
    return (1 - (rows.var(dim=0) + _TINY).sqrt()).relu().mean()


def off_diagonal(rows: Float[Tensor, "n p"]) -> Float[Tensor, ""]:
    """Sum of the squared covariances of different features, divided by p, c(Z) in the paper."""
    covariance = rows.T.cov()
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / rows.shape[1]


class Decorrelation(nn.Module):
    r"""VICReg's regularisers, without its invariance: the mean over the global views of

    .. math:: \mu\, v(Z) + \nu\, c(Z), \quad v(Z) = \tfrac1p \sum_j \max(0, 1 - \sqrt{\mathrm{Var}(Z_j) + 10^{-4}}),
        \quad c(Z) = \tfrac1p \sum_{i \ne j} \mathrm{Cov}(Z)_{ij}^2 .

    Over several ranks variances and covariances are those of the joined batch. Memory grows with the batch and p^2.
    Beside BAM a weight of about a hundredth is enough; at 1 it hides the relations that BAM compares.

    Args:
        variance: mu, weight of the hinge that keeps every feature's deviation at 1.
        covariance: nu, weight of the covariances. The paper's weights are 25 and 1; here they are divided by 25.

    Shape:
        A projection (b, p) of every global view -> a number.

    Raises:
        InputError: a weight below 0; in a call, one sample.

    Source: Bardes et al., VICReg, ICLR 2022, arXiv 2105.04906, equations 1 to 4.
    """

    def __init__(self, *, variance: float = 1.0, covariance: float = 0.04) -> None:
        super().__init__()
        if variance < 0 or covariance < 0:
            raise InputError(f"decorrelation expected weights >= 0; got {variance} and {covariance}.")
        self.variance = variance
        self.covariance = covariance

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look at the features of every view."""
        views = [rows_of_ranks(rows, term="decorrelation") for rows in projections_of(looks)]
        with torch.autocast(views[0].device.type, enabled=False):
            hinge = torch.stack([variance_hinge(rows) for rows in views]).mean()
            others = torch.stack([off_diagonal(rows) for rows in views]).mean()
        loss = self.variance * hinge + self.covariance * others
        return TermOutput(loss, {"variance": hinge.detach(), "covariance": others.detach()})


TERM = Decorrelation
