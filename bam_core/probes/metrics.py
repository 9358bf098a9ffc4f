"""Metrics by name, as functions of row weights, so that a bootstrap costs no sorting and no counting anew.

Every macro-average runs over the classes that occur among the weighted rows (and, if named, belong to a subset); a
class that occurs in test but was never seen in train counts, with the score it earns. scikit-learn judges them in
the tests.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from bam_core.errors import InputError
from bam_core.labels.strata import is_real
from bam_core.part_files import displayed, function_from_file, function_installed, installed, is_file
from bam_core.probes.regression import REGRESSION, regression_metric

MetricOfWeights = Callable[[np.ndarray], float]

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "auc": "AUC",
    "average_precision": "average precision",
    **REGRESSION,
}
OF_EACH_CLASS = frozenset(("auc", "average_precision"))
LOWER_IS_BETTER = frozenset(("mae",))
UNDEFINED = "-"  # in tables
PROBE_TITLES = {"knn": "kNN", "linear": "linear probe", "model": "model"}


def default_metrics(n_classes: int, *, multi_label: bool, regression: bool = False) -> tuple[str, ...]:
    """Metrics that suit a kind of labels, the headline first: macro-AUC, AUC, macro-F1, or R²."""
    if regression:
        return tuple(REGRESSION)
    if multi_label:
        return ("auc", "average_precision")
    return (
        ("auc", "balanced_accuracy", "macro_f1", "accuracy")
        if n_classes == 2
        else ("macro_f1", "balanced_accuracy", "accuracy", "auc")
    )


def metric_title(name: str, classes: Sequence[str] = ()) -> str:
    """Name of a metric for tables, with the classes that it averages over."""
    if name not in TITLES:
        return displayed(name)
    return (
        f"{TITLES[name]} ({', '.join(classes)})" if classes and name not in ("accuracy", *REGRESSION) else TITLES[name]
    )


def spread_of_values(values: Sequence[float] | np.ndarray, bootstrapped: bool) -> float:
    """Half the 95 % interval of bootstrap values, or the standard deviation of draws; NaN values are left out."""
    finite = np.asarray(values)[np.isfinite(values)]
    if len(finite) < 2:
        return float("nan")
    if bootstrapped:
        low, high = np.percentile(finite, [2.5, 97.5])
        return float(high - low) / 2
    return float(finite.std(ddof=1))


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
        name: "accuracy", "balanced_accuracy" (mean recall), "macro_f1", "auc" or "average_precision" (binary:
            of the second class; else the mean of one against the rest); of real numbers "r2", "mae" or "spearman".
            Or `path/to/file.py:NAME`, or a name that an installed package brings: a function (labels, scores) ->
            number of which more is better; a row that a bootstrap drew twice is there twice.
        labels: (n,) class indices, (n, c) 0/1 for multi-label data, which the last two fit, or (n,) real numbers.
        scores: (n, c); the largest of a row is the prediction. Of real numbers (n, 1), the predictions.
        subset: indices of the classes that macro-averages run over. Default: all.

    Returns:
        A function of (n,) weights, such as counts of a bootstrap; ones give the plain metric. NaN where no class is
        left to average.

    Raises:
        InputError: an unknown metric, one that does not fit the labels, or one of a file that raises.
        RecipeError: a file that cannot be used.

    Example:
        >>> accuracy = metric_of_weights("accuracy", np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]))
        >>> accuracy(np.ones(2)), accuracy(np.array([3.0, 1.0]))
        (0.5, 0.75)
    """
    if name not in TITLES and (is_file(name) or name in installed("metric")):
        return _own_metric(name, labels, scores[:, 0] if is_real(labels) else scores)
    if name not in TITLES:
        raise InputError(f"unknown metric {name!r}; there are {', '.join(TITLES)}.")
    if is_real(labels) != (name in REGRESSION):
        fitting = [known for known in TITLES if (known in REGRESSION) == is_real(labels)]
        kind = "real numbers" if is_real(labels) else "classes"
        raise InputError(f"metric {name!r} does not fit labels that are {kind}; there are {', '.join(fitting)}.")
    if name in REGRESSION:
        return regression_metric(name, labels, scores[:, 0])
    if labels.ndim == 2 and name not in OF_EACH_CLASS:
        raise InputError(f"metric {name!r} expected one class a row; these labels are multi-label. Use 'auc'.")
    if name in OF_EACH_CLASS:
        each = class_metric_of_weights(name, labels, scores, subset=subset)
        return lambda weights: _mean_of_finite(each(weights))
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


def _own_metric(name: str, labels: np.ndarray, scores: np.ndarray) -> MetricOfWeights:
    function = function_from_file("metric", name) if is_file(name) else function_installed("metric", name)

    def metric(weights: np.ndarray) -> float:
        rows = np.repeat(np.arange(len(labels)), weights.astype(int))
        try:
            return float(function(labels[rows], scores[rows]))
        except Exception as error:
            raise InputError(
                f"metric {displayed(name)!r} expected to return a number for labels {labels[rows].shape} and scores "
                f"{scores[rows].shape}; it raised {type(error).__name__}: {error}"
            ) from error

    return metric


def class_metric_of_weights(
    name: str, labels: np.ndarray, scores: Float[np.ndarray, "n c"], *, subset: Sequence[int] = ()
) -> Callable[[np.ndarray], Float[np.ndarray, " k"]]:
    """A metric of every class against the rest, as a function of row weights; NaN where it has no rows.

    Args:
        name: "auc" or "average_precision".
        labels: (n,) class indices, or (n, c) 0/1 for multi-label data.
        scores: (n, c).
        subset: the k classes. Default: all; of two classes that exclude each other, the second.

    Example:
        >>> labels, scores = np.array([[1, 0], [0, 0], [1, 1]]), np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.8]])
        >>> class_metric_of_weights("auc", labels, scores)(np.ones(3)).tolist()
        [0.5, 1.0]
    """
    positive = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[1])
    binary = labels.ndim == 1 and scores.shape[1] == 2
    columns = list(subset) or ([1] if binary else list(range(scores.shape[1])))
    ranks = {c: np.unique(scores[:, c], return_inverse=True)[1] for c in columns}
    of_class = _weighted_auc if name == "auc" else _weighted_precision
    return lambda weights: np.array([of_class(ranks[c], positive[:, c], weights) for c in columns])


def _mean_of_finite(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _weighted_auc(ranks: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    above = np.bincount(ranks, weights * positive)
    below = np.bincount(ranks, weights * ~positive)
    n_pairs = above.sum() * below.sum()
    if not n_pairs:
        return float("nan")
    return float((above * (below.cumsum() - below / 2)).sum() / n_pairs)


def _weighted_precision(ranks: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """Precision times the step of recall, summed over the thresholds from the largest score down."""
    hits = np.bincount(ranks, weights * positive)[::-1]
    found, n_positive = np.bincount(ranks, weights)[::-1].cumsum(), hits.sum()
    if not n_positive:
        return float("nan")
    precision = hits.cumsum() / np.maximum(found, 1e-300)  # rows of weight 0 come before the first threshold
    return float((precision * hits).sum() / n_positive)


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
