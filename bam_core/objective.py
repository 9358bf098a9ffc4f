"""BAMObjective: any encoder, any views, one loss. The five lines that a user writes stand in its docstring."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import world_size
from bam_core.loss.collapse import CollapseWatch, uniform_entropy
from bam_core.loss.definition import bam_loss, check_settings
from bam_core.loss.positives import MixedTargets, uniform_loss
from bam_core.loss.row_layout import ViewLayout
from bam_core.student import StudentObjective

DEFAULT_POSITIVE_WEIGHT = 0.5
"""Of `BAMObjective` and of the objective `bam` in recipes; `bam_loss` keeps the paper's 0."""

_WAY_OUT = (
    "Keep epsilon at a quarter of the temperature, make the views milder, lower the learning rate, or take a teacher "
    "(momentum=0.99)."
)


class BAMOutput(NamedTuple):
    """What `BAMObjective` returns: the fields of `BAMLossOutput`, and the embeddings of the views.

    Attributes:
        loss: cross-entropy of target and attention, in nats; differentiable.
        kl: what is left to learn, in nats; detached, like all below.
        target_entropy: mean entropy of the targets, in nats; with a weight on the positives, of the mixture.
        attention_entropy: mean entropy of the attention, in nats.
        column_error: largest relative deviation of a column total of the plan.
        uniform_loss: log of the columns that a row may attend to: the loss of an attention that knows nothing. Total
            collapse ends there; without a weight on the positives with a kl of zero.
        uniform_entropy: the most that `target_entropy` can be: that of a target that tells nobody apart.
        embeddings: (n_views * b, d) encoder outputs of all views, view-major.
        projections: (n_views * b, p) what the loss compares.
    """

    loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]
    uniform_loss: Float[Tensor, ""]
    uniform_entropy: Float[Tensor, ""]
    embeddings: Float[Tensor, "rows d"]
    projections: Float[Tensor, "rows p"]


class BAMObjective(StudentObjective):
    """Balanced self-attention matching around any encoder and any views.

    Args:
        encoder: module that maps a view (a tensor, or a dict or tuple of tensors) to (b, d) embeddings.
        view_fn: callable that maps a batch to a list of views or a `Views(global_views, local_views)`; it may take
            a `generator=` keyword. Every view holds the same b samples in the same order; shapes may differ. If it
            has a method `untouched(batch)`, that turns a batch into the view that `embed` shows the encoder.
        projector: module between embeddings and loss, (n, d) -> (n, p). Default: `Projector()`, which finds out d
            from the first batch; `nn.Identity()` for none.
        momentum: None for no teacher; else the momentum of an EMA teacher, a number or a function of the step.
        n_target: the first T global views are the attended columns. Default: all global views.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target; keep it below `temperature`. None: a quarter of it.
        iterations: Sinkhorn iterations.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out.
        positive_weight: part of the target that falls on the sample's own other views, in [0, 1], see `bam_loss`; 0 is
            the paper's loss, 1 is NT-Xent.
        micro_batch: rows that the encoder sees at a time, for batches that do not fit into memory. Loss and gradient
            are those of the whole batch, at the price of a second forward pass of the encoder.

    Raises:
        InputError: settings out of range; in `forward`, views or embeddings that do not fit.

    Warns:
        CollapseWarning: epsilon >= temperature; in training, once, when two looks a hundred steps apart see a collapse
            (`bam_core.loss.collapse`).

    Example:
        >>> encoder = nn.Linear(8, 4)
        >>> objective = BAMObjective(encoder, lambda x: [x + 0.1 * torch.randn_like(x) for _ in range(2)])
        >>> optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
        >>> for batch in torch.randn(2, 32, 8):
        ...     objective(batch).loss.backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     objective.update_teacher()
        >>> objective.embed(torch.randn(5, 8)).shape
        torch.Size([5, 4])

    Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        *,
        projector: nn.Module | None = None,
        momentum: float | Callable[[int], float] | None = None,
        n_target: int | None = None,
        temperature: float = 0.1,
        epsilon: float | None = None,
        iterations: int = 3,
        top_k: int | None = None,
        mask_positives: bool = True,
        positive_weight: float | None = None,
        micro_batch: int | None = None,
    ) -> None:
        super().__init__(encoder, view_fn, projector=projector, momentum=momentum, micro_batch=micro_batch)
        if positive_weight is None:
            positive_weight = DEFAULT_POSITIVE_WEIGHT if mask_positives else 0.0
        self.epsilon = check_settings(
            temperature=temperature,
            epsilon=epsilon,
            top_k=top_k,
            mask_positives=mask_positives,
            positive_weight=positive_weight,
        )
        self.n_target = n_target
        self.temperature = temperature
        self.iterations = iterations
        self.top_k = top_k
        self.mask_positives = mask_positives
        self._watch = CollapseWatch(_WAY_OUT)
        self.positive_weight = positive_weight

    def forward(self, batch: Any, *, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> BAMOutput:
        """Make views of a batch, embed them and compare.

        Args:
            batch: whatever `view_fn` takes.
            generator: random generator handed to `view_fn` if it takes one. Several: the batch is divided into as many
                equal parts, each with views from its own generator (`bam_core.views.draw_views` says what for).

        Returns:
            Loss, diagnostics and embeddings.

        Raises:
            InputError: views or embeddings that do not fit; see `bam_loss`.
        """
        drawn, embeddings, projections = self.see(batch, generator)
        teacher = None if self.teacher is None else self.teacher(drawn.views)[1]
        out = bam_loss(
            projections,
            teacher,
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
        n_views, n_global = drawn.n_views, drawn.n_global
        layout = ViewLayout(n_views, n_global, self.n_target or n_global, len(projections) // n_views)
        weight = self.positive_weight
        knows_nothing = uniform_loss(layout, positive_weight=weight, mask_positives=self.mask_positives)
        n_others = layout.n_target * (layout.batch_size * world_size() - self.mask_positives)
        of_balanced = out.kl.new_full((layout.n_global, 1), uniform_entropy(n_others, top_k=self.top_k))
        most = MixedTargets(layout, weight).entropies(of_balanced).mean()
        output = BAMOutput(
            *out,
            uniform_loss=torch.full_like(out.kl, knows_nothing),
            uniform_entropy=most,
            embeddings=embeddings.detach(),
            projections=projections.detach(),
        )
        if self.training and torch.is_grad_enabled():
            self._watch.look(output)
        return output
