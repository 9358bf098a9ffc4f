"""The term `neighbour`: a view's nearest neighbour among former samples is what the other view has to find."""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import nn

from bam_core.collectives import rank
from bam_core.looks import Look, Wish, joined_rows
from bam_core.loss.attention import unit_rows
from bam_core.objectives.contrast import info_nce
from bam_core.objectives.joined import own_places, rows_of_ranks
from bam_core.objectives.pairs import check_comparable, check_positive, with_cosine
from bam_core.objectives.predictor import PredictionHead
from bam_core.objectives.support_queue import SupportQueue
from bam_core.terms import Comparison, TermOutput, in_full_precision, projections_of
from bam_core.views import Drawn


class Neighbour(nn.Module):
    r"""Contrast with nearest neighbours: the mean over ordered pairs of global views (a, b) of

    .. math:: -\frac1n \sum_i \log \frac{e^{\langle N(z^a_i), q(z^b_i) \rangle / \tau}}
        {\sum_j e^{\langle N(z^a_i), q(z^b_j) \rangle / \tau}}

    with unit rows. N is the nearest row of a queue of the first views of former batches, which carries no gradient, and
    q a predictor. Without a queue N would be the row itself; so it is at the first step. With a teacher neighbours are
    looked for with its projections, and these fill the queue. Over several ranks queue and columns are those of all.
    Memory grows with the batch and the queue: scores are held in blocks.

    Args:
        queue_size: rows that the queue keeps. The paper has 98,304 for ImageNet; a queue longer than the data has
            several rows of a sample, which then finds itself.
        temperature: tau; 0.1 is the paper's.
        hidden: width of the predictor's hidden layer; the paper has 4096.
        teacher: look for neighbours with the teacher's projections.

    Shape:
        A projection (b, p) of every global view, with a teacher also of the teacher -> a number, in nats.

    Raises:
        InputError: settings that are not positive; in `wishes`, fewer than two global views, or a batch of one.

    Source: Dwibedi et al., NNCLR, ICCV 2021, arXiv 2104.14548, equations 2 and 3.
    """

    def __init__(
        self, *, queue_size: int = 4096, temperature: float = 0.1, hidden: int = 512, teacher: bool = False
    ) -> None:
        super().__init__()
        check_positive("neighbour", queue_size=queue_size, temperature=temperature, hidden=hidden)
        self.temperature, self.teacher = temperature, teacher
        self.predictor = PredictionHead(hidden)
        self.queue = SupportQueue(queue_size)

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student, and with a teacher of the teacher."""
        check_comparable(drawn)
        views = range(drawn.n_global)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look for neighbours, and for them among predictions."""
        n = drawn.n_global
        outputs = projections_of(looks)
        predicted = in_full_precision(self.predictor(joined_rows(outputs[:n])).chunk(n))
        with torch.autocast(outputs[0].device.type, enabled=False):
            sought = [unit_rows(rows.detach()) for rows in outputs[-n:]]
            near = [self.queue(rows)[:, 0] for rows in sought]
            columns = [rows_of_ranks(unit_rows(rows, name="predictions"), term="neighbour") for rows in predicted]
            own = own_places(sought[0], rank())
            losses = [
                info_nce(near[a], columns[b], own, temperature=self.temperature) for a, b in permutations(range(n), 2)
            ]
            if self.training and torch.is_grad_enabled():
                self.queue.push(sought[0])
        found = with_cosine(torch.stack(losses).mean(), outputs)
        closeness = (sought[0] * near[0]).sum(dim=1).mean()
        return found._replace(scalars={**found.scalars, "neighbour_cosine": closeness})

    def cost(self, n_global: int) -> Comparison:
        """Every row with those of the other views."""
        return Comparison(n_global - 1)


TERM = Neighbour
