"""Label-free criteria of embeddings: LiDAR, alpha-ReQ, and the agreement of neighbours between views."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.errors import InputError
from bam_core.loss.attention import unit_rows

RIDGE = 1e-4  # added to the scatter within samples, as in the source of LiDAR
SMALLEST = 1e-10  # part of the largest eigenvalue, below which the others are rounding


def lidar(views: Float[Tensor, "n q d"]) -> float:
    """LiDAR: effective rank of the scatter between samples, by that between views of one sample.

    Args:
        views: embeddings of q views of each of n samples.

    Returns:
        A number from 1 to min(n - 1, d): in how many directions samples differ more than their views do.

    Raises:
        InputError: fewer than two samples or views, or values that are not finite.

    Source: Thilak et al., "LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures", ICLR 2024,
    arXiv 2312.04000, equations 1 to 4.
    """
    n, q, d = views.shape
    if n < 2 or q < 2 or not views.isfinite().all():
        raise InputError(f"lidar expected finite embeddings of two samples and two views at least; got {(n, q, d)}.")
    rows = views.cpu().double()
    means = rows.mean(dim=1)
    between = torch.cov(means.T).reshape(d, d)
    away = (rows - means[:, None]).reshape(-1, d)
    within = away.T @ away / (n * (q - 1)) + RIDGE * torch.eye(d, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(within)
    root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    return _effective_rank(torch.linalg.eigvalsh(root @ between @ root).clamp_min(0))


def alpha_req(embeddings: Float[Tensor, "n d"]) -> float:
    """alpha-ReQ: how fast the eigenvalues of the covariance fall, as the exponent of a power law.

    Args:
        embeddings: of some rows.

    Returns:
        alpha of lambda_j ~ j^-alpha, by least squares on both logarithms: near 0, all directions alike; near 1, as in
        its source good representations have; large, a few directions hold everything. NaN with fewer than three
        eigenvalues that are not zero.

    Raises:
        InputError: fewer than two rows, or values that are not finite.

    Source: Agrawal et al., "alpha-ReQ: Assessing Representation Quality in Self-Supervised Learning by measuring
    eigenspectrum decay", NeurIPS 2022, section 3; over the whole spectrum.
    """
    if len(embeddings) < 2 or not embeddings.isfinite().all():
        raise InputError(f"alpha_req expected at least two finite rows; got {tuple(embeddings.shape)}.")
    centred = embeddings.cpu().double()
    centred = centred - centred.mean(dim=0)
    values = torch.linalg.svdvals(centred).square()
    values = values[values > SMALLEST * values.max().clamp_min(torch.finfo(torch.float64).tiny)]
    if len(values) < 3:
        return math.nan
    x, y = torch.arange(1, len(values) + 1, dtype=torch.float64).log(), values.log()
    x, y = x - x.mean(), y - y.mean()
    return float(-(x @ y) / (x @ x))


def view_agreement(first: Float[Tensor, "n d"], second: Float[Tensor, "m e"], *, k: int = 10) -> float:
    """How alike the neighbours of samples are in two views: the part of the k nearest that both name.

    Args:
        first: embeddings of a view of each sample.
        second: those of another view, in the same order and of the same shape.
        k: neighbours, at most n - 1.

    Returns:
        From k / (n - 1), chance, to 1.

    Raises:
        InputError: shapes that differ, or fewer than two rows.
    """
    if first.shape != second.shape or len(first) < 2:
        raise InputError(
            f"view_agreement expected two views of at least two samples; got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    k = min(k, len(first) - 1)
    named = []
    for view in (first, second):
        unit = unit_rows(view.cpu().double())
        cosines = (unit @ unit.T).fill_diagonal_(-torch.inf)
        named.append(torch.zeros_like(cosines).scatter_(1, cosines.topk(k, dim=1).indices, 1.0))
    return float((named[0] * named[1]).sum() / (k * len(first)))


def _effective_rank(values: Float[Tensor, " d"], epsilon: float = 1e-7) -> float:
    p = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny) + epsilon
    return float(torch.exp(-(p * p.log()).sum()))
