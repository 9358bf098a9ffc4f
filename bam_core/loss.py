r"""The BAM loss: match every view's attention with the balanced attention of the other views.

With P^(a) the balanced target of global view a and Q^(v) the attention of view v,

.. math:: L = \frac1G \sum_{a<G} \operatorname{mean}_{v \ne a} \operatorname{mean}_i
              \Big( - \sum_n P^{(a)}_{in} \log Q^{(v)}_{in} \Big).

This file is the definition: dense, readable, differentiable twice. Every faster form is tested against it.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, sections 3.1-3.3.
"""

import warnings
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bam_core.attention import log_attention, positive_mask, unit_rows
from bam_core.balancing import sinkhorn
from bam_core.diagnostics import entropy
from bam_core.distributed import gather, mean_over_ranks, rank, world_size
from bam_core.errors import CollapseWarning, InputError


class BAMLossOutput(NamedTuple):
    """The loss and what explains it; all are scalars, over the rows of all ranks.

    Attributes:
        loss: mean cross-entropy of target and attention, in nats; differentiable.
        kl: `loss - target_entropy`, what is left to learn; detached, like all below.
        target_entropy: mean entropy H(P) of the targets, in nats.
        attention_entropy: mean entropy H(Q) of the students' attention, in nats.
        column_error: largest relative deviation of a column total of the plan, see `sinkhorn`.
    """

    loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]


class ViewLayout(NamedTuple):
    """How the rows of one rank divide into views; see `check_layout`."""

    n_views: int
    n_global: int
    n_target: int
    batch_size: int

    @property
    def matches(self) -> list[tuple[int, int]]:
        """Pairs (student, target) of views that are compared: all different ones, or a single view with itself."""
        return [(v, a) for v in range(self.n_views) for a in range(self.n_global) if a != v] or [(0, 0)]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of views that are compared."""
        return len(self.matches)


def check_layout(
    n_rows: int, *, n_views: int, n_global: int | None, n_target: int | None, mask_positives: bool
) -> ViewLayout:
    """Check the numbers of views against the rows and fill in the defaults.

    Raises:
        InputError: counts out of order, rows not divisible by `n_views`, or nothing left to attend to.
    """
    n_global = n_views if n_global is None else n_global
    n_target = n_global if n_target is None else n_target
    if not 1 <= n_target <= n_global <= n_views:
        raise InputError(
            "bam_loss expected 1 <= n_target <= n_global <= n_views; got "
            f"n_target={n_target}, n_global={n_global}, n_views={n_views}."
        )
    if n_rows == 0 or n_rows % n_views:
        raise InputError(
            f"bam_loss expected embeddings of shape (n_views * b, d) with n_views={n_views}; got {n_rows} rows: "
            f"{n_rows} is not divisible by {n_views}, or zero. Drop the last partial batch or pass n_views."
        )
    batch_size = n_rows // n_views
    if batch_size * world_size() == 1 and (mask_positives or n_target == 1):
        raise InputError(
            "bam_loss expected at least two samples in the global batch; got one, which has nothing to attend to. "
            "Raise the batch size, or drop the last batch."
        )
    return ViewLayout(n_views, n_global, n_target, batch_size)


def check_sharpness(*, temperature: float, epsilon: float, top_k: int | None) -> None:
    """Check the positive settings of the loss.

    Raises:
        InputError: temperature, epsilon or top_k not positive.

    Warns:
        CollapseWarning: epsilon >= temperature.
    """
    if not temperature > 0:
        raise InputError(f"bam_loss expected temperature > 0; got {temperature}. 0.1 is the default.")
    if not epsilon > 0:
        raise InputError(f"bam_loss expected epsilon > 0; got {epsilon}. 0.05 is the default.")
    if top_k is not None and top_k < 1:
        raise InputError(f"bam_loss expected top_k >= 1 or None; got {top_k}.")
    if epsilon >= temperature:
        warnings.warn(
            f"epsilon={epsilon} >= temperature={temperature}: the target is not sharper than the attention that is "
            "to match it, so all embeddings collapse to one point (mean cosine 1) while the loss looks fine. Keep "
            "epsilon at about half the temperature.",
            CollapseWarning,
            stacklevel=3,
        )


def keep_top_k(plan: Float[Tensor, "g b m"], k: int) -> Float[Tensor, "g b m"]:
    """Keep the k columns that are largest in the mean over the views of a sample, and renormalise the rows."""
    if k >= plan.shape[-1]:
        return plan
    columns = plan.mean(dim=0).topk(k, dim=-1).indices
    kept = torch.zeros_like(plan[0], dtype=torch.bool).scatter_(-1, columns, True)
    plan = plan.masked_fill(~kept, 0.0)
    return plan / plan.sum(dim=-1, keepdim=True)


def bam_loss(
    student: Float[Tensor, "rows d"],
    teacher: Float[Tensor, "teacher_rows d"] | None = None,
    *,
    n_views: int = 2,
    n_global: int | None = None,
    n_target: int | None = None,
    temperature: float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
    top_k: int | None = None,
    mask_positives: bool = True,
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
        epsilon: regularisation of the balanced target, in units of cosine similarity, > 0, below `temperature`.
        iterations: Sinkhorn iterations, >= 0; 0 gives unbalanced targets.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out of target and attention.

    Returns:
        The differentiable loss and detached diagnostics.

    Raises:
        InputError: shapes or settings that do not fit, one sample in the global batch, rows that are not finite
            or zero.

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
    check_sharpness(temperature=temperature, epsilon=epsilon, top_k=top_k)
    if teacher is not None and len(teacher) != len(student):
        raise InputError(f"bam_loss expected as many teacher as student rows; got {len(teacher)} and {len(student)}.")

    with torch.autocast(student.device.type, enabled=False):
        rows = unit_rows(student, name="student embeddings")
        target_rows = rows if teacher is None else unit_rows(teacher.detach(), name="teacher embeddings")
        columns = gather_columns(target_rows, layout)
        mask = sample_mask(layout, student.device) if mask_positives else None

        scores = rows @ columns.T
        target_scores = scores.detach() if teacher is None else target_rows @ columns.T
        balanced = sinkhorn(target_scores, epsilon=epsilon, iterations=iterations, mask=mask)
        n_target_rows = layout.n_global * layout.batch_size
        targets = rearrange(balanced.plan[:n_target_rows], "(g b) m -> g b m", g=layout.n_global)
        if top_k is not None:
            targets = keep_top_k(targets, top_k)

        log_q = log_attention(scores, temperature=temperature, mask=mask)
        finite_log_q = log_q if mask is None else log_q.masked_fill(mask, 0.0)
        finite_log_q = rearrange(finite_log_q, "(v b) m -> v b m", v=n_views)
        local_loss = -(matched_targets(targets, n_views) * finite_log_q).sum() / (layout.n_pairs * layout.batch_size)

        with torch.no_grad():
            loss, target_entropy, attention_entropy = mean_over_ranks(
                torch.stack([local_loss.detach(), entropy(targets).mean(), entropy(log_q.exp()).mean()])
            )
        return BAMLossOutput(
            loss=local_loss + (loss - local_loss).detach(),
            kl=loss - target_entropy,
            target_entropy=target_entropy,
            attention_entropy=attention_entropy,
            column_error=balanced.column_error,
        )


def gather_columns(rows: Float[Tensor, "rows d"], layout: ViewLayout) -> Float[Tensor, "columns d"]:
    """Columns of all ranks: the first `n_target` views, ordered by view, then rank, then sample."""
    targets = rearrange(rows[: layout.n_target * layout.batch_size], "(t b) d -> t b d", t=layout.n_target)
    return rearrange(gather(targets), "r t b d -> (t r b) d")


def sample_mask(layout: ViewLayout, device: torch.device) -> Bool[Tensor, "rows columns"]:
    """Positives of this rank's rows among the columns of all ranks."""
    samples = torch.arange(world_size() * layout.batch_size, device=device)
    own = samples[rank() * layout.batch_size :][: layout.batch_size]
    return positive_mask(own.repeat(layout.n_views), samples.repeat(layout.n_target))


def matched_targets(targets: Float[Tensor, "g b m"], n_views: int) -> Float[Tensor, "v b m"]:
    """For every view, the sum of the targets that it is matched with: all but its own."""
    total = targets.sum(dim=0)
    if n_views == 1:
        return total[None]
    local = total.expand(n_views - len(targets), *total.shape)
    return torch.cat([total - targets, local])


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
        epsilon: float = 0.05,
        iterations: int = 3,
        top_k: int | None = None,
        mask_positives: bool = True,
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
        }

    def forward(
        self, student: Float[Tensor, "rows d"], teacher: Float[Tensor, "teacher_rows d"] | None = None
    ) -> BAMLossOutput:
        """The loss of one batch of projections, (n_views * b, d)."""
        return bam_loss(student, teacher, **self.settings)

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items())
