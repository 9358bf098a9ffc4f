"""The term `feature_contrast`: a feature of one view goes with the same feature of another, and with no other."""

from collections.abc import Sequence
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.looks import Look, Wish
from bam_core.objectives.joined import rows_of_ranks
from bam_core.objectives.pairs import check_comparable, with_cosine
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn

_TINY = 1e-8  # below the roots, whose slope at zero is infinite


def unit_columns(rows: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Every feature at unit length over the samples; a feature of zeros stays zero."""
    unit: Tensor = rows / torch.linalg.vector_norm(rows, dim=0).clamp_min(_TINY)
    return unit


class FeatureContrast(nn.Module):
    r"""Redundancy reduction: with C(a, b) the cosines of the features of view a with those of view b over the samples,

    .. math:: \tfrac12 \sqrt{\mathrm{mean}\,(1 - C_{jj})^2} + \tfrac12 \sqrt{\mathrm{mean}_{i \ne j}\,C_{ij}^2},

    means over the features and over the ordered pairs of global views. Unlike Barlow Twins features are not centred,
    and the roots give both parts the same scale whatever the width. With a teacher view a is the teacher's. Over
    several ranks the samples are those of all, and every rank holds their rows; memory also grows with p^2.

    Args:
        teacher: whether the first view of a pair is the teacher's.

    Shape:
        A projection (b, p) of every global view, with a teacher also of the teacher -> a number.

    Raises:
        InputError: in `wishes`, fewer than two global views, or a batch of one.

    Source: Estepa et al., All4One, ICCV 2023, arXiv 2303.09417, section 3 (feature contrast).
    """

    def __init__(self, *, teacher: bool = False) -> None:
        super().__init__()
        self.teacher = teacher

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student, and with a teacher of the teacher."""
        check_comparable(drawn)
        views = range(drawn.n_global)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare the features of all pairs."""
        n = drawn.n_global
        outputs = projections_of(looks)
        with torch.autocast(outputs[0].device.type, enabled=False):
            views = [unit_columns(rows_of_ranks(rows, term="feature_contrast")) for rows in outputs]
            cosines = torch.stack([views[-n:][a].T @ views[b] for a, b in permutations(range(n), 2)])
            same = cosines.diagonal(dim1=1, dim2=2)
            p = cosines.shape[-1]
            unequal = (1 - same).square().mean()
            others = (cosines.square().sum() - same.square().sum()) / max(1, len(cosines) * p * (p - 1))
            loss = 0.5 * (unequal + _TINY).sqrt() + 0.5 * (others.clamp_min(0) + _TINY).sqrt()
        found = with_cosine(loss, outputs)
        return found._replace(scalars={**found.scalars, "unequal": unequal.detach(), "redundant": others.detach()})


TERM = FeatureContrast
