"""Metrics by name, as functions of row weights, so that a bootstrap costs no sorting and no counting anew.

Every macro-average runs over the classes that occur among the weighted rows (and, if named, belong to a subset); a
class that occurs in test but was never seen in train counts, with the score it earns. scikit-learn judges them in
the tests.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from bam_core.errors import InputError
from bam_core.evaluation.regression import REGRESSION, regression_metric
from bam_core.strata import is_real

MetricOfWeights = Callable[[np.ndarray], float]

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "auc": "AUC",
    **REGRESSION,
}
LOWER_IS_BETTER = frozenset(("mae",))
UNDEFINED = "-"  # in tables


def default_metrics(n_classes: int, *, multi_label: bool, regression: bool = False) -> tuple[str, ...]:
    """Metrics that suit a kind of labels, the headline first: macro-AUC, AUC, macro-F1, or R²."""
    if regression:
        return tuple(REGRESSION)
    if multi_label:
        return ("auc",)
    return (
        ("auc", "balanced_accuracy", "macro_f1", "accuracy")
        if n_classes == 2
        else ("macro_f1", "balanced_accuracy", "accuracy", "auc")
    )


def metric_title(name: str, classes: Sequence[str] = ()) -> str:
    """Name of a metric for tables, with the classes that it averages over."""
    return (
        f"{TITLES[name]} ({', '.join(classes)})" if classes and name not in ("accuracy", *REGRESSION) else TITLES[name]
    )


def figure(value: float, metric: str, *, beside: float | None = None) -> str:
    """A value of a metric in print: three decimals; four digits of an error, which has the unit of the label.

    Args:
        value: to print.
        metric: that it is of.
        beside: the value that it is a spread of; both get equally many decimals.

    Example:
        >>> figure(0.12345, "auc"), figure(1234.56, "mae"), figure(0.00012345, "mae"), figure(float("nan"), "spearman")
        ('0.123', '1235', '0.0001234', '-')
    """
    if not np.isfinite(value):
        return UNDEFINED
    size = abs(value if beside is None else beside)
    decimals = 3 if metric not in LOWER_IS_BETTER or not size else max(0, 3 - int(np.floor(np.log10(size))))
    return f"{value:.{decimals}f}"


def metric_of_weights(
    name: str, labels: np.ndarray, scores: Float[np.ndarray, "n c"], *, subset: Sequence[int] = ()
) -> MetricOfWeights:
    """A metric of given labels and scores, as a function of the weights of the rows.

    Args:
        name: "accuracy", "balanced_accuracy" (mean recall), "macro_f1" or "auc" (binary: of the second class;
            else the mean of one class against the rest); of real numbers "r2", "mae" or "spearman".
        labels: (n,) class indices, (n, c) 0/1 for multi-label data, which only "auc" fits, or (n,) real numbers.
        scores: (n, c); the largest of a row is the prediction. Of real numbers (n, 1), the predictions.
        subset: indices of the classes that macro-averages run over. Default: all.

    Returns:
        A function of (n,) weights, such as counts of a bootstrap; ones give the plain metric. NaN where no class is
        left to average.

    Raises:
        InputError: an unknown metric, or one that does not fit the labels.

    Example:
        >>> accuracy = metric_of_weights("accuracy", np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]))
        >>> accuracy(np.ones(2)), accuracy(np.array([3.0, 1.0]))
        (0.5, 0.75)
    """
    if name not in TITLES:
        raise InputError(f"unknown metric {name!r}; there are {', '.join(TITLES)}.")
    if is_real(labels) != (name in REGRESSION):
        fitting = [known for known in TITLES if (known in REGRESSION) == is_real(labels)]
        kind = "real numbers" if is_real(labels) else "classes"
        raise InputError(f"metric {name!r} does not fit labels that are {kind}; there are {', '.join(fitting)}.")
    if name in REGRESSION:
        return regression_metric(name, labels, scores[:, 0])
    if labels.ndim == 2 and name != "auc":
        raise InputError(f"metric {name!r} expected one class a row; these labels are multi-label. Use 'auc'.")
    if name == "auc":
        return _auc(labels, scores, subset)
    n_classes = scores.shape[1]
    cells = labels * n_classes + scores.argmax(axis=1)
    averaged = np.isin(np.arange(n_classes), subset) if len(subset) else np.ones(n_classes, dtype=bool)

    def metric(weights: np.ndarray) -> float:
        counts = np.bincount(cells, weights, minlength=n_classes**2).reshape(n_classes, n_classes)
        hits, support = np.diag(counts), counts.sum(axis=1)
        if name == "accuracy":
            return float(hits.sum() / support.sum())
        total = support if name == "balanced_accuracy" else (support + counts.sum(axis=0)) / 2
        occurs = averaged & (support > 0)
        return float((hits[occurs] / total[occurs]).mean()) if occurs.any() else float("nan")

    return metric


def _auc(labels: np.ndarray, scores: np.ndarray, subset: Sequence[int]) -> MetricOfWeights:
    positive = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[1])
    binary = labels.ndim == 1 and scores.shape[1] == 2
    columns = list(subset) or ([1] if binary else list(range(scores.shape[1])))
    ranks = {c: np.unique(scores[:, c], return_inverse=True)[1] for c in columns}

    def metric(weights: np.ndarray) -> float:
        values = [_weighted_auc(ranks[c], positive[:, c], weights) for c in columns]
        finite = [value for value in values if np.isfinite(value)]
        return float(np.mean(finite)) if finite else float("nan")

    return metric


def _weighted_auc(ranks: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    above = np.bincount(ranks, weights * positive)
    below = np.bincount(ranks, weights * ~positive)
    n_pairs = above.sum() * below.sum()
    if not n_pairs:
        return float("nan")
    return float((above * (below.cumsum() - below / 2)).sum() / n_pairs)


def resamplings(n: int, groups: np.ndarray | None, *, count: int, seed: int) -> Iterator[Float[np.ndarray, " n"]]:
    """Bootstrap weights of n rows: how often each is drawn, with replacement, whole groups together.

    Args:
        n: number of rows.
        groups: (n,) group of each row; None draws single rows.
        count: number of resamplings.
        seed: of the draws; the same for every set of features, so that differences are paired.

    Yields:
        (n,) counts, `count` times.
    """
    rng = np.random.default_rng([seed, 1])
    unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    for _ in range(count):
        yield np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)[unit].astype(np.float64)
