"""Metrics of predicted real numbers, as functions of row weights; see `metrics.metric_of_weights`."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

REGRESSION = {"r2": "R²", "mae": "mean absolute error", "spearman": "rank correlation"}
"""Name -> title, the headline first. MAE is in the unit of the label, and the smaller the better."""


def regression_metric(
    name: str, labels: Float[np.ndarray, " n"], predictions: Float[np.ndarray, " n"]
) -> Callable[[np.ndarray], float]:
    """R², mean absolute error or Spearman's rank correlation, as a function of (n,) weights.

    NaN where a metric is not defined: R² and rank correlation of labels without a difference, rank correlation of
    predictions without one.

    Args:
        name: a key of `REGRESSION`.
        labels: true values.
        predictions: predicted ones.

    Example:
        >>> regression_metric("mae", np.array([1.0, 2.0]), np.array([1.0, 4.0]))(np.array([3.0, 1.0]))
        0.5
    """
    if name == "mae":
        errors = np.abs(labels - predictions)
        return lambda weights: float(np.average(errors, weights=weights))
    if name == "r2":
        return lambda weights: _r2(labels, predictions, weights)
    places = [np.unique(values, return_inverse=True)[1] for values in (labels, predictions)]
    return lambda weights: _correlation(_ranks(places[0], weights), _ranks(places[1], weights), weights)


def _r2(labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> float:
    centred = labels - np.average(labels, weights=weights)
    total = float(np.sum(weights * centred**2))
    return 1 - float(np.sum(weights * (labels - predictions) ** 2)) / total if total > 0 else float("nan")


def _ranks(place: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean rank of equal values, where a row of weight w counts as w rows."""
    counts = np.bincount(place, weights)
    ranks: np.ndarray = (counts.cumsum() - counts / 2)[place]
    return ranks


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    a, b = (values - np.average(values, weights=weights) for values in (a, b))
    scale = float(np.sqrt(np.sum(weights * a**2) * np.sum(weights * b**2)))
    return float(np.sum(weights * a * b)) / scale if scale > 0 else float("nan")
