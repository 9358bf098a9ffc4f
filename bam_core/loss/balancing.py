r"""Balance a matrix of similarities: the target of BAM (method, step 5).

The plan :math:`P = \mathrm{diag}(u)\, e^{S/\varepsilon}\, \mathrm{diag}(v)` is what Sinkhorn's iterations reach from
the kernel: every iteration scales all columns to the same total, then all rows to total one. Rows come last, so each
row is a distribution over the columns, and columns are balanced up to `column_error`.

Everything happens in the log domain, so no epsilon under- or overflows.

Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014, section 3.2; Cuturi, NeurIPS 2013, arXiv 1306.0895.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bam_core.collectives import logsumexp_over_ranks, max_over_ranks, world_size
from bam_core.errors import InputError


class Balanced(NamedTuple):
    """A balanced plan and how it came about.

    Attributes:
        log_plan: (n, m) log of the plan; rows sum to one, -inf on the mask.
        row_potential: (n,) log u.
        column_potential: (m,) log v. `log_plan = S / epsilon + row_potential[:, None] + column_potential`.
        column_error: () largest relative deviation of a column total from the mean column total.
    """

    log_plan: Float[Tensor, "n m"]
    row_potential: Float[Tensor, " n"]
    column_potential: Float[Tensor, " m"]
    column_error: Float[Tensor, ""]

    @property
    def plan(self) -> Float[Tensor, "n m"]:
        """(n, m) the plan itself; rows sum to one."""
        return self.log_plan.exp()


@torch.no_grad()
def sinkhorn(
    scores: Float[Tensor, "n m"],
    *,
    epsilon: float = 0.025,
    iterations: int = 3,
    mask: Bool[Tensor, "n m"] | None = None,
) -> Balanced:
    """Scale exp(scores / epsilon) so that columns have equal totals and rows sum to one.

    Rows of all ranks of an initialised process group take part; each rank passes and gets its own rows.

    Args:
        scores: (n, m) similarities; cosines in BAM.
        epsilon: entropic regularisation > 0, in units of `scores` (`reg` in POT). Small is sharp.
        iterations: K >= 0 pairs of column and row scalings. With 0 the rows are only normalised.
        mask: (n, m) True where the plan must be zero.

    Returns:
        The plan, its potentials and the column error. No gradient flows through it.

    Raises:
        InputError: epsilon <= 0 or iterations < 0.

    Example:
        >>> balanced = sinkhorn(torch.eye(3), epsilon=0.5, iterations=50)
        >>> bool(balanced.column_error < 1e-5), torch.allclose(balanced.plan.sum(dim=1), torch.ones(3))
        (True, True)
    """
    if not epsilon > 0:
        raise InputError(f"sinkhorn expected epsilon > 0; got {epsilon}. 0.025 is the default.")
    if iterations < 0:
        raise InputError(f"sinkhorn expected iterations >= 0; got {iterations}. 3 is the default.")
    log_kernel = (scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores) / epsilon
    if mask is not None:
        log_kernel = log_kernel.masked_fill(mask, -torch.inf)

    column_potential = log_kernel.new_zeros(scores.shape[1])
    row_potential = log_kernel.new_zeros(scores.shape[0])
    for _ in range(iterations):
        column_potential = -logsumexp_over_ranks((log_kernel + row_potential[:, None]).logsumexp(dim=0))
        row_potential = -(log_kernel + column_potential).logsumexp(dim=1)
    if iterations == 0:
        row_potential = -log_kernel.logsumexp(dim=1)
    log_plan = log_kernel + row_potential[:, None] + column_potential

    log_totals = logsumexp_over_ranks(log_plan.logsumexp(dim=0))
    log_mean = math.log(scores.shape[0] * world_size() / scores.shape[1])
    column_error = max_over_ranks(((log_totals - log_mean).exp() - 1).abs().max())
    return Balanced(log_plan, row_potential, column_potential, column_error)


def keep_top_k(plan: Float[Tensor, "g b m"], k: int) -> Float[Tensor, "g b m"]:
    """Keep the k columns that are largest in the mean over the views of a sample, and renormalise the rows."""
    if k >= plan.shape[-1]:
        return plan
    columns = plan.mean(dim=0).topk(k, dim=-1).indices
    kept = torch.zeros_like(plan[0], dtype=torch.bool).scatter_(-1, columns, True)
    plan = plan.masked_fill(~kept, 0.0)
    return plan / plan.sum(dim=-1, keepdim=True)
