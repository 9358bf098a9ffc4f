"""Every row's nearest rows."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bam_core.search.index import find, is_approximate

BLOCK = 4096  # rows whose distances are computed together


class Graph(NamedTuple):
    """Nearest rows of each row, the nearest first, itself left out.

    Attributes:
        rows: (n, k).
        distances: (n, k) cosine distances, 1 - cosine, computed in float64: those of near-duplicates are tiny.
    """

    rows: Int[np.ndarray, "n k"]
    distances: Float[np.ndarray, "n k"]


def neighbour_graph(matrix: Float[np.ndarray, "n d"], k: int) -> Graph:
    """The k nearest other rows of each, fewer where there are fewer.

    Args:
        matrix: embeddings, at least two rows.
        k: how many.
    """
    n = len(matrix)
    k = min(k, n - 1)
    found = find(matrix, matrix, k=k + 1, approximate=is_approximate(n, None)).indices.numpy()
    is_self = found == np.arange(n)[:, None]
    is_self[~is_self.any(axis=1), -1] = True  # copies may have taken its place
    rows = found[~is_self].reshape(n, k)
    unit = unit_rows(matrix)
    distances = np.empty((n, k))
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        apart = unit[part, None] - unit[rows[part]]
        distances[part] = np.square(apart).sum(axis=2) / 2
    order = np.argsort(distances, axis=1, kind="stable")
    return Graph(np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1))


def unit_rows(matrix: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows of length one, in float64; zero rows stay."""
    rows = matrix.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30))
