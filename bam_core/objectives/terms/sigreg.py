"""The term `sigreg`: seen from random directions, the samples of a batch are distributed as a standard normal."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import all_gather, world_size
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.objectives.pairs import check_positive, check_several
from bam_core.objectives.random_directions import random_directions
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn, recomputed

BLOCK = 64  # directions that all samples are seen from at a time


def epps_pulley(
    rows: Float[Tensor, "b p"], directions: Float[Tensor, "p m"], *, knots: int, t_max: float, block: int = BLOCK
) -> Float[Tensor, ""]:
    r"""Mean over the directions of the statistic of Epps and Pulley, see `SIGReg`; in blocks of directions.

    Args:
        rows: of this rank; the statistic is that of all ranks.
        directions: of unit length, the same on every rank.
        knots: of the integral's trapezoids in [0, t_max].
        t_max: where the integral ends.
        block: directions at a time.
    """
    n = len(rows) * world_size()
    t = torch.linspace(0, t_max, knots, device=rows.device, dtype=rows.dtype)
    normal = (-t.square() / 2).exp()
    weight = 2 * normal * t_max / (knots - 1)  # twice, for the other side of zero
    weight = torch.cat([weight[:1] / 2, weight[1:-1], weight[-1:] / 2])

    def sums(rows: Tensor, some: Tensor) -> Tensor:
        angles = (rows @ some)[..., None] * t
        return torch.stack([angles.cos().sum(dim=0), angles.sin().sum(dim=0)])

    found = torch.cat([recomputed(sums, rows, some) for some in directions.split(block, dim=1)], dim=1)
    real, imaginary = all_gather(found).sum(dim=0) / n
    statistics: Tensor = n * (((real - normal).square() + imaginary.square()) @ weight)
    return statistics.mean()


class SIGReg(nn.Module):
    r"""Sketched isotropic Gaussian regularisation: the mean over random unit directions a, and over all views, of

    .. math:: n \int_{-t_{max}}^{t_{max}}
        \Big| \tfrac1n \sum_i e^{\mathrm{i} t \langle a, z_i \rangle} - e^{-t^2/2} \Big|^2 e^{-t^2/2}\, dt .

    That is the test of Epps and Pulley: it compares the characteristic function of the samples, as seen from a
    direction, with that of a standard normal. Projections are taken as they are, not at unit length. All views share
    the directions, which are new at every call. Over several ranks the samples are those of all: ranks exchange sums,
    no rows. Memory grows with the batch: directions are looked at in blocks. Samples that all lie at one point are
    drawn to zero and not apart, so this keeps from a collapse but does not lead out of one.

    Args:
        n_directions: random directions; 1024 are those of the authors' code.
        knots: of the integral's trapezoids, at least 2.
        t_max: where the integral ends.

    Shape:
        A projection (b, p) of every view -> a number, at least 0.

    Raises:
        InputError: settings out of range; in `wishes`, a batch of one.

    Source: Balestriero & LeCun, LeJEPA, 2025, arXiv 2511.08544, section 4; Epps & Pulley, 1983.
    """

    def __init__(self, *, n_directions: int = 1024, knots: int = 17, t_max: float = 3.0) -> None:
        super().__init__()
        check_positive("sigreg", n_directions=n_directions, t_max=t_max)
        if knots < 2:
            raise InputError(f"sigreg expected at least 2 knots of the integral; got {knots}. 17 is usual.")
        self.n_directions, self.knots, self.t_max = n_directions, knots, t_max

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student."""
        check_several("sigreg", drawn)
        return [Wish(view) for view in range(drawn.n_views)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look from random directions."""
        views = projections_of(looks)
        with torch.autocast(views[0].device.type, enabled=False):
            directions = random_directions(drawn, views[0].shape[1], self.n_directions, like=views[0])
            found = [epps_pulley(rows, directions, knots=self.knots, t_max=self.t_max) for rows in views]
            return TermOutput(torch.stack(found).mean())


TERM = SIGReg
