"""What an objective is made of: terms that say what they want looked at, and compare it.

A term returns its wishes for the views of a batch. The objective merges the wishes of all its terms, lets student and
teacher look once, and hands every term what it wished for (`bam_core.objective.Objective`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from bam_core.looks import Look, Wish
from bam_core.views import Drawn


class TermOutput(NamedTuple):
    """What a term returns.

    Attributes:
        loss: differentiable.
        scalars: name -> number that is worth a look; detached.
        projections: (n, p) rows that were compared, if their rank is worth a look; detached.
    """

    loss: Float[Tensor, ""]
    scalars: Mapping[str, Float[Tensor, ""]] = {}
    projections: Float[Tensor, "n p"] | None = None


class Comparison(NamedTuple):
    """What a term compares, for the estimate of a run's cost.

    Attributes:
        n_columns: views of a sample that every view of every sample of the batch is compared with; 0: the work grows
            with the batch, not with its square.
        iterations: of a balancing that the ranks do together.
    """

    n_columns: int = 0
    iterations: int = 0


class AttentionOf(NamedTuple):
    """What a report needs for a picture of attention.

    Attributes:
        projections: (n_views * b, p) rows that are compared, view-major; detached.
        n_views: views of a sample among them.
        temperature: of the attention.
        epsilon: regularisation of its target.
        iterations: of the target's balancing.
    """

    projections: Float[Tensor, "rows p"]
    n_views: int
    temperature: float
    epsilon: float
    iterations: int


@runtime_checkable
class Term(Protocol):
    """A part of an objective: an `nn.Module` with a loss of its own. Having the methods is enough.

    Attribute `heads`, if there: name -> module (n, d) -> (n, p), the heads that the term brings. They live in the
    student, so that the teacher has copies of them.

    Further methods, each optional:

    - `advice(output: TermOutput) -> str | None`: called at every training step; what is wrong, as one sentence that
      becomes a `CollapseWarning`, or None. Whoever watches the training leaves collapse to a term that has it.
    - `picture(looks) -> AttentionOf`: what a report draws, from the looks at the global views.
    - `cost(n_global) -> Comparison`: what the dry run cannot count.
    """

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """What to look at. No network is called here; random numbers come from `drawn.rand`.

        Args:
            drawn: the views of the batch.
            encoder: the student's, to ask for its grid of places.

        Raises:
            InputError: views that cannot be used.
        """
        ...

    def __call__(self, looks: Sequence[Look], drawn: Drawn, fraction: float) -> TermOutput:
        """Compare.

        Args:
            looks: one for every wish, in the same order.
            drawn: the views of the batch.
            fraction: of the run that is over, from 0 to 1; 0 where the length of the run is not known.
        """
        ...


def projections_of(looks: Sequence[Look]) -> list[Tensor]:
    """The projections of every look, which were wished for, in float32 or better."""
    return in_full_precision([look.projections for look in looks if look.projections is not None])


def in_full_precision(rows: Sequence[Tensor]) -> list[Tensor]:
    """The same in float32 or better."""
    return [some.float() if some.element_size() < 4 else some for some in rows]
