"""Sinkhorn on a stored kernel, for GPUs: exp((S - 1) / epsilon) in bfloat16, half the size of the scores.

An iteration is two matrix-vector products, which read the kernel once each: less than it takes to compute it anew. The
fixed shift serves all rows, as no cosine exceeds one. Roundings of single entries average out in the sums, and the plan
itself is computed afresh in the loss's last pass: only the columns' potential comes from here.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import mean_over_ranks
from bam_core.loss.blocks import Blocks
from bam_core.loss.products import times_vector


def stored_potential(
    blocks: Blocks, rows: Float[Tensor, "n d"], *, epsilon: float, iterations: int
) -> Float[Tensor, " m"]:
    """The columns' potential of Sinkhorn's last column scaling, up to a constant; for a `bounded` kernel.

    Args:
        blocks: of the columns.
        rows: (n, d) unit rows that give the targets.
        epsilon: regularisation of the target.
        iterations: Sinkhorn iterations.
    """
    if iterations == 0:
        return rows.new_zeros(blocks.n_columns)
    kernel = torch.empty(len(rows), blocks.n_columns, dtype=torch.bfloat16, device=rows.device)
    first = 0
    for start in blocks.starts:  # rows in the order of the blocks: sums do not ask for another
        block = blocks.rows_of(rows, start) / epsilon
        part = kernel[first : first + len(block)].split(blocks.width, dim=1)
        first += len(block)
        for t, tile in enumerate(part):
            out = blocks.buffer("target", t, len(block))
            tile.copy_(blocks.logits(block, start, t, out, keep=False).sub_(1 / epsilon).exp_())
    row_scaling, scaling = rows.new_ones(len(rows)), rows.new_ones(blocks.n_columns)
    for iteration in range(iterations):
        if iteration:
            row_scaling = 1 / times_vector(kernel, scaling)
        scaling = 1 / mean_over_ranks(times_vector(kernel.T, row_scaling))
    return scaling.log()
