"""Two-dimensional layouts of embeddings: principal components, and t-SNE of a bounded draw."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from bam_core.probes.inputs import feature_matrix


class Layout(NamedTuple):
    """Positions of some rows.

    Attributes:
        positions: (k, 2).
        explained: part of the variance that the two axes hold; None for t-SNE.
    """

    positions: Float[np.ndarray, "k 2"]
    explained: float | None


def drawn(n: int, limit: int, seed: int) -> np.ndarray:
    """Ascending rows of a seeded draw of at most `limit` of n."""
    return np.sort(np.random.default_rng([seed, 3]).permutation(n)[:limit])


def pca_layout(embeddings: object) -> Layout:
    """The two largest principal components of the unit-length rows."""
    scores, variances = _components(embeddings)
    total = variances.sum()
    explained = float(variances[:2].sum() / total) if total > 0 else None
    return Layout(np.pad(scores[:, :2], ((0, 0), (0, max(0, 2 - scores.shape[1])))), explained)


def tsne_layout(embeddings: object, *, seed: int = 0) -> Layout:
    """t-SNE (scikit-learn) of the first 50 principal components of the unit-length rows, at least ten of them."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    scores, _ = _components(embeddings)
    perplexity = min(30.0, (len(scores) - 1) / 3)
    start = scores[:, :2] / max(float(scores[:, 0].std()), 1e-12) * 1e-4
    if start.shape[1] < 2:
        start = np.pad(start, ((0, 0), (0, 1)))
    model = TSNE(perplexity=perplexity, init=start.astype(np.float32), max_iter=500, random_state=seed)
    with threadpool_limits(1):  # a second thread on a busy core made 1,000 points take 20 s instead of 4 s
        return Layout(model.fit_transform(scores[:, :50]), None)


def _components(embeddings: object) -> tuple[np.ndarray, np.ndarray]:
    rows = torch.nn.functional.normalize(torch.from_numpy(feature_matrix(embeddings, name="embeddings")), dim=1)
    centred = (rows - rows.mean(dim=0)).double()
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    return (u * s).numpy(), s.square().numpy()
