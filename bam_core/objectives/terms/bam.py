"""The term `bam`: every row's attention is drawn to the balanced attention of another view of its sample."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bam_core.collectives import world_size
from bam_core.looks import Look, Wish, joined_rows
from bam_core.loss.collapse import CollapseWatch, uniform_entropy
from bam_core.loss.definition import bam_loss, check_settings
from bam_core.loss.positives import MixedTargets, uniform_loss
from bam_core.loss.row_layout import ViewLayout
from bam_core.terms import AttentionOf, Comparison, TermOutput
from bam_core.views import Drawn

DEFAULT_POSITIVE_WEIGHT = 0.5
"""Of `BAMObjective` and of the objective `bam` in recipes; `bam_loss` keeps the paper's 0."""

_WAY_OUT = (
    "Keep epsilon at a quarter of the temperature, make the views milder, lower the learning rate, or take a teacher "
    "(momentum=0.99)."
)


class BAM(nn.Module):
    """Balanced self-attention matching of the projections of all views.

    The loss is that of `bam_loss`, and its work grows with the square of the batch, in blocks where that is large.

    Args:
        teacher: whether the targets, and the columns that are attended to, come from the teacher.
        n_target: the first T global views are the attended columns. Default: all global views.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target; keep it below `temperature`. None: a quarter of it.
        iterations: Sinkhorn iterations.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out.
        positive_weight: part of the target that falls on the sample's own other views, in [0, 1], see `bam_loss`. None:
            a half, or 0 where positives are not masked.

    Shape:
        One projection (b, p) a view -> a number.

    Raises:
        InputError: settings out of range; in a call, what `bam_loss` says.

    Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014.
    """

    def __init__(
        self,
        *,
        teacher: bool = False,
        n_target: int | None = None,
        temperature: float = 0.1,
        epsilon: float | None = None,
        iterations: int = 3,
        top_k: int | None = None,
        mask_positives: bool = True,
        positive_weight: float | None = None,
    ) -> None:
        super().__init__()
        if positive_weight is None:
            positive_weight = DEFAULT_POSITIVE_WEIGHT if mask_positives else 0.0
        self.epsilon = check_settings(
            temperature=temperature,
            epsilon=epsilon,
            top_k=top_k,
            mask_positives=mask_positives,
            positive_weight=positive_weight,
        )
        self.teacher = teacher
        self.n_target = n_target
        self.temperature = temperature
        self.iterations = iterations
        self.top_k = top_k
        self.mask_positives = mask_positives
        self.positive_weight = positive_weight
        self._watch = CollapseWatch(_WAY_OUT)

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student, and with a teacher of the teacher."""
        views = range(drawn.n_views)
        return [*map(Wish, views), *(Wish(view, "teacher") for view in views if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare; see `BAMOutput` for the scalars."""
        rows = _rows(looks[: drawn.n_views])
        out = bam_loss(
            rows,
            _rows(looks[drawn.n_views :]) if self.teacher else None,
            n_views=drawn.n_views,
            n_global=drawn.n_global,
            n_target=self.n_target,
            temperature=self.temperature,
            epsilon=self.epsilon,
            iterations=self.iterations,
            top_k=self.top_k,
            mask_positives=self.mask_positives,
            positive_weight=self.positive_weight,
        )
        layout = ViewLayout(drawn.n_views, drawn.n_global, self.n_target or drawn.n_global, len(rows) // drawn.n_views)
        knows_nothing = uniform_loss(layout, positive_weight=self.positive_weight, mask_positives=self.mask_positives)
        n_others = layout.n_target * (layout.batch_size * world_size() - self.mask_positives)
        of_balanced = out.kl.new_full((layout.n_global, 1), uniform_entropy(n_others, top_k=self.top_k))
        scalars = {
            **{name: value for name, value in out._asdict().items() if name != "loss"},
            "uniform_loss": torch.full_like(out.kl, knows_nothing),
            "uniform_entropy": MixedTargets(layout, self.positive_weight).entropies(of_balanced).mean(),
        }
        return TermOutput(out.loss, scalars, rows.detach())

    def advice(self, output: TermOutput) -> str | None:
        """Once, when two looks a hundred steps apart see a collapse."""
        return None if output.projections is None else self._watch.look(output.scalars, output.projections)

    def picture(self, looks: Sequence[Look]) -> AttentionOf:
        """The attention of the global views."""
        return AttentionOf(_rows(looks).detach(), len(looks), self.temperature, self.epsilon, self.iterations)

    def cost(self, n_global: int) -> Comparison:
        """Every row with all columns."""
        return Comparison(self.n_target or n_global, self.iterations)


def _rows(looks: Sequence[Look]) -> Tensor:
    return joined_rows([look.projections for look in looks if look.projections is not None])


TERM = BAM
