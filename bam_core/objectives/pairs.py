"""What terms that compare the views of a sample share: two global views at least, and of two samples."""

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import errors_shared
from bam_core.errors import InputError
from bam_core.looks import PROJECTOR, Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


class PairTerm(nn.Module):
    """A loss of two views, averaged over all pairs of global views; local views are not used.

    Args:
        pair_loss: two (b, p) tensors of projections -> loss, the same in either order.
        head: that projects.

    Shape:
        One projection (b, p) a global view -> a number.

    Raises:
        InputError: in `wishes`, fewer than two global views, or a batch of one.

    Example:
        >>> def distance(a, b):
        ...     return (a - b).square().mean()
        >>> term, looks = PairTerm(distance), [Look(Wish(v), torch.zeros(4, 2), torch.ones(4, 2) * v) for v in (1, 2)]
        >>> term(looks, Drawn([torch.zeros(4, 3)] * 2, 2, 2)).loss
        tensor(1.)
    """

    def __init__(self, pair_loss: Callable[[Tensor, Tensor], Tensor], *, head: str = PROJECTOR) -> None:
        super().__init__()
        self.pair_loss = pair_loss
        self.head = head

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        check_comparable(drawn)
        return [Wish(view, head=self.head) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare all pairs."""
        outputs = projections_of(looks)
        with torch.autocast(outputs[0].device.type, enabled=False):
            losses = [self.pair_loss(a, b) for a, b in combinations(outputs, 2)]
        return with_cosine(torch.stack(losses).mean(), outputs)


def check_comparable(drawn: Drawn) -> None:
    """Raise an `InputError` where there is nothing to compare; batch normalisation needs two samples, too."""
    if drawn.n_global < 2:
        raise InputError(f"the objective expected at least two global views to compare; got {drawn.n_global}.")
    if drawn.batch_size < 2:
        raise InputError("the objective expected at least two samples in a batch; got one. Take larger batches.")


def check_several(term: str, drawn: Drawn) -> None:
    """Raise an `InputError` for a batch of one sample."""
    if drawn.batch_size < 2:
        raise InputError(f"{term} expected at least two samples in a batch; got one. Take larger batches.")


def with_cosine(loss: Tensor, outputs: Sequence[Float[Tensor, "b p"]]) -> TermOutput:
    """The loss beside the mean cosine of a sample's first two views: at 1 while RankMe falls, embeddings collapse."""
    with errors_shared():
        first, second = (unit_rows(rows.detach()) for rows in outputs[:2])
    return TermOutput(loss, {"positive_cosine": (first * second).sum(dim=1).mean()})


def check_positive(objective: str, **values: float | int) -> None:
    """Raise an `InputError` for a value that is not positive."""
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{objective} expected {name} > 0; got {value}.")
