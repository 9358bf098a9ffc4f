"""Exact nearest neighbours by cosine, in blocks of bounded memory, and the kNN probe on top of them.

Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
arXiv 1805.01978, section 3.4: k neighbours vote with weights exp(cosine / temperature).
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bam_core.errors import InputError
from bam_core.labels.strata import is_real
from bam_core.probes.inputs import feature_matrix, labelled


class Neighbours(NamedTuple):
    """The nearest rows of a bank, nearest first.

    Attributes:
        cosines: (q, k) cosine similarities.
        indices: (q, k) rows of the bank.
    """

    cosines: Float[Tensor, "q k"]
    indices: Int[Tensor, "q k"]


@torch.no_grad()
def nearest(
    bank: Tensor,
    queries: Tensor,
    *,
    k: int = 20,
    query_block: int = 1024,
    bank_block: int = 16384,
) -> Neighbours:
    """The k rows of the bank with the largest cosine to each query, exactly.

    Memory beside inputs and result is one block of `query_block * bank_block` scores. A zero row has cosine 0 to all.

    Args:
        bank: (n, d) rows to search.
        queries: (q, d) rows to find neighbours for.
        k: how many, 1 <= k <= n.
        query_block: queries looked at together.
        bank_block: rows of the bank looked at together.

    Raises:
        InputError: widths that differ, or k out of range.

    Example:
        >>> nearest(torch.eye(3), torch.tensor([[0.1, 2.0, 1.0]]), k=2).indices
        tensor([[1, 2]])
    """
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1]:
        raise InputError(
            f"nearest expected a bank (n, d) and queries (q, d) of one width; got {tuple(bank.shape)} and "
            f"{tuple(queries.shape)}."
        )
    if not 1 <= k <= len(bank):
        raise InputError(f"nearest expected 1 <= k <= {len(bank)}, the rows of the bank; got k={k}.")
    bank = torch.nn.functional.normalize(bank, dim=1)
    queries = torch.nn.functional.normalize(queries, dim=1)
    cosines = queries.new_empty(len(queries), k)
    indices = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    for q in range(0, len(queries), query_block):
        block = queries[q : q + query_block]
        best = block.new_empty(len(block), 0)
        rows = torch.empty(len(block), 0, dtype=torch.int64, device=queries.device)
        for b in range(0, len(bank), bank_block):
            scores = block @ bank[b : b + bank_block].T
            top = scores.topk(min(k, scores.shape[1]), dim=1)
            best, rows = torch.cat([best, top.values], dim=1), torch.cat([rows, top.indices + b], dim=1)
            kept = best.topk(min(k, best.shape[1]), dim=1)
            best, rows = kept.values, rows.gather(1, kept.indices)
        cosines[q : q + query_block], indices[q : q + query_block] = best, rows
    return Neighbours(cosines, indices)


def knn_probe(
    train: Any, labels: np.ndarray, test: Any, *, n_classes: int | None = None, k: int = 20, temperature: float = 0.07
) -> Float[np.ndarray, "m c"]:
    """Class probabilities, or a number, from the weighted votes of the k nearest labelled rows of train.

    Args:
        train: (n, d) features, tensor or array.
        labels: (n,) class indices, -1 for no label; (n, c) 0/1 for multi-label data, a row of -1 for none; or (n,)
            real numbers (float), NaN for none.
        test: (m, d) features.
        n_classes: c; default: the largest label plus one, or the width of `labels`. Of real numbers c is 1.
        k: neighbours that vote. If train has fewer labelled rows, all of them vote.
        temperature: a neighbour's vote weighs exp(cosine / temperature).

    Returns:
        (m, c) the weighted mean of the neighbours' one-hot or 0/1 labels, or numbers. One-hot rows sum to one.

    Raises:
        InputError: features that do not fit or are not finite, or no labelled row.

    Example:
        >>> train = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> knn_probe(train, np.array([0, 0, 1]), np.array([[0.8, 0.2]]), k=2).tolist()
        [[1.0, 0.0]]
    """
    known = labelled(labels)
    if not known.any():
        raise InputError("knn_probe expected labelled rows in train; got none.")
    bank = torch.from_numpy(feature_matrix(train, len(labels), name="train features")[known])
    queries = torch.from_numpy(feature_matrix(test, name="test features"))
    real = is_real(labels)
    offset = float(labels[known].mean(dtype=np.float64)) if real else 0.0  # float32 holds what is left
    votes = torch.from_numpy((labels[known] - offset)[:, None] if real else labels[known])
    if votes.ndim == 1:
        votes = torch.nn.functional.one_hot(votes, n_classes or -1)
    votes = votes.float()
    found = nearest(bank, queries, k=min(k, len(bank)))
    weights = ((found.cosines - found.cosines[:, :1]) / temperature).exp()
    weights = weights / weights.sum(dim=1, keepdim=True)
    scores = torch.empty(len(queries), votes.shape[1])
    for q in range(0, len(queries), 1024):
        rows = slice(q, q + 1024)
        scores[rows] = torch.einsum("qk,qkc->qc", weights[rows], votes[found.indices[rows]])
    return scores.double().numpy() + offset if real else scores.numpy()
