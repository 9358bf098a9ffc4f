"""What BAM's peers share: what they return, their projector, and losses that compare views in pairs.

The peers see the encoder, views, batches and projector that BAM sees, and are trained by the same loop; only the loss,
and what belongs to it, differ. The losses are lightly's (extra `peers`), imported when an objective is made.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import errors_shared
from bam_core.errors import InputError
from bam_core.loss.attention import unit_rows
from bam_core.projector import Projector
from bam_core.student import StudentObjective, StudentViews
from bam_core.views import DrawnViews, batch_size

Generators = torch.Generator | Sequence[torch.Generator] | None


class PeerOutput(NamedTuple):
    """What a peer returns.

    Attributes:
        loss: differentiable; its size means something else for every method.
        positive_cosine: mean cosine between the outputs of a sample's first two views; detached. At 1 while RankMe
            falls, the embeddings collapse.
        embeddings: (n_views * b, d) encoder outputs of the views that the method looks at, view-major; detached.
    """

    loss: Float[Tensor, ""]
    positive_cosine: Float[Tensor, ""]
    embeddings: Float[Tensor, "rows d"]


class PeerObjective(StudentObjective):
    """What compares views of a sample: two of them at least, and of two samples, since batch normalisation needs both.

    Raises:
        InputError: in `forward`, fewer than two global views, a batch of one, or what `BAMObjective` says.
    """

    def check_views(self, drawn: DrawnViews) -> None:
        """Raise an `InputError` where there is nothing to compare."""
        if drawn.n_global < 2:
            raise InputError(f"the objective expected at least two global views to compare; got {drawn.n_global}.")
        if sum(batch_size(view) for view in drawn.views) == drawn.n_views:
            raise InputError("the objective expected at least two samples in a batch; got one. Take larger batches.")


class PairObjective(PeerObjective):
    """A loss of two views, averaged over all pairs of global views; local views are not looked at.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        pair_loss: two (b, p) tensors of projections -> loss, the same in either order.
        projector: see `BAMObjective`.

    Raises:
        InputError: in `forward`, fewer than two global views, or what `BAMObjective` says.

    Example:
        >>> def distance(a, b):
        ...     return (a - b).square().mean()
        >>> objective = PairObjective(nn.Linear(8, 4), lambda x: [x, x + 0.1], distance)
        >>> objective(torch.randn(32, 8)).loss.ndim
        0
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        pair_loss: Callable[[Tensor, Tensor], Tensor],
        *,
        projector: nn.Module | None = None,
    ) -> None:
        super().__init__(encoder, view_fn, projector=projector)
        self.pair_loss = pair_loss

    def forward(self, batch: Any, *, generator: Generators = None) -> PeerOutput:
        """Make views of a batch, embed them and compare; see `BAMObjective.forward`."""
        seen = self.see(batch, generator, local=False)
        outputs = views_of(seen.projections, seen.drawn.n_views)
        with torch.autocast(seen.projections.device.type, enabled=False):
            losses = [self.pair_loss(a, b) for a, b in combinations(outputs, 2)]
        return peer_output(torch.stack(losses).mean(), outputs, seen)


def peer_projector(hidden: int, out: int, n_layers: int, *, batch_norm: bool = True) -> Projector:
    """BAM's projector, with batch normalisation of its hidden layers as the papers of the peers have it."""
    return Projector(hidden_features=hidden, out_features=out, n_layers=n_layers, batch_norm=batch_norm)


def views_of(rows: Float[Tensor, "rows p"], n_views: int) -> list[Tensor]:
    """The rows of every view, in float32 or better."""
    return list((rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows).chunk(n_views))


def peer_output(loss: Tensor, outputs: Sequence[Tensor], seen: StudentViews) -> PeerOutput:
    """The loss beside what is worth a look."""
    with errors_shared():
        first, second = (unit_rows(rows.detach()) for rows in outputs[:2])
    return PeerOutput(loss, (first * second).sum(dim=1).mean(), seen.embeddings.detach())


def check_positive(objective: str, **values: float | int) -> None:
    """Raise an `InputError` for a value that is not positive."""
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{objective} expected {name} > 0; got {value}.")
