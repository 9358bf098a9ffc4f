"""The term `positive`: every row's attention falls on the other views of its own sample."""

from collections.abc import Sequence

from torch import nn

from bam_core.looks import Look, Wish, joined_rows
from bam_core.loss.definition import bam_loss, check_settings
from bam_core.terms import Comparison, TermOutput
from bam_core.views import Drawn


class Positive(nn.Module):
    r"""Cross-entropy of the attention with a target that is uniform over the sample's own other views.

    It is `bam_loss` with all of the weight on the positives: NT-Xent, and with a teacher NT-Xent to the teacher's
    columns. Every view is a student, the global views are attended to; the own column is never attended to. Over
    several ranks the columns are those of all. Memory grows with the batch, see `bam_core.loss.dispatch`.

    Beside `bam` with a `positive_weight` of 0 this pulls the views of a sample together with a weight of its own, and
    with a temperature of its own; `positive_weight` of `bam` itself mixes both targets into one attention.

    Args:
        temperature: of the attention.
        teacher: whether the columns are the teacher's.

    Shape:
        A projection (b, p) of every view -> a number, in nats.

    Raises:
        InputError: a temperature that is not positive; in a call, what `bam_loss` says.

    Source: Chen et al., SimCLR, ICML 2020, arXiv 2002.05709, equation 1, for any number of views.
    """

    def __init__(self, *, temperature: float = 0.1, teacher: bool = False) -> None:
        super().__init__()
        check_settings(temperature=temperature, epsilon=None, top_k=None, mask_positives=True, positive_weight=1.0)
        self.temperature = temperature
        self.teacher = teacher

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student, and with a teacher of the teacher."""
        views = range(drawn.n_views)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare every row with all columns."""
        rows = [look.projections for look in looks if look.projections is not None]
        n = drawn.n_views
        out = bam_loss(
            joined_rows(rows[:n]),
            joined_rows(rows[n:]) if self.teacher else None,
            n_views=n,
            n_global=drawn.n_global,
            temperature=self.temperature,
            iterations=1,  # of a target that has no weight
            positive_weight=1.0,
        )
        return TermOutput(out.loss, {"attention_entropy": out.attention_entropy})

    def cost(self, n_global: int) -> Comparison:
        """Every row with all columns."""
        return Comparison(n_global, 1)


TERM = Positive
