"""Similarities of every row to the attended columns, and the student's attention (method, steps 1-4 and 7).

Rows are view-major: row (v, i) = v * b + i. Columns are view-major, then rank, then sample. A row and a column
are *positives* when they show the same sample; both the target and the attention leave positives out.

Source: Shalam & Korman, "Unsupervised Representation Learning by Balanced Self Attention Matching",
ECCV 2024, arXiv 2408.02014, section 3.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bam_core.errors import InputError


def unit_rows(rows: Float[Tensor, "n d"], *, name: str = "embeddings") -> Float[Tensor, "n d"]:
    """Scale every row to unit length, in float32 or better.

    Args:
        rows: (n, d) floating-point vectors; half precision is promoted to float32.
        name: what the rows are, for the error messages.

    Returns:
        (n, d) rows of unit Euclidean length.

    Raises:
        InputError: a row holds NaN or infinity, or is the zero vector. Looking at the values would make the
            host wait for an accelerator, so on other devices than the CPU such a row yields NaN instead.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    rows = rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows
    norms: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    if rows.device.type == "cpu" and not torch.compiler.is_compiling():
        _check_norms(norms, name)
    return rows / norms


def _check_norms(norms: Float[Tensor, "n 1"], name: str) -> None:
    if not norms.isfinite().all():
        bad = int((~norms.isfinite()).sum())
        raise InputError(
            f"{name}: {bad} of {len(norms)} rows hold NaN or infinity. Look for NaN in the input data, lower the "
            "learning rate, or train in bf16 or fp32 instead of fp16."
        )
    if (norms == 0).any():
        bad = int((norms == 0).sum())
        raise InputError(
            f"{name}: {bad} of {len(norms)} rows are zero vectors, which have no direction to compare. Look for "
            "constant inputs, or for an encoder whose last layer is a ReLU that died."
        )


def positive_mask(row_samples: Int[Tensor, " n"], column_samples: Int[Tensor, " m"]) -> Bool[Tensor, "n m"]:
    """Mark the pairs of a row and a column that show the same sample.

    Args:
        row_samples: (n,) index of the sample that each row shows.
        column_samples: (m,) the same for the columns.

    Returns:
        (n, m) True where row and column are positives.

    Example:
        >>> positive_mask(torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1])).int().tolist()
        [[1, 0], [0, 1], [1, 0], [0, 1]]
    """
    return row_samples[:, None] == column_samples[None, :]


def log_attention(
    scores: Float[Tensor, "n m"], *, temperature: float = 0.1, mask: Bool[Tensor, "n m"] | None = None
) -> Float[Tensor, "n m"]:
    r"""Log of the softmax attention of each row, :math:`\log Q = \log\mathrm{softmax}(S / \tau)`.

    Args:
        scores: (n, m) cosine similarities.
        temperature: tau > 0, in units of cosine similarity.
        mask: (n, m) True where a column must not be attended.

    Returns:
        (n, m) log-probabilities; -inf on the mask.

    Example:
        >>> log_attention(torch.zeros(1, 4)).exp()
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    scores = scores / temperature
    if mask is not None:
        scores = scores.masked_fill(mask, -torch.inf)
    return scores.log_softmax(dim=-1)
