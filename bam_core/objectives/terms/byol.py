"""The term `byol`: a predictor on the student guesses the teacher's projection of another view."""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import nn

from bam_core.batch_norm import with_global_batch_norm
from bam_core.config.registry import extra
from bam_core.looks import Look, Wish, joined_rows
from bam_core.objectives.pairs import check_comparable, with_cosine
from bam_core.terms import TermOutput, in_full_precision, projections_of
from bam_core.views import Drawn


class BYOL(nn.Module):
    """Prediction of the teacher's projections, over all ordered pairs of global views; no local views.

    The loss is 2 - 2 cos as in the paper, from 0 to 4 (lightly's `NegativeCosineSimilarity`). The predictor is
    lightly's `BYOLPredictionHead`, with batch normalisation in its hidden layer. Rows of other ranks play no part.

    Args:
        projector_hidden: width of the predictor's hidden layer.
        projector_out: width of projections and predictions.

    Shape:
        A projection (b, projector_out) of student and teacher for each global view -> a number.

    Raises:
        InputError: in `wishes`, fewer than two global views, or a batch of one.
        MissingExtraError: lightly is not installed.

    Source: Grill et al., NeurIPS 2020, arXiv 2006.07733, section 3.
    """

    def __init__(self, *, projector_hidden: int = 512, projector_out: int = 256) -> None:
        with extra("peers", "objective 'byol'"):
            from lightly.loss import NegativeCosineSimilarity
            from lightly.models.modules import BYOLPredictionHead
        super().__init__()
        self.predictor = with_global_batch_norm(BYOLPredictionHead(projector_out, projector_hidden, projector_out))
        self._negative_cosine = NegativeCosineSimilarity()

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of both."""
        check_comparable(drawn)
        views = range(drawn.n_global)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Predict and compare."""
        n = drawn.n_global
        rows = joined_rows([look.projections for look in looks[:n] if look.projections is not None])
        predictions = in_full_precision(self.predictor(rows).chunk(n))
        targets = projections_of(looks[n:])
        with torch.autocast(rows.device.type, enabled=False):
            pairs = permutations(range(n), 2)
            losses = [2 + 2 * self._negative_cosine(predictions[a], targets[b]) for a, b in pairs]
        return with_cosine(torch.stack(losses).mean(), targets)


TERM = BYOL
