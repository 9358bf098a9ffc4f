r"""The BAM loss: match every view's attention with the balanced attention of the other views.

With P^(a) the balanced target of global view a and Q^(v) the attention of view v,

.. math:: L = \frac1G \sum_{a<G} \operatorname{mean}_{v \ne a} \operatorname{mean}_i
              \Big( - \sum_n P^{(a)}_{in} \log Q^{(v)}_{in} \Big).

A weight on the positives mixes them into the targets, see `bam_core.loss.positives`.

This file is the definition: dense, readable, differentiable twice. Every faster form (`bam_core.loss.dispatch`) is
tested against it.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, sections 3.1-3.3.
"""

import warnings
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import errors_shared, mean_over_ranks
from bam_core.diagnostics import entropy
from bam_core.errors import CollapseWarning, InputError
from bam_core.loss.attention import log_attention, unit_rows
from bam_core.loss.balancing import keep_top_k, sinkhorn
from bam_core.loss.dispatch import LossTerms, Method, choose_method, exact_terms
from bam_core.loss.positives import MixedTargets
from bam_core.loss.row_layout import ViewLayout, check_layout, gather_columns, own_mask, sample_mask


class BAMLossOutput(NamedTuple):
    """The loss and what explains it; all are scalars, over the rows of all ranks.

    Attributes:
        loss: mean cross-entropy of target and attention, in nats; differentiable.
        kl: `loss - target_entropy`, what is left to learn; detached, like all below.
        target_entropy: mean entropy of the targets, in nats: H(P), or with a `positive_weight` that of the mixture.
        attention_entropy: mean entropy H(Q) of the students' attention, in nats.
        column_error: largest relative deviation of a column total of the plan P, see `sinkhorn`.
    """

    loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]


def check_settings(
    *, temperature: float, epsilon: float | None, top_k: int | None, mask_positives: bool, positive_weight: float
) -> float:
    """Check the settings of the loss that need no batch.

    Returns:
        epsilon, or a quarter of the temperature if that is None.

    Raises:
        InputError: temperature, epsilon or top_k not positive; positive_weight outside [0, 1], or above 0 where
            positives take part in the balancing.

    Warns:
        CollapseWarning: epsilon >= temperature.
    """
    if not temperature > 0:
        raise InputError(f"bam_loss expected temperature > 0; got {temperature}. 0.1 is the default.")
    epsilon = temperature / 4 if epsilon is None else epsilon
    if not epsilon > 0:
        raise InputError(f"bam_loss expected epsilon > 0; got {epsilon}. None, the default, is temperature / 4.")
    if top_k is not None and top_k < 1:
        raise InputError(f"bam_loss expected top_k >= 1 or None; got {top_k}.")
    if not 0 <= positive_weight <= 1:
        raise InputError(f"bam_loss expected positive_weight in [0, 1]; got {positive_weight}. 0 is the paper's loss.")
    if positive_weight and not mask_positives:
        raise InputError(
            f"bam_loss expected mask_positives=True with positive_weight={positive_weight}; got False. The weight says "
            "how much of the target falls on positives, so the balanced rest has to leave them out."
        )
    if epsilon >= temperature:
        warnings.warn(
            f"epsilon={epsilon} >= temperature={temperature}: the target is not sharper than the attention that is "
            "to match it, so all embeddings collapse to one point (mean cosine 1) while the loss looks fine. Keep "
            "epsilon at a quarter of the temperature, half of it with a teacher or mild views.",
            CollapseWarning,
            stacklevel=3,
        )
    return epsilon


def bam_loss(
    student: Float[Tensor, "rows d"],
    teacher: Float[Tensor, "teacher_rows d"] | None = None,
    *,
    n_views: int = 2,
    n_global: int | None = None,
    n_target: int | None = None,
    temperature: float = 0.1,
    epsilon: float | None = None,
    iterations: int = 3,
    top_k: int | None = None,
    mask_positives: bool = True,
    positive_weight: float = 0.0,
    method: Method = "auto",
) -> BAMLossOutput:
    """Cross-entropy of the balanced targets and the students' attention, in float32 or better.

    With an initialised process group, columns, balancing and diagnostics span the rows of all ranks (which must pass
    equal shapes), and DistributedDataParallel's mean of the gradients is that of the joined batch.

    Args:
        student: (n_views * b, d) projections, view-major, of any length; global views first.
        teacher: (n_views * b, d) projections of a teacher for the same views. Targets and columns then come from
            it, and no gradient flows through them. Without it both come from `student`.
        n_views: views per sample, V.
        n_global: the first G views give targets; the others are students only. Default: all.
        n_target: the first T of the global views are the columns. Default: G.
        temperature: of the students' softmax attention, in units of cosine similarity, > 0.
        epsilon: regularisation of the balanced target, in units of cosine similarity, > 0, below `temperature`. None: a
            quarter of it. The paper has half of it, 0.05.
        iterations: Sinkhorn iterations, >= 0; 0 gives unbalanced targets.
        top_k: keep only the k largest entries of a row of the balanced target; positives with a weight do not count.
        mask_positives: leave a sample's own columns out of target and attention.
        positive_weight: w in [0, 1]: the target is w on the sample's columns of other views, 1 - w the balanced target,
            and the attention leaves out a row's own column only. 0 is the paper's loss, 1 is NT-Xent.
        method: how to compute it, with the same result: "dense" (readable, differentiable twice), "stored" (fast),
            "streaming" (memory linear in the batch), or "auto" by size and free memory; see `bam_core.loss.dispatch`.

    Returns:
        The differentiable loss and detached diagnostics.

    Raises:
        InputError: shapes or settings that do not fit, one sample in the global batch, a single view with a
            positive_weight, rows that are not finite or zero (on one rank of a CPU process group: on all of them).

    Example:
        >>> z = torch.randn(2 * 16, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
        >>> out = bam_loss(z)
        >>> out.loss.backward()
        >>> bool(out.kl > 0), tuple(z.grad.shape)
        (True, (32, 8))

    Source: ECCV 2024, arXiv 2408.02014, sections 3.1-3.3.
    """
    layout = check_layout(
        len(student), n_views=n_views, n_global=n_global, n_target=n_target, mask_positives=mask_positives
    )
    epsilon = check_settings(
        temperature=temperature,
        epsilon=epsilon,
        top_k=top_k,
        mask_positives=mask_positives,
        positive_weight=positive_weight,
    )
    if positive_weight and n_views == 1:
        raise InputError(
            f"bam_loss expected at least two views with positive_weight={positive_weight}; got one, which has no "
            "positives. Make another view, or pass positive_weight=0."
        )
    if teacher is not None and len(teacher) != len(student):
        raise InputError(f"bam_loss expected as many teacher as student rows; got {len(teacher)} and {len(student)}.")

    settings: dict[str, Any] = {
        "temperature": temperature,
        "epsilon": epsilon,
        "iterations": iterations,
        "top_k": top_k,
        "mask_positives": mask_positives,
        "positive_weight": positive_weight,
    }
    with torch.autocast(student.device.type, enabled=False):
        with errors_shared():
            rows = unit_rows(student, name="student embeddings")
            target_rows = None if teacher is None else unit_rows(teacher.detach(), name="teacher embeddings")
        chosen = choose_method(method, layout, rows)
        if chosen == "dense":
            local = _dense_terms(rows, target_rows, layout, **settings)
        else:
            local = exact_terms(rows, target_rows, layout, method=chosen, **settings)

        with torch.no_grad():
            loss, target_entropy, attention_entropy = mean_over_ranks(torch.stack(local[:3]))
        return BAMLossOutput(
            loss=local.loss + (loss - local.loss).detach(),
            kl=loss - target_entropy,
            target_entropy=target_entropy,
            attention_entropy=attention_entropy,
            column_error=local.column_error,
        )


def _dense_terms(
    rows: Float[Tensor, "n d"],
    target_rows: Float[Tensor, "n d"] | None,
    layout: ViewLayout,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
    top_k: int | None,
    mask_positives: bool,
    positive_weight: float,
) -> LossTerms:
    """The definition, for unit rows."""
    columns = gather_columns(rows if target_rows is None else target_rows, layout)
    mask = sample_mask(layout, rows.device) if mask_positives else None
    unattended = own_mask(layout, rows.device) if positive_weight else mask

    scores = rows @ columns.T
    target_scores = scores.detach() if target_rows is None else target_rows @ columns.T
    balanced = sinkhorn(target_scores, epsilon=epsilon, iterations=iterations, mask=mask)
    n_target_rows = layout.n_global * layout.batch_size
    targets = rearrange(balanced.plan[:n_target_rows], "(g b) m -> g b m", g=layout.n_global)
    if top_k is not None:
        targets = keep_top_k(targets, top_k)

    mixed = MixedTargets(layout, positive_weight)
    matched = matched_targets(targets, layout.n_views)
    if positive_weight:
        matched = torch.stack([target * share for target, share in zip(matched, mixed.balanced, strict=True)])
        matched = matched + _on_positives(mixed, rows)

    log_q = log_attention(scores, temperature=temperature, mask=unattended)
    finite_log_q = log_q if unattended is None else log_q.masked_fill(unattended, 0.0)
    finite_log_q = rearrange(finite_log_q, "(v b) m -> v b m", v=layout.n_views)
    cross_entropy = -(matched * finite_log_q).sum()
    with torch.no_grad():
        target_entropy, attention_entropy = mixed.entropies(entropy(targets)).mean(), entropy(log_q.exp()).mean()
    return LossTerms(
        cross_entropy / (layout.n_pairs * layout.batch_size), target_entropy, attention_entropy, balanced.column_error
    )


def matched_targets(targets: Float[Tensor, "g b m"], n_views: int) -> Float[Tensor, "v b m"]:
    """For every view, the sum of the targets that it is matched with: all but its own."""
    total = targets.sum(dim=0)
    if n_views == 1:
        return total[None]
    local = total.expand(n_views - len(targets), *total.shape)
    return torch.cat([total - targets, local])


def _on_positives(mixed: MixedTargets, like: Tensor) -> Float[Tensor, "v b m"]:
    """What the targets that a view is matched with hold at the positives, summed."""
    layout = mixed.layout
    positive = sample_mask(layout, like.device).view(layout.n_views, layout.batch_size, layout.n_target, -1)
    return (positive * mixed.on_positives(like)[:, None, :, None]).flatten(2)


class BAMLoss(nn.Module):
    """`bam_loss` with its settings kept; see there for their meaning.

    Example:
        >>> loss = BAMLoss(n_views=2)
        >>> loss(torch.randn(8, 4)).loss.ndim
        0
    """

    def __init__(
        self,
        *,
        n_views: int = 2,
        n_global: int | None = None,
        n_target: int | None = None,
        temperature: float = 0.1,
        epsilon: float | None = None,
        iterations: int = 3,
        top_k: int | None = None,
        mask_positives: bool = True,
        positive_weight: float = 0.0,
        method: Method = "auto",
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "n_views": n_views,
            "n_global": n_global,
            "n_target": n_target,
            "temperature": temperature,
            "epsilon": epsilon,
            "iterations": iterations,
            "top_k": top_k,
            "mask_positives": mask_positives,
            "positive_weight": positive_weight,
            "method": method,
        }

    def forward(
        self, student: Float[Tensor, "rows d"], teacher: Float[Tensor, "teacher_rows d"] | None = None
    ) -> BAMLossOutput:
        """The loss of one batch of projections, (n_views * b, d)."""
        return bam_loss(student, teacher, **self.settings)

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items())
