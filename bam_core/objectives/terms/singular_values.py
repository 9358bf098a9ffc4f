"""The term `singular_values`: the samples of a batch spread over all directions alike."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.joined import rows_of_ranks
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


def unevenness(rows: Float[Tensor, "n p"]) -> Float[Tensor, ""]:
    """Mean squared deviation of the singular values of unit rows from what they are when all are alike.

    Example:
        >>> unevenness(torch.eye(4)).item()
        0.0
        >>> round(unevenness(torch.eye(4)[[0, 0, 0, 0]]).item(), 4)  # at one point: 2 - 2 / sqrt(4)
        1.0
    """
    n, r = len(rows), min(rows.shape)
    values: Tensor = torch.linalg.svdvals(rows)
    away: Tensor = values * (r / n) ** 0.5 - 1
    return away.square().mean()


class SingularValues(nn.Module):
    r"""Distance of the singular values of n unit projections from an even spectrum, the mean over the global views of

    .. math:: \tfrac1r \sum_{k \le r} \left(\sigma_k \sqrt{r / n} - 1\right)^2, \quad r = \min(n, p).

    It is 0 where the rows fill all r directions alike, which makes the mean vanish and features uncorrelated, and
    :math:`2 - 2 / \sqrt r` where all are at one point. There the covariances of `decorrelation` have no slope; these
    values have one, so it also leads out of a collapse. Over several ranks the rows are those of all, and every rank
    computes their singular values, at a cost of n p min(n, p). On a GPU that takes longer than the other terms; p of a
    few hundred is enough.

    Shape:
        A projection (b, p) of every global view -> a number.

    Raises:
        InputError: in a call, one sample, or a projection of zero.

    Source: Moon et al., MSBReg, 2022, arXiv 2207.03552, the "singular value loss" in our reading of abstract and figure
    1; the formula is ours.
    """

    def __init__(self) -> None:
        super().__init__()

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look at the spectrum of every view."""
        outputs = projections_of(looks)
        with torch.autocast(outputs[0].device.type, enabled=False):
            views = [rows_of_ranks(unit_rows(rows), term="singular_values") for rows in outputs]
            return TermOutput(torch.stack([unevenness(rows) for rows in views]).mean())


TERM = SingularValues
