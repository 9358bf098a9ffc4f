"""Figures of embeddings that need no labels: RankMe and spread, of untrained and trained alike."""

from typing import Any, NamedTuple

import numpy as np
import torch

from bam_core.diagnostics import embedding_spread, rankme
from bam_core.probes.inputs import feature_matrix


class EmbeddingFigures(NamedTuple):
    """What embeddings say without labels.

    Attributes:
        width: number of columns.
        rankme: effective rank, from 1 (all on one line) to the smaller of rows and width; None below two rows.
        spread: one minus the mean cosine of two rows: about 1 when spread out, 0 when all point in one direction.
    """

    width: int
    rankme: float | None
    spread: float | None

    @property
    def one_direction(self) -> bool:
        """Whether nearly all rows point in one direction; an untrained encoder's often do, and it may still learn."""
        return self.spread is not None and self.spread < 0.02


def describe_embeddings(embeddings: Any, *, max_rows: int = 2048, seed: int = 0) -> EmbeddingFigures:
    """RankMe and spread of (n, d) embeddings, of a seeded draw of rows if there are many. Zero rows are left out.

    Raises:
        InputError: no (n, d) numbers, or values that are not finite.

    Example:
        >>> describe_embeddings(torch.eye(4))
        EmbeddingFigures(width=4, rankme=4.0, spread=1.0)
    """
    rows = feature_matrix(embeddings, name="embeddings")
    width = rows.shape[1]
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    if len(rows) > max_rows:
        rows = rows[np.random.default_rng(seed).choice(len(rows), max_rows, replace=False)]
    if len(rows) < 2:
        return EmbeddingFigures(width, None, None)
    tensor = torch.from_numpy(rows)
    return EmbeddingFigures(width, round(rankme(tensor), 3), round(embedding_spread(tensor), 4))
