"""Clusters of embeddings, and whether there are any."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bam_core.curation.graph import unit_rows

MOST_CLUSTERS = 15
CLEAR = 0.1  # mean silhouette, below which clusters are cuts through one cloud
SAMPLED = 2000  # rows that the silhouette is computed of
AXES = 50  # principal components that clusters are sought in


class Clusters(NamedTuple):
    """Groups of rows that lie together.

    Attributes:
        of: (n,) number of the cluster, the largest first.
        typical: rows of each cluster, those nearest to its centre first.
        silhouette: mean over rows, from -1 to 1.
    """

    of: Int[np.ndarray, " n"]
    typical: list[Int[np.ndarray, " m"]]
    silhouette: float

    @property
    def clear(self) -> bool:
        """Whether they are more than cuts through one cloud."""
        return self.silhouette >= CLEAR


def clusters(matrix: Float[np.ndarray, "n d"], *, seed: int = 0) -> Clusters:
    """K-means of rows of length one, with the number of clusters, 2 to 15, of the largest silhouette.

    Args:
        matrix: embeddings.
        seed: of k-means, and of the rows that the silhouette is computed of.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    unit = unit_rows(matrix)
    n = len(unit)
    if n < 4 or np.ptp(unit, axis=0).max() < 1e-6:
        return Clusters(np.zeros(n, np.int64), [np.arange(n)], 0.0)
    best, score = np.zeros(n, np.int64), -1.0
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different rows than clusters
        rows = PCA(min(AXES, *unit.shape), random_state=seed).fit_transform(unit)
        sample = np.random.default_rng(seed).permutation(n)[:SAMPLED]
        for count in range(2, min(MOST_CLUSTERS, n // 2) + 1):
            found = MiniBatchKMeans(count, n_init=5, batch_size=4096, random_state=seed).fit_predict(rows)
            if 1 < len(np.unique(found[sample])) < len(sample):
                now = float(silhouette_score(rows[sample], found[sample]))
                best, score = (found, now) if now > score else (best, score)
    _, numbers, sizes = np.unique(best, return_inverse=True, return_counts=True)
    of = np.argsort(np.argsort(-sizes, kind="stable"))[numbers]
    return Clusters(of, [_from_centre(rows, np.flatnonzero(of == number)) for number in range(len(sizes))], score)


def _from_centre(rows: Float[np.ndarray, "n d"], members: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    away = np.linalg.norm(rows[members] - rows[members].mean(axis=0), axis=1)
    return members[np.argsort(away, kind="stable")]
