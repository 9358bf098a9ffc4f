"""The term `brownian`: every embedding takes a small random step, which disperses what lies together."""

from collections.abc import Sequence

import torch
from torch import nn

from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.pairs import check_positive, check_several
from bam_core.objectives.random_directions import normal_from
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


class Brownian(nn.Module):
    r"""Diffusion on the sphere: every unit row is drawn to where a random step from it ends, the mean over rows of

    .. math:: 1 - \left\langle z_i, \frac{z_i + s\,\xi_i}{|z_i + s\,\xi_i|} \right\rangle,
        \quad \xi_i \sim N(0, I / p),

    without a gradient through the end of the step. The steps of all rows and views are independent and new at every
    call, so nothing is drawn anywhere on average. The value says nothing: it stays near
    :math:`1 - 1 / \sqrt{1 + s^2}`. No row knows of another: the work grows with the batch, and ranks exchange nothing.

    Args:
        step: s, length of a step, in radians where it is small.

    Shape:
        A projection (b, p) of every global view -> a number.

    Raises:
        InputError: a step that is not positive; in `wishes`, a batch of one; in a call, a projection of zero.

    Source: Moon et al., MSBReg, 2022, arXiv 2207.03552, the "Brownian diffusive loss" in our reading of abstract and
    figure 1; the formula and the length of a step are ours.
    """

    def __init__(self, *, step: float = 0.3) -> None:
        super().__init__()
        check_positive("brownian", step=step)
        self.step = step

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        check_several("brownian", drawn)
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Take a step from every row."""
        losses = []
        for rows in projections_of(looks):
            with torch.autocast(rows.device.type, enabled=False):
                z = unit_rows(rows)
                noise = normal_from(drawn.rand(z.shape[1], 2)).to(z.dtype) / z.shape[1] ** 0.5
                ends = unit_rows((z + self.step * noise).detach())
                losses.append(1 - (z * ends).sum(dim=1).mean())
        return TermOutput(torch.stack(losses).mean())


TERM = Brownian
