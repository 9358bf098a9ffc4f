"""InfoNCE in blocks of rows: every row is to find its own column among all columns."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bam_core.views import recomputed

BLOCK = 1024  # rows whose scores with all columns are held at a time


def info_nce(
    rows: Float[Tensor, "b p"],
    columns: Float[Tensor, "n p"],
    own: Int[Tensor, " b"],
    *,
    temperature: float,
    block: int = BLOCK,
) -> Float[Tensor, ""]:
    r"""Cross-entropy of finding the own column, the mean over the rows of

    .. math:: -\log \frac{e^{\langle x_i, y_{o(i)} \rangle / \tau}}{\sum_j e^{\langle x_i, y_j \rangle / \tau}} .

    Memory grows with the number of rows and columns, not with their product: the scores of a block are computed a
    second time in the backward pass.

    Args:
        rows: x, usually of unit length.
        columns: y, those of all ranks.
        own: o, number of the column that belongs to each row.
        temperature: tau.
        block: rows at a time.

    Example:
        >>> eye = torch.eye(4)
        >>> round(info_nce(eye, eye, torch.arange(4), temperature=0.5).item(), 4)  # log(1 + 3 / e^2)
        0.3408

    Source: van den Oord et al., 2018, arXiv 1807.03748, equation 4.
    """

    def of_block(part: Tensor, place: Tensor, columns: Tensor) -> Tensor:
        scores = part @ columns.T / temperature
        return (scores.logsumexp(dim=1) - scores.gather(1, place[:, None])[:, 0]).sum()

    parts = zip(rows.split(block), own.split(block), strict=True)
    return torch.stack([recomputed(of_block, part, place, columns) for part, place in parts]).sum() / len(rows)
