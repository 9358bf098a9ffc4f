"""The term `centroid`: what a small attention makes of a view's neighbours agrees with what it makes of another's."""

from collections.abc import Sequence
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import rank
from bam_core.errors import InputError
from bam_core.looks import Look, Wish, joined_rows
from bam_core.loss.attention import unit_rows
from bam_core.objectives.contrast import info_nce
from bam_core.objectives.joined import own_places, rows_of_ranks
from bam_core.objectives.pairs import check_comparable, check_positive, with_cosine
from bam_core.objectives.predictor import PredictionHead
from bam_core.objectives.support_queue import SupportQueue
from bam_core.terms import Comparison, TermOutput, in_full_precision, projections_of
from bam_core.views import Drawn


class Mixer(nn.Module):
    """Self-attention over a few rows; the first token that comes out is their centroid.

    Args:
        n_rows: how many.
        width: of the tokens, a multiple of `heads`.
        depth: layers.
        heads: of the attention.

    Shape:
        (b, n_rows, p) -> (b, width).

    Raises:
        InputError: a width that is no multiple of the heads.
    """

    def __init__(self, n_rows: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width < 1 or width % heads:
            raise InputError(
                f"centroid expected a width that is a multiple of its heads; got width {width}, {heads} heads."
            )
        self.enter = nn.LazyLinear(width)
        self.place = nn.Parameter(0.02 * torch.randn(n_rows, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Float[Tensor, "b n p"]) -> Float[Tensor, "b w"]:
        """Mix."""
        x = self.enter(rows) + self.place
        for layer in self.layers:
            x = layer(x)
        mixed: Tensor = self.norm(x[:, 0])
        return mixed


class Centroid(nn.Module):
    r"""Contrast of centroids: the mean over ordered pairs of global views (a, b) of InfoNCE between

    .. math:: c^a_i = A(N_1(z^a_i), \dots, N_k(z^a_i)) \quad\text{and}\quad
        s^b_i = A(q(z^b_i), N_1(z^b_i), \dots, N_{k-1}(z^b_i)).

    N are the k nearest rows of a queue of the first views of former batches, the nearest first; they carry no gradient.
    A is a small transformer whose first token is compared, as a unit row, and q a predictor, whose row takes the place
    of the last neighbour. With a teacher neighbours are looked for with its projections, and these fill the queue. Over
    several ranks queue and columns are those of all. Memory grows with the batch times `n_neighbours`, and the queue.

    Args:
        n_neighbours: k; 5 is the authors'.
        queue_size: rows that the queue keeps; see the term `neighbour`.
        temperature: of InfoNCE.
        hidden: width of the predictor's hidden layer.
        width: of the transformer's tokens, a multiple of its heads.
        depth: of its layers.
        heads: of its attention.
        teacher: look for neighbours with the teacher's projections.

    Shape:
        A projection (b, p) of every global view, with a teacher also of the teacher -> a number, in nats.

    Raises:
        InputError: settings out of range; in `wishes`, fewer than two global views, or a batch of one.

    Source: Estepa et al., All4One, ICCV 2023, arXiv 2303.09417, section 3 (three layers of eight heads over five
    neighbours). Ours: the transformer has a width of its own, learnt positions, no dropout and normalisation first.
    """

    def __init__(
        self,
        *,
        n_neighbours: int = 5,
        queue_size: int = 4096,
        temperature: float = 0.1,
        hidden: int = 512,
        width: int = 128,
        depth: int = 3,
        heads: int = 8,
        teacher: bool = False,
    ) -> None:
        super().__init__()
        check_positive("centroid", temperature=temperature, hidden=hidden, depth=depth)
        self.temperature, self.teacher = temperature, teacher
        self.predictor = PredictionHead(hidden)
        self.mixer = Mixer(n_neighbours, width, depth, heads)
        self.queue = SupportQueue(queue_size, n_neighbours)

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student, and with a teacher of the teacher."""
        check_comparable(drawn)
        views = range(drawn.n_global)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Make centroids and compare."""
        n = drawn.n_global
        outputs = projections_of(looks)
        predicted = self.predictor(joined_rows(outputs[:n])).chunk(n)
        sought = [unit_rows(rows.detach()) for rows in outputs[-n:]]
        near = [self.queue(rows) for rows in sought]
        shifted = [
            torch.cat([rows[:, None].to(others.dtype), others[:, :-1]], dim=1)
            for rows, others in zip(predicted, near, strict=True)
        ]
        mixed = in_full_precision(self.mixer(joined_rows([*near, *shifted])).chunk(2 * n))
        with torch.autocast(outputs[0].device.type, enabled=False):
            rows = [unit_rows(some, name="centroids") for some in mixed[:n]]
            columns = [rows_of_ranks(unit_rows(some, name="centroids"), term="centroid") for some in mixed[n:]]
            own = own_places(sought[0], rank())
            losses = [
                info_nce(rows[a], columns[b], own, temperature=self.temperature) for a, b in permutations(range(n), 2)
            ]
            if self.training and torch.is_grad_enabled():
                self.queue.push(sought[0])
        return with_cosine(torch.stack(losses).mean(), outputs)

    def cost(self, n_global: int) -> Comparison:
        """Every centroid with those of the other views."""
        return Comparison(n_global - 1)


TERM = Centroid
