"""The objective `bam` of recipes: one term, `bam`, around any encoder and any views.

The docstring of `BAMObjective` shows a training loop.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from bam_core.objective import Objective
from bam_core.objectives.terms.bam import BAM
from bam_core.projector import Projector
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule
from bam_core.student import Generators


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
        uniform_entropy: the most that `target_entropy` can be: that of a target that is uniform
            over the other samples.
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


class BAMObjective(Objective):
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
        >>> import torch
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

    temperature: float
    epsilon: float
    n_target: int | None
    iterations: int
    top_k: int | None
    mask_positives: bool
    positive_weight: float

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
        term = BAM(
            teacher=momentum is not None,
            n_target=n_target,
            temperature=temperature,
            epsilon=epsilon,
            iterations=iterations,
            top_k=top_k,
            mask_positives=mask_positives,
            positive_weight=positive_weight,
        )
        super().__init__(
            encoder, view_fn, {"bam": term}, projector=projector, momentum=momentum, micro_batch=micro_batch
        )

    def __getattr__(self, name: str) -> Any:
        """The settings are the term's."""
        if name in BAMObjective.__annotations__:
            return getattr(self.terms["bam"], name)
        return super().__getattr__(name)

    def forward(self, batch: Any, *, generator: Generators = None) -> Any:
        """Make views of a batch, embed them and compare.

        Args:
            batch: whatever `view_fn` takes.
            generator: random generator handed to `view_fn` if it takes one. Several: the batch is divided into as many
                equal parts, each with views from its own generator (`bam_core.views.draw_views` says what for).

        Returns:
            A `BAMOutput`: loss, diagnostics and embeddings; with further terms, their numbers besides.

        Raises:
            InputError: views or embeddings that do not fit; see `bam_loss`.
        """
        out = super().forward(batch, generator=generator)
        return BAMOutput(**out._asdict()) if len(self.terms) == 1 else out


def make_bam(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    micro_batch: int | None = None,
    temperature: float = 0.1,
    epsilon: float | None = None,
    iterations: int = 3,
    n_target: int | None = None,
    top_k: int | None = None,
    mask_positives: bool = True,
    positive_weight: float | None = None,
    momentum: float | None = None,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    projector_standardize: bool = True,
) -> BAMObjective:
    """Balanced self-attention matching.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views.
        total_steps: length of the run in optimiser steps; filled in by the run.
        micro_batch: rows that the encoder sees at a time; filled in by `train.micro_batch`.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target. None: a quarter of `temperature`. The paper's
            half collapsed with strong views and no teacher in trials where a quarter did not (docs/results.md).
        iterations: Sinkhorn iterations.
        n_target: the first T global views are the attended columns; None for all.
        top_k: keep only the k largest entries of a target row; None for all.
        mask_positives: leave a sample's own columns out.
        positive_weight: part of the target that falls on the sample's own other views, in [0, 1]; 0 is the paper's
            loss, 1 is NT-Xent. None: a half, or 0 where positives are not masked.
        momentum: of an EMA teacher at the start; None for no teacher.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the projector's hidden layers.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        projector_standardize: set its input's shift and scale by the first batch, see `Standardize`.

    Returns:
        The objective.
    """
    return BAMObjective(
        encoder,
        view_fn,
        projector=Projector(
            hidden_features=projector_hidden,
            out_features=projector_out,
            n_layers=projector_layers,
            standardize=projector_standardize,
        ),
        momentum=None if momentum is None else CosineSchedule(momentum, final_momentum, total_steps),
        n_target=n_target,
        temperature=temperature,
        epsilon=epsilon,
        iterations=iterations,
        top_k=top_k,
        mask_positives=mask_positives,
        positive_weight=positive_weight,
        micro_batch=micro_batch,
    )
