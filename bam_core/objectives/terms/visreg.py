"""The term `visreg`: features have mean 0 and deviation 1, and from random directions samples look normal."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.objectives.joined import rows_of_ranks
from bam_core.objectives.pairs import check_positive
from bam_core.objectives.random_directions import random_directions
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn, recomputed

BLOCK = 256  # directions that all samples are seen from at a time
_TINY = 1e-4  # beside a deviation


def distance_to_normal(
    rows: Float[Tensor, "n p"], directions: Float[Tensor, "p m"], *, block: int = BLOCK
) -> Float[Tensor, ""]:
    """Mean squared distance of sorted samples, seen from every direction, to the quantiles of a standard normal."""
    n = len(rows)
    places = torch.arange(1, n + 1, device=rows.device, dtype=torch.float32) / (n + 1)
    quantiles = torch.special.ndtri(places).to(rows.dtype)[:, None]

    def of_block(rows: Tensor, some: Tensor) -> Tensor:
        away: Tensor = (rows @ some).sort(dim=0).values - quantiles
        return away.square().sum()

    parts = [recomputed(of_block, rows, some) for some in directions.split(block, dim=1)]
    total: Tensor = torch.stack(parts).sum()
    return total / (n * directions.shape[1])


class VISReg(nn.Module):
    r"""Scale, shape and centre of the projections by themselves: the mean over all views of

    .. math:: w_s \,\mathrm{mean}_j (1 - s_j)^2 + w_c \,\mathrm{mean}_j\, m_j^2
        + w_f \,\mathrm{mean}_{a,i} \left( \langle a, \tilde z \rangle_{(i)} - q_i \right)^2

    with mean m and deviation s of every feature, :math:`\tilde z = (z - m) / s` without a gradient through s, random
    unit directions a, sorted samples (i) and the quantiles q of a standard normal. The last is the squared
    Wasserstein distance in one dimension. As s is held there, the slope is not that of the value, which may rise.
    All views share the directions, which are new at every call. Near a collapse the slope of the first part does
    not vanish, as that of `sigreg` does. Over several ranks the samples are those of all, and every rank holds
    their rows. Memory grows with the batch: directions are looked at in blocks.

    Args:
        scale: weight of the deviations.
        shape: weight of the distance to a normal.
        centre: weight of the means.
        n_directions: random directions; the authors' code has 4096.

    Shape:
        A projection (b, p) of every view -> a number, at least 0.

    Raises:
        InputError: settings out of range; in a call, one sample.

    Source: Wu et al., VISReg, 2026, arXiv 2606.02572, equations 1 to 6.
    """

    def __init__(
        self, *, scale: float = 1.0, shape: float = 1.0, centre: float = 1.0, n_directions: int = 1024
    ) -> None:
        super().__init__()
        check_positive("visreg", n_directions=n_directions)
        if min(scale, shape, centre) < 0:
            raise InputError(f"visreg expected weights >= 0; got {scale}, {shape} and {centre}.")
        self.scale, self.shape, self.centre, self.n_directions = scale, shape, centre, n_directions

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student."""
        return [Wish(view) for view in range(drawn.n_views)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look at features, and from random directions."""
        views = [rows_of_ranks(rows, term="visreg") for rows in projections_of(looks)]
        with torch.autocast(views[0].device.type, enabled=False):
            directions = random_directions(drawn, views[0].shape[1], self.n_directions, like=views[0])
            parts = torch.stack([self._of_view(rows, directions) for rows in views]).mean(dim=0)
            scale, shape, centre = parts.unbind()
            loss = self.scale * scale + self.shape * shape + self.centre * centre
        return TermOutput(loss, {"scale": scale.detach(), "shape": shape.detach(), "centre": centre.detach()})

    def _of_view(self, rows: Float[Tensor, "n p"], directions: Float[Tensor, "p m"]) -> Float[Tensor, "3"]:
        mean = rows.mean(dim=0)
        deviation = (rows.var(dim=0, correction=0) + _TINY**2).sqrt()
        shape = distance_to_normal((rows - mean) / (deviation.detach() + _TINY), directions)
        return torch.stack([(1 - deviation).square().mean(), shape, mean.square().mean()])


TERM = VISReg
