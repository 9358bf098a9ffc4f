"""The term `barlow_twins`: the features of two views correlate each with itself and with no other."""

from bam_core.collectives import all_gather
from bam_core.config.registry import extra
from bam_core.objectives.pairs import PairTerm, check_positive


class BarlowTwins(PairTerm):
    """The mean of lightly's `BarlowTwinsLoss` over all pairs of global views.

    Over several ranks the features are standardised and correlated over the joined batch, whose rows every rank has:
    lightly's own way standardises them rank by rank.

    Args:
        redundancy: weight of the correlations between different features, lambda in the paper.

    Raises:
        InputError: a weight that is not positive.
        MissingExtraError: lightly is not installed.

    Source: Zbontar et al., ICML 2021, arXiv 2103.03230, section 2.
    """

    def __init__(self, *, redundancy: float = 0.005) -> None:
        with extra("peers", "objective 'barlow_twins'"):
            from lightly.loss import BarlowTwinsLoss
        check_positive("barlow_twins", redundancy=redundancy)
        loss = BarlowTwinsLoss(redundancy)
        super().__init__(lambda a, b: loss(all_gather(a).flatten(0, 1), all_gather(b).flatten(0, 1)))


TERM = BarlowTwins
