"""The term `centroid_attraction`: all views of a sample are drawn to the centroid of its global views."""

from collections.abc import Sequence

import torch
from torch import nn

from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.pairs import check_comparable, with_cosine
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


class CentroidAttraction(nn.Module):
    r"""Squared distance of every view to the centroid of a sample's global views, the mean over views and samples of

    .. math:: |z^v_i - c_i|^2, \quad c_i = \tfrac1G \sum_{a \le G} t^a_i .

    Views z are the student's, local ones too. The centroid is of the teacher's rows t, without a gradient; or, with no
    teacher, of the student's own, with one. Rows are of unit length, or as they are; then the distance is divided by
    their width. Rows of other samples and ranks play no part, so alone this collapses: take a term that disperses.

    Over the views the mean squared distance is that of their own centroid to c plus their spread around it: the pull
    between the centroids of student and teacher and the pull among views in one.

    Args:
        teacher: whether the centroid is the teacher's.
        unit: compare rows of unit length.

    Shape:
        A projection (b, p) of every view, with a teacher also of it for every global view -> a number.

    Raises:
        InputError: in `wishes`, fewer than two global views, or a batch of one.

    Source: Moon et al., MSBReg, 2022, arXiv 2207.03552, the "multiview centroid loss" in our reading of abstract and
    figure 1. Without a teacher and of rows as they are it is the prediction loss of LeJEPA, arXiv 2511.08544.
    """

    def __init__(self, *, teacher: bool = False, unit: bool = True) -> None:
        super().__init__()
        self.teacher, self.unit = teacher, unit

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student, and with a teacher the global ones of the teacher."""
        check_comparable(drawn)
        own = [Wish(view) for view in range(drawn.n_views)]
        return [*own, *(Wish(view, "teacher") for view in range(drawn.n_global) if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare."""
        outputs = projections_of(looks)
        with torch.autocast(outputs[0].device.type, enabled=False):
            rows = [unit_rows(some) for some in outputs] if self.unit else outputs
            views = torch.stack(rows[: drawn.n_views])
            centre = torch.stack(rows[-drawn.n_global :] if self.teacher else rows[: drawn.n_global]).mean(dim=0)
            distances = (views - centre).square()
            loss = distances.sum(dim=-1).mean() if self.unit else distances.mean()
        return with_cosine(loss, outputs)


TERM = CentroidAttraction
