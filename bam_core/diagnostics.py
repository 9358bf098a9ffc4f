"""Figures that tell a healthy run from a collapsed one, without labels: pure functions.

The loss alone does not: total collapse gives P = Q = uniform, a KL divergence of zero and a loss of log(N - T).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.errors import InputError
from bam_core.loss.attention import unit_rows

N_ROWS = 1024  # of the projections, for RankMe


def entropy(probabilities: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch"]:
    """Shannon entropy in nats over the last axis; zeros count as zero.

    Example:
        >>> entropy(torch.tensor([0.5, 0.5, 0.0]))
        tensor(0.6931)
    """
    entropies: Tensor = torch.special.entr(probabilities).sum(dim=-1)
    return entropies


def rankme(embeddings: Float[Tensor, "n d"], *, epsilon: float = 1e-7) -> float:
    """Effective rank: exp of the entropy of the normalised singular values, uncentred.

    Args:
        embeddings: (n, d) features before the projector; a few thousand rows are enough.
        epsilon: added to the normalised singular values, as in the source.

    Returns:
        A number from 1 (all rows on one line) to min(n, d).

    Raises:
        InputError: fewer than two rows, or values that are not finite.

    Example:
        >>> round(rankme(torch.eye(8)), 3)
        8.0

    Source: Garrido et al., "RankMe", ICML 2023, arXiv 2210.02885, equation 2.
    """
    if len(embeddings) < 2 or not embeddings.isfinite().all():
        raise InputError(f"rankme expected at least two finite rows; got {tuple(embeddings.shape)}.")
    singular_values = torch.linalg.svdvals(embeddings.cpu().double())  # not every device has float64
    p = singular_values / singular_values.sum().clamp_min(torch.finfo(torch.float64).tiny) + epsilon
    return float(torch.exp(-(p * p.log()).sum()))


def embedding_spread(embeddings: Float[Tensor, "n d"]) -> float:
    """One minus the mean cosine of two different rows: about 1 when spread out, 0 when collapsed.

    Args:
        embeddings: (n, d) with n >= 2, none of them zero.

    Returns:
        A number in [0, n / (n - 1)].

    Raises:
        InputError: fewer than two rows, or rows that are zero or not finite.

    Example:
        >>> round(embedding_spread(torch.ones(4, 4)), 6)
        0.0
    """
    if len(embeddings) < 2:
        raise InputError(f"embedding_spread expected at least two rows; got {len(embeddings)}.")
    n = len(embeddings)
    unit = unit_rows(embeddings.cpu().double())
    mean_cosine = (unit.sum(dim=0).square().sum() - n) / (n * (n - 1))
    return float(1 - mean_cosine)


def projections_rankme(projections: Float[Tensor, "n p"]) -> float:
    """RankMe of the first rows of projections, as far as they are finite and not zero; NaN for fewer than two."""
    rows = projections[:N_ROWS].detach().float().cpu()
    rows = rows[rows.isfinite().all(dim=1) & rows.any(dim=1)]
    return rankme(rows) if len(rows) > 1 else math.nan
