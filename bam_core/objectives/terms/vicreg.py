"""The term `vicreg`: views agree, every feature varies, no two features vary together."""

from bam_core.collectives import can_gather
from bam_core.config.registry import extra
from bam_core.objectives.pairs import PairTerm


class VICReg(PairTerm):
    """The mean of lightly's `VICRegLoss` over all pairs of global views.

    Over several ranks variance and covariance are those of the joined batch.

    Args:
        invariance: weight of the distance between the views, lambda in the paper.
        variance: weight of the hinge that keeps every feature's deviation at 1, mu in the paper.
        covariance: weight of the covariances, nu in the paper.

    Raises:
        MissingExtraError: lightly is not installed.

    Source: Bardes et al., ICLR 2022, arXiv 2105.04906, section 4.
    """

    def __init__(self, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        with extra("peers", "objective 'vicreg'"):
            from lightly.loss import VICRegLoss
        super().__init__(VICRegLoss(invariance, variance, covariance, gather_distributed=can_gather()))


TERM = VICReg
