"""The term `vibcreg`: views agree, every feature varies, and no two features correlate, whatever their scale."""

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.errors import InputError
from bam_core.objectives.joined import rows_of_ranks
from bam_core.objectives.pairs import PairTerm
from bam_core.objectives.terms.decorrelation import variance_hinge

_TINY = 1e-8  # of a feature that does not vary


def correlations(rows: Float[Tensor, "n p"]) -> Float[Tensor, ""]:
    """Mean squared correlation of two different features.

    Example:
        >>> a, b = torch.tensor([1.0, -1, 1, -1]), torch.tensor([1.0, 1, -1, -1])
        >>> [round(correlations(torch.stack(pair, dim=1)).item(), 4) for pair in [(a, b), (a, 3 * a), (a, a + b)]]
        [0.0, 1.0, 0.5]
    """
    centred = rows - rows.mean(dim=0)
    unit = centred / torch.linalg.vector_norm(centred, dim=0).clamp_min(_TINY)
    found: Tensor = unit.T @ unit
    p = len(found)
    return (found.square().sum() - found.diagonal().square().sum()) / max(1, p * (p - 1))


class VIbCReg(PairTerm):
    r"""VICReg with correlations for covariances: the mean over all pairs of global views (a, b) of

    .. math:: \lambda\, \mathrm{mean} (z^a - z^b)^2 + \mu \tfrac{v(Z^a) + v(Z^b)}2 + \nu \tfrac{r(Z^a) + r(Z^b)}2,

    v the hinge on the deviations of `decorrelation`, r the mean squared correlation of two features. A correlation does
    not depend on the scale of features, which a covariance can escape by making them small. The objective `vibcreg`
    also whitens the projections. Over several ranks deviations and correlations are those of all samples, and every
    rank holds their rows; memory also grows with p^2.

    Args:
        invariance: lambda.
        variance: mu.
        correlation: nu. The mean over pairs of features is small, so it has the larger weight.

    Shape:
        One projection (b, p) a global view -> a number.

    Raises:
        InputError: a weight below 0; in `wishes`, fewer than two global views, or a batch of one.

    Source: Lee & Aune, VIbCReg, 2021, arXiv 2109.00783; normalisation of the parts and the weights are our reading.
    """

    def __init__(self, *, invariance: float = 25.0, variance: float = 25.0, correlation: float = 200.0) -> None:
        if min(invariance, variance, correlation) < 0:
            raise InputError(f"vibcreg expected weights >= 0; got {invariance}, {variance} and {correlation}.")

        def of_pair(a: Tensor, b: Tensor) -> Tensor:
            joined = [rows_of_ranks(rows, term="vibcreg") for rows in (a, b)]
            hinge = torch.stack([variance_hinge(rows) for rows in joined]).mean()
            related = torch.stack([correlations(rows) for rows in joined]).mean()
            return invariance * (a - b).square().mean() + variance * hinge + correlation * related

        super().__init__(of_pair)


TERM = VIbCReg
