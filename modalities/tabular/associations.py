"""Features that say much the same, found by their correlations, in memory that does not grow with their square."""

from collections.abc import Sequence

import numpy as np

N_ROWS = 5000
SAME_GROUP = 0.5  # mean absolute correlation above which features are one group
MOST_LINKED = 2000  # columns up to which all pairs are held at once
MOST_VALUES = 2**24  # of the matrix of more columns: an eighth of a gigabyte
BLOCK = 256  # columns whose correlations with all others are held at once


def feature_groups(numeric: np.ndarray, categorical: np.ndarray, cardinalities: Sequence[int]) -> list[list[int]]:
    """Features that say much the same, by average linkage of the largest absolute correlation of their columns.

    A category stands for its one-hot columns, without those that are too rare to tell. Of more than 2,000 columns not
    all pairs can be held in memory: then the first feature that is in no group yet takes all those into its group that
    are in none and correlated with it by as much.

    Args:
        numeric: (n, k), NaN where missing.
        categorical: (n, m) indices.
        cardinalities: of the m categories.

    Returns:
        Every index of the k + m features once, in groups.
    """
    n_features = numeric.shape[1] + categorical.shape[1]
    if n_features < 2:
        return [[0]]
    n_columns = numeric.shape[1] + sum(cardinalities)
    n_rows = N_ROWS if n_columns <= MOST_LINKED else min(N_ROWS, max(100, MOST_VALUES // n_columns))
    rows = np.random.default_rng(0).permutation(len(numeric))[:n_rows]
    columns, owner = _columns(numeric[rows], categorical[rows], cardinalities)
    grouped = _linked if len(owner) <= MOST_LINKED else _led
    labels = grouped(columns, owner, n_features)
    return [np.flatnonzero(labels == group).tolist() for group in range(labels.max() + 1)]


def _columns(
    numeric: np.ndarray, categorical: np.ndarray, cardinalities: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """(n, c) columns of mean 0 and length 1, or all 0, and (c,) the feature of each."""
    columns, owner = [], []
    for i, values in enumerate(numeric.T):
        columns.append(np.nan_to_num(values))
        owner.append(i)
    for j, (values, size) in enumerate(zip(categorical.T, cardinalities, strict=True)):
        counts = np.bincount(values, minlength=size)
        enough = np.minimum(counts, len(values) - counts) >= max(3, 0.01 * len(values))
        columns += [values == category for category in np.flatnonzero(enough)]
        owner += [numeric.shape[1] + j] * int(enough.sum())
    matrix = np.empty((len(numeric), len(columns)))
    for place, column in enumerate(columns):
        matrix[:, place] = column
    matrix -= matrix.mean(axis=0)
    norm = np.linalg.norm(matrix, axis=0)
    matrix /= np.where(norm > 0, norm, 1)
    return matrix, np.array(owner, np.int64)


def _linked(matrix: np.ndarray, owner: np.ndarray, n_features: int) -> np.ndarray:
    """(n_features,) groups by average linkage."""
    from sklearn.cluster import AgglomerativeClustering

    correlation = np.abs(matrix.T @ matrix)
    association = np.zeros((n_features, n_features))
    pairs = np.repeat(owner, len(owner)), np.tile(owner, len(owner))
    np.maximum.at(association, pairs, correlation.ravel())
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - SAME_GROUP
    ).fit(1 - np.clip(association, 0, 1))
    return np.asarray(clustering.labels_)


def _led(matrix: np.ndarray, owner: np.ndarray, n_features: int) -> np.ndarray:
    """(n_features,) groups of those that are alike to the first of them."""
    labels = np.full(n_features, -1)
    features, starts = np.unique(owner, return_index=True)  # the columns of a feature stand side by side
    n_groups = 0
    for begin in range(0, len(owner), BLOCK):
        block = np.arange(begin, min(begin + BLOCK, len(owner)))
        block = block[labels[owner[block]] < 0]
        if len(block):
            alike = np.maximum.reduceat(np.abs(matrix[:, block].T @ matrix), starts, axis=1) >= SAME_GROUP
            for feature in np.unique(owner[block]):
                if labels[feature] < 0:
                    found = features[alike[owner[block] == feature].any(axis=0)]
                    labels[found[labels[found] < 0]] = n_groups
                    labels[feature] = n_groups
                    n_groups += 1
    rest = np.flatnonzero(labels < 0)  # categories that are all too rare
    labels[rest] = n_groups + np.arange(len(rest))
    return labels
