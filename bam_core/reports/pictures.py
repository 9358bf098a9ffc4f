"""What the pictures of a report show, computed but not drawn: maps, attention, neighbours, samples with their views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bam_core.errors import InputError
from bam_core.loss.attention import log_attention, positive_mask, unit_rows
from bam_core.loss.balancing import sinkhorn
from bam_core.probes.inputs import feature_matrix
from bam_core.views import map_tensors

Sample = Any  # one sample of a view: what the modality's `draw` takes


@dataclass(frozen=True)
class EmbeddingMap:
    """Embeddings, of test as a rule, to be laid out in two dimensions, beside those of the untrained encoder.

    Attributes:
        embeddings: (n, d) tensor or array.
        untrained: (n, d) of the same rows, or None.
        labels: (n,) class indices, -1 for none; or (n, c) 0/1; or None.
        classes: names of the classes.
        groups: (n,) what each row belongs to, such as a person, or None.
        ids: (n,) names of the rows; numbers if there are none.
        max_points: of the PCA map; a seeded draw beyond.
        max_tsne_points: of the t-SNE map, which takes about two seconds for 1,000 points; 0 leaves it out.
        seed: of the draws and of t-SNE.
    """

    embeddings: Any
    untrained: Any = None
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()
    groups: np.ndarray | None = None
    ids: Sequence[str] = ()
    max_points: int = 3000
    max_tsne_points: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Gallery:
    """Samples with their views.

    Attributes:
        samples: untouched samples.
        views: for each sample its views.
        names: a line on each sample.
    """

    samples: Sequence[Sample]
    views: Sequence[Sequence[Sample]]
    names: Sequence[str] = ()

    @classmethod
    def of_batch(cls, untouched: Any, views: Sequence[Any], names: Sequence[str] = (), *, count: int = 4) -> "Gallery":
        """The first `count` samples of a batch: `untouched` and each of `views` hold the whole batch."""
        count = min(count, len(_first_leaf(untouched)))
        return cls(
            samples=[take_sample(untouched, i) for i in range(count)],
            views=[[take_sample(view, i) for view in views] for i in range(count)],
            names=list(names)[:count],
        )


@dataclass(frozen=True)
class AttentionPicture:
    """The balanced target and the attention of one batch, summed over views: who attends to whom.

    Attributes:
        plan: (b, b) P; a row sums to one.
        attention: (b, b) Q.
        labels: (b,) class indices of the sorted rows, -1 for none, or None.
        classes: names of the classes.
        temperature: of Q.
        epsilon: of P.
    """

    plan: Float[np.ndarray, "b b"]
    attention: Float[np.ndarray, "b b"]
    labels: Int[np.ndarray, " b"] | None = None
    classes: Sequence[str] = ()
    temperature: float = 0.1
    epsilon: float = 0.025

    @classmethod
    def of_projections(
        cls,
        projections: Float[Tensor, "rows d"],
        *,
        n_views: int = 2,
        temperature: float = 0.1,
        epsilon: float | None = None,
        iterations: int = 3,
        labels: np.ndarray | None = None,
        classes: Sequence[str] = (),
    ) -> "AttentionPicture":
        """Compute P and Q of a batch as the loss does without a weight on positives, rows and columns sorted.

        They are sorted by label where labels are given (one class a row), and within a class, or without labels,
        along the first principal component.

        Args:
            projections: (n_views * b, d) what the loss sees of the global views, view-major.
            n_views: number of these views.
            temperature: of the attention.
            epsilon: of the target; None: a quarter of `temperature`.
            iterations: of Sinkhorn's balancing.
            labels: (b,) class indices, -1 for none.
            classes: names of the classes.

        Raises:
            InputError: rows that are not divisible by `n_views`, or labels that do not fit.
        """
        rows = projections.detach().cpu().float()
        if len(rows) % n_views or len(rows) < 2 * n_views:
            raise InputError(
                f"AttentionPicture expected (n_views * b, d) projections with n_views={n_views}, b >= 2; got "
                f"{tuple(rows.shape)}."
            )
        b = len(rows) // n_views
        if labels is not None and np.shape(labels) != (b,):
            raise InputError(f"AttentionPicture expected one class index a sample, ({b},); got {np.shape(labels)}.")
        if labels is not None and not len(classes):
            classes = [str(c) for c in range(int(np.max(labels, initial=-1)) + 1)]
        unit = unit_rows(rows)
        sample = torch.arange(b).repeat(n_views)
        mask = positive_mask(sample, sample)
        epsilon = temperature / 4 if epsilon is None else epsilon
        scores = unit @ unit.T
        plan = sinkhorn(scores, epsilon=epsilon, iterations=iterations, mask=mask).plan
        attention = log_attention(scores, temperature=temperature, mask=mask).exp()
        centred = unit[:b] - unit[:b].mean(dim=0)
        position = (centred @ torch.linalg.svd(centred, full_matrices=False).Vh[0]).numpy()
        order = np.lexsort((position,) if labels is None else (position, np.where(labels < 0, len(classes), labels)))

        def between_samples(matrix: Tensor) -> np.ndarray:
            summed = matrix.reshape(n_views, b, n_views, b).sum(dim=2).mean(dim=0).numpy()
            return np.asarray(summed[np.ix_(order, order)])

        return cls(
            plan=between_samples(plan),
            attention=between_samples(attention),
            labels=None if labels is None else np.asarray(labels)[order],
            classes=classes,
            temperature=temperature,
            epsilon=epsilon,
        )

    def share_within_class(self, matrix: Float[np.ndarray, "b b"]) -> float | None:
        """Part of a matrix that falls on pairs of one class; None without labels."""
        if self.labels is None or not (self.labels >= 0).any():
            return None
        known = self.labels >= 0
        same = self.labels[known, None] == self.labels[None, known]
        part = matrix[np.ix_(known, known)]
        return float(part[same].sum() / part.sum())

    @property
    def chance_within_class(self) -> float | None:
        """What that part would be if every sample attended to all others alike."""
        return self.share_within_class(1.0 - np.eye(len(self.plan)))


@dataclass(frozen=True)
class NeighbourRows:
    """Queries and their nearest neighbours.

    Attributes:
        queries: the samples asked for.
        query_names: a label or an id for each.
        neighbours: for each query its neighbours, nearest first.
        names: for each query the labels or ids of its neighbours.
        query_ids: names of the rows asked for, where `query_names` are labels; else empty.
        ids: the same of the neighbours.
        cosines: (q, k).
        same: (q, k) whether the label is the query's, or None without labels.
        other_groups: whether neighbours come from other groups than the query.
    """

    queries: Sequence[Sample]
    query_names: Sequence[str]
    neighbours: Sequence[Sequence[Sample]]
    names: Sequence[Sequence[str]]
    cosines: Float[np.ndarray, "q k"]
    query_ids: Sequence[str] = ()
    ids: Sequence[Sequence[str]] = ()
    same: np.ndarray | None = None
    other_groups: bool = False

    @classmethod
    def find(
        cls,
        embeddings: Any,
        sample: Callable[[int], Sample],
        *,
        queries: Sequence[int] | None = None,
        labels: np.ndarray | None = None,
        classes: Sequence[str] = (),
        groups: np.ndarray | None = None,
        ids: Sequence[str] | None = None,
        k: int = 5,
        seed: int = 0,
    ) -> "NeighbourRows":
        """Look up the nearest rows of a few queries among all others, in other groups where there are groups.

        Args:
            embeddings: (n, d) tensor or array.
            sample: index of a row -> its sample, untouched.
            queries: rows to ask for. Default: one of each of the first five classes that occur, or five at random.
            labels: (n,) class indices, -1 for none; multi-label data has no names here, pass `ids`.
            classes: names of the classes.
            groups: (n,) whose rows belong together; a query's own group is left out if there are others.
            ids: names of the rows.
            k: neighbours of each query.
            seed: of the choice of queries.

        Raises:
            InputError: embeddings that are not finite, or fewer than two rows.
        """
        rows = torch.from_numpy(feature_matrix(embeddings, name="embeddings"))
        if len(rows) < 2:
            raise InputError(f"NeighbourRows expected at least two embeddings; got {len(rows)}.")
        labels = labels if labels is not None and labels.ndim == 1 else None
        chosen = _queries(len(rows), labels, seed) if queries is None else list(queries)
        unit = torch.nn.functional.normalize(rows, dim=1)
        cosines = unit[chosen] @ unit.T
        other_groups = groups is not None and len(np.unique(groups)) > 1
        own = np.arange(len(rows)) == np.array(chosen)[:, None]
        if groups is not None and other_groups:
            own = groups == groups[chosen][:, None]
        cosines[torch.from_numpy(own)] = -torch.inf
        k = min(k, int((~own).sum(axis=1).min()))
        found = cosines.topk(k, dim=1)

        def name(row: int) -> str:
            if labels is not None and labels[row] >= 0:
                return str(classes[labels[row]]) if len(classes) else str(labels[row])
            return str(ids[row]) if ids is not None else f"row {row}"

        def row_id(row: int) -> str:
            return str(ids[row]) if labels is not None and labels[row] >= 0 and ids is not None else ""

        indices = found.indices.tolist()
        return cls(
            queries=[sample(row) for row in chosen],
            query_names=[name(row) for row in chosen],
            neighbours=[[sample(row) for row in found_rows] for found_rows in indices],
            names=[[name(row) for row in found_rows] for found_rows in indices],
            cosines=found.values.numpy(),
            query_ids=[row_id(row) for row in chosen],
            ids=[[row_id(row) for row in found_rows] for found_rows in indices],
            same=None if labels is None else labels[found.indices.numpy()] == labels[chosen][:, None],
            other_groups=other_groups,
        )


def take_sample(view: Any, index: int) -> Sample:
    """One sample of a view: the same structure of tensors, without the batch axis."""
    return map_tensors(view, lambda tensor: tensor[index])


def _first_leaf(view: Any) -> Any:
    while isinstance(view, dict | list | tuple):
        view = next(iter(view.values() if isinstance(view, dict) else view))
    return view


def _queries(n: int, labels: np.ndarray | None, seed: int) -> list[int]:
    rng = np.random.default_rng([seed, 2])
    if labels is None or not (labels >= 0).any():
        return [int(row) for row in rng.choice(n, min(5, n), replace=False)]
    return [int(rng.choice(np.flatnonzero(labels == c))) for c in np.unique(labels[labels >= 0])[:5]]
