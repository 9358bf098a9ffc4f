"""Multi-label data class by class: how well each label is found, beside the averages over all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bam_core.probes.metrics import (
    OF_EACH_CLASS,
    class_metric_of_weights,
    spread_of_values,
)


@dataclass(frozen=True)
class ClassResult:
    """One metric of one class, with all labels of train.

    Attributes:
        features: name of the set of features.
        probe: "knn" or "linear".
        metric: "auc" or "average_precision".
        name: of the class.
        n_test: rows of test that carry it.
        mean: the value on all of test; NaN if no row carries the class, or all do.
        spread: half of the 95 % bootstrap interval; of several runs, their standard deviation.
    """

    features: str
    probe: str
    metric: str
    name: str
    n_test: int
    mean: float
    spread: float


def class_results(
    features: str,
    probe: str,
    metrics: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    weights: Callable[[], Iterable[np.ndarray]],
) -> list[ClassResult]:
    """A result for every class and every metric that is one of single classes.

    Args:
        features: name of the set of features.
        probe: that made the scores.
        metrics: others than those of `OF_EACH_CLASS` are passed over.
        labels: (n, c) 0/1 of test.
        scores: (n, c).
        classes: names.
        weights: makes the bootstrap weights, see `resamplings`.
    """
    found = []
    for metric in metrics:
        if metric not in OF_EACH_CLASS:
            continue
        each = class_metric_of_weights(metric, labels, scores)
        at_ones, resampled = each(np.ones(len(labels))), np.array([each(part) for part in weights()])
        for place, name in enumerate(classes):
            n_test = int(labels[:, place].sum())
            spread = spread_of_values(resampled[:, place], True)
            found.append(ClassResult(features, probe, metric, str(name), n_test, float(at_ones[place]), spread))
    return found


def mean_over_runs(runs: Sequence[Sequence[ClassResult]]) -> tuple[ClassResult, ...]:
    """Means and standard deviations over runs that were evaluated alike."""
    joined = []
    for same in zip(*runs, strict=True):
        values = [one.mean for one in same]
        joined.append(replace(same[0], mean=float(np.mean(values)), spread=spread_of_values(values, False)))
    return tuple(joined)
