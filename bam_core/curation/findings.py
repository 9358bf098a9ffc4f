"""Near-duplicates, outliers and suspicious labels among embeddings; arrays in, arrays out."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from bam_core.curation.graph import Graph, neighbour_graph

K = 20  # neighbours that outliers and labels are judged by
NTH = 5  # neighbour, whose usual distance is the measure of near-duplicates
SHARE = 0.02  # of that distance, below which two rows are near-duplicates
SAME = 1e-9  # cosine distance of rows that are equal but for rounding
MARGIN = 0.5  # of the votes, by which another class must be ahead of a row's own label
LOF = 1.5  # local outlier factor of an outlier, scikit-learn's limit


class Duplicates(NamedTuple):
    """Near-duplicates.

    Attributes:
        of: (n,) the first row of the set of near-duplicates that a row is in; its own place where it is alone.
        limit: cosine distance of two rows that counts.
    """

    of: Int[np.ndarray, " n"]
    limit: float

    @property
    def flagged(self) -> Bool[np.ndarray, " n"]:
        """Rows that have a near-duplicate."""
        return np.asarray(np.bincount(self.of, minlength=len(self.of))[self.of] > 1)


def duplicates(graph: Graph) -> Duplicates:
    """Sets of rows of which each is linked to another by a distance below the limit.

    The limit is two hundredths of the median distance to the fifth neighbour: encoders differ in how close together
    all rows lie, so that no fixed distance would do.
    """
    usual = float(np.median(graph.distances[:, min(NTH, graph.distances.shape[1]) - 1]))
    limit = max(SHARE * usual, SAME)
    n, k = graph.rows.shape
    close = graph.distances <= limit
    pairs = np.repeat(np.arange(n), k)[close.ravel()], graph.rows[close]
    links = csr_array((np.ones(len(pairs[0])), pairs), shape=(n, n))
    _, sets = connected_components(links, directed=False)
    first = np.full(sets.max() + 1, n)
    np.minimum.at(first, sets, np.arange(n))
    return Duplicates(first[sets], limit)


class Outliers(NamedTuple):
    """How far out each row lies.

    Attributes:
        distance: (n,) mean cosine distance to the nearest rows.
        factor: (n,) local outlier factor: about 1 where a row's neighbours lie as dense as theirs, more outside.
        flagged: (n,) whether both say that it is an outlier.
    """

    distance: Float[np.ndarray, " n"]
    factor: Float[np.ndarray, " n"]
    flagged: Bool[np.ndarray, " n"]


def outliers(matrix: Float[np.ndarray, "n d"], found: Duplicates) -> Outliers:
    """Rows with a local outlier factor above 1.5 whose neighbours are farther than 1.5 quartile ranges above the third.

    One of each set of near-duplicates is looked at, and stands for the others: copies would be dense by themselves.

    Args:
        matrix: embeddings.
        found: their near-duplicates.

    Source: Breunig et al., "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000; scikit-learn computes it.
    """
    from sklearn.neighbors import LocalOutlierFactor

    chosen = np.unique(found.of)
    n = len(chosen)
    if n < 3:
        alike = np.zeros(len(matrix))
        return Outliers(alike, alike + 1, alike > 0)
    graph = neighbour_graph(matrix[chosen], K)
    k = graph.rows.shape[1]
    own = np.arange(n)[:, None], np.zeros((n, 1))  # scikit-learn wants each row among its own neighbours
    rows, apart = np.hstack([own[0], graph.rows]), np.hstack([own[1], np.sqrt(2 * graph.distances)])  # Euclidean
    sparse = csr_array((apart.ravel(), rows.ravel(), np.arange(0, n * (k + 1) + 1, k + 1)), shape=(n, n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of copies
        model = LocalOutlierFactor(k, metric="precomputed").fit(sparse)
    factor = -model.negative_outlier_factor_
    distance = graph.distances.mean(axis=1)
    low, high = np.quantile(distance, [0.25, 0.75])
    flagged = (factor > LOF) & (distance > high + 1.5 * (high - low))
    place = np.searchsorted(chosen, found.of)
    return Outliers(distance[place], factor[place], flagged[place])


class Labels(NamedTuple):
    """What neighbours say about labels.

    Attributes:
        agreement: (n,) weighted share of a row's neighbours that have its label; NaN where none may vote.
        suggested: (n,) the class that neighbours name instead, -1 where they do not object.
        margin: (n,) by how much its share is larger than that of the row's own label; 0 where they do not object.
    """

    agreement: Float[np.ndarray, " n"]
    suggested: Int[np.ndarray, " n"]
    margin: Float[np.ndarray, " n"]


def suspicious_labels(
    graph: Graph, labels: Int[np.ndarray, " n"], *, groups: np.ndarray | None = None, copies: np.ndarray | None = None
) -> Labels:
    """Rows whose neighbours name another class, by the thresholds of confident learning.

    A neighbour's vote weighs the more the nearer it is. Another class is suggested if its share reaches what rows of
    that class have on average, and is larger by half of the votes than the share of the row's own label; so a class
    that is everywhere sparse among others is not called wrong as a whole, nor are labels that the encoder does not see.

    Args:
        graph: nearest rows.
        labels: class of each row, -1 for none.
        groups: whose rows do not vote for each other: windows of one record agree in whatever it is.
        copies: sets of near-duplicates, which do not vote for each other either: they may share the mistake.

    Source: Northcutt, Jiang and Chuang, "Confident Learning", JAIR 2021, arXiv 1911.00068, equations 1 and 2, with the
    shares of neighbours as probabilities.
    """
    n, n_classes = len(labels), int(labels.max(initial=0)) + 1
    votes = labels[graph.rows] >= 0
    for apart in (groups, copies):
        if apart is not None:
            votes &= apart[graph.rows] != apart[:, None]
    scale = np.maximum(np.median(graph.distances, axis=1, keepdims=True), 1e-12)
    weights = np.where(votes, np.exp(-graph.distances / scale), 0.0)
    shares = np.zeros((n, n_classes))
    places = np.repeat(np.arange(n), graph.rows.shape[1]), np.maximum(labels[graph.rows], 0).ravel()
    np.add.at(shares, places, weights.ravel())
    total = shares.sum(axis=1, keepdims=True)
    shares = shares / np.where(total > 0, total, 1)
    judged = (labels >= 0) & (total[:, 0] > 0)
    own = np.where(judged, shares[np.arange(n), labels], np.nan)
    counted = np.bincount(labels[judged], minlength=n_classes)
    usual = np.bincount(labels[judged], weights=own[judged], minlength=n_classes) / np.maximum(counted, 1)
    confident = np.where((shares >= usual) & (counted > 0), shares, -1.0)
    confident[np.arange(n), labels] = -1.0
    margin = np.where(judged, confident.max(axis=1) - np.nan_to_num(own), 0.0)
    objects = margin >= MARGIN
    return Labels(own, np.where(objects, confident.argmax(axis=1), -1), np.where(objects, margin, 0.0))
