"""The term `koleo`: every sample is pushed away from its nearest neighbour in the batch."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bam_core.collectives import rank
from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.joined import own_places, rows_of_ranks
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn

BLOCK = 1024  # rows whose cosines with all others are held at a time
_TINY = 1e-8  # of the paper's code, below the logarithm


@torch.no_grad()
def nearest(
    rows: Float[Tensor, "b p"], others: Float[Tensor, "n p"], own: Int[Tensor, " b"], *, block: int = BLOCK
) -> Int[Tensor, " b"]:
    """For unit rows the number of the nearest of `others`, not counting the own place; (block, n) cosines at a time."""
    found = []
    for part, place in zip(rows.split(block), own.split(block), strict=True):
        cosines = part @ others.T
        found.append(cosines.scatter_(1, place[:, None], -torch.inf).argmax(dim=1))
    return torch.cat(found)


class KoLeo(nn.Module):
    r"""Differential entropy of the projections on the sphere, as Kozachenko and Leonenko estimate it.

    The mean over the global views of :math:`-\tfrac1n \sum_i \log(\min_{j \ne i} |z_i - z_j| + 10^{-8})`, with unit
    rows z. Over several ranks neighbours are looked for in the joined batch. Memory grows with the batch: cosines are
    held in blocks, and only to find the neighbours.

    Shape:
        A projection (b, p) of every global view -> a number.

    Raises:
        InputError: in a call, one sample, or a projection of zero.

    Source: Sablayrolles et al., ICLR 2019, arXiv 1806.03198, section 3.2; as in DINOv2, arXiv 2304.07193, section 4.
    """

    def __init__(self) -> None:
        super().__init__()

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look for neighbours in every view."""
        distances = [self._distances(unit_rows(rows)) for rows in projections_of(looks)]
        joined = torch.cat(distances)
        return TermOutput(-(joined + _TINY).log().mean(), {"distance": joined.detach().mean()})

    def _distances(self, rows: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
        with torch.autocast(rows.device.type, enabled=False):
            others = rows_of_ranks(rows, term="koleo")
            neighbours = others[nearest(rows, others, own_places(rows, rank()))]
            distances: Tensor = torch.linalg.vector_norm(rows - neighbours + _TINY, dim=1)
            return distances


TERM = KoLeo
