"""The term `simclr`: NT-Xent, a sample's views against all others of the batch."""

from bam_core.collectives import can_gather
from bam_core.config.registry import extra
from bam_core.objectives.pairs import PairTerm, check_positive


class SimCLR(PairTerm):
    """The mean of lightly's `NTXentLoss` over all pairs of global views.

    Several ranks see each other's negatives, and the loss is that of the joined batch.

    Args:
        temperature: of the softmax over the batch; 0.1 is the paper's choice for ImageNet, 0.5 for CIFAR-10.

    Raises:
        InputError: a temperature that is not positive.
        MissingExtraError: lightly is not installed.

    Source: Chen et al., ICML 2020, arXiv 2002.05709, section 2.1.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        with extra("peers", "objective 'simclr'"):
            from lightly.loss import NTXentLoss
        check_positive("simclr", temperature=temperature)
        super().__init__(NTXentLoss(temperature, gather_distributed=can_gather()))


TERM = SimCLR
