"""Linear probe: logistic regression on standardised features, its regularisation chosen inside train."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from bam_core.errors import InputError
from bam_core.probes.folds import make_splits, varies
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import feature_matrix, labelled
from bam_core.probes.logistic import fit_logistic, standardisation, threads_for
from bam_core.probes.metrics import default_metrics, metric_of_weights

SEARCH_TOLERANCE = 1e-3  # ten times looser than the final fit: C is chosen among powers of ten


class LinearProbe(NamedTuple):
    """What the linear probe says about test, and how its regularisation was chosen.

    Attributes:
        scores: (m, c) class probabilities; a class without a label in train scores 0.
        c: the chosen regularisation, as in scikit-learn.
        chosen_on: "validation split", "groups" or "rows" (folds inside train), or "nothing" (too few labels: the
            middle of the grid).
        converged: whether the final fit did.
    """

    scores: Float[np.ndarray, "m c"]
    c: float
    chosen_on: str
    converged: bool


def linear_probe(
    train: Any,
    labels: np.ndarray,
    test: Any,
    *,
    n_classes: int | None = None,
    groups: np.ndarray | None = None,
    validation: tuple[Any, np.ndarray] | None = None,
    c_grid: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0),
    metric: str | None = None,
    subset: Sequence[int] = (),
    folds: int = 3,
    max_search_rows: int = 3_000,
    seed: int = 0,
) -> LinearProbe:
    """Class probabilities of a logistic regression; test has no part in any choice.

    C is the candidate with the best metric on the validation split, if there is one, or else on the pooled
    out-of-fold predictions inside train, whose folds keep groups together; log-loss settles ties. Folds are made of
    rows where fewer than two classes occur in more than one group. The fit with the chosen C sees all of train.

    Args:
        train: (n, d) features, tensor or array. Rows without a label still serve to standardise.
        labels: (n,) class indices, -1 for no label; or (n, c) 0/1 for multi-label data, a row of -1 for none.
        test: (m, d) features.
        n_classes: c; default: the largest label plus one, or the width of `labels`.
        groups: (n,) whose rows must stay together.
        validation: features and labels of a validation split.
        c_grid: candidates, > 0.
        metric: chooses C, see `metric_of_weights`; default by kind of labels.
        subset: classes that the metric averages over.
        folds: of the search inside train, >= 2.
        max_search_rows: of train (and of validation) in the search; a stratified draw beyond.
        seed: of folds and draws.

    Raises:
        InputError: features that do not fit or are not finite, or fewer than two classes among the labels.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(60) % 2
        >>> features = rng.normal(size=(60, 4)) + 3 * labels[:, None]
        >>> probe = linear_probe(features[:40], labels[:40], features[40:])
        >>> probe.scores.shape, bool((probe.scores.argmax(axis=1) == labels[40:]).mean() > 0.9)
        ((20, 2), True)
    """
    x_train = feature_matrix(train, len(labels), name="train features")
    x_test = feature_matrix(test, name="test features")
    known = labelled(labels)
    if not known.any() or not varies(labels[known]):
        raise InputError(
            "linear_probe expected labels of at least two classes in train; got "
            f"{int(known.sum())} labelled rows, all of them alike. Add labels, or leave the probe out."
        )
    if n_classes is None:
        n_classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
        if validation is not None and labels.ndim == 1:
            n_classes = max(n_classes, int(validation[1].max()) + 1)
    mean, scale = standardisation(x_train)
    x, y = (x_train[known] - mean) / scale, labels[known]
    rows = _bounded(y, max_search_rows, seed)
    if validation is not None:
        x_val = (feature_matrix(validation[0], len(validation[1]), name="validation features") - mean) / scale
        rows_val = _bounded(validation[1], max_search_rows, seed)
        parts, chosen_on = [_Part(x[rows], y[rows], x_val[rows_val], validation[1][rows_val])], "validation split"
    else:
        splits, chosen_on = make_splits(
            y[rows], None if groups is None else groups[known][rows], folds=folds, seed=seed
        )
        parts = [_Part(x[rows[a]], y[rows[a]], x[rows[b]], y[rows[b]]) for a, b in splits]
    metric = metric or default_metrics(n_classes, multi_label=y.ndim == 2)[0]
    c = sorted(c_grid)[len(c_grid) // 2]
    if parts and len(c_grid) > 1:
        with threads_for(x[rows]):
            c = _best_c(parts, sorted(c_grid), metric, subset, n_classes)
    with threads_for(x):
        fit = fit_logistic(x, y, (x_test - mean) / scale, c=c, n_classes=n_classes)
    return LinearProbe(fit.scores, c, chosen_on, fit.converged)


class _Part(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    x_held_out: np.ndarray
    y_held_out: np.ndarray


def _best_c(
    parts: Sequence[_Part], c_grid: Sequence[float], metric: str, subset: Sequence[int], n_classes: int
) -> float:
    truth = np.concatenate([part.y_held_out for part in parts])
    quality = {}
    for c in c_grid:
        fits = [
            fit_logistic(part.x, part.y, part.x_held_out, c=c, n_classes=n_classes, tolerance=SEARCH_TOLERANCE)
            for part in parts
        ]
        scores = np.concatenate([fit.scores for fit in fits])
        value = metric_of_weights(metric, truth, scores, subset=subset)(np.ones(len(truth)))
        quality[c] = (np.nan_to_num(value, nan=-1.0), -_log_loss(truth, scores))
    return max(c_grid, key=lambda c: quality[c])


def _log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    p = np.clip(scores, 1e-7, 1 - 1e-7)
    if truth.ndim == 1:
        return float(-np.log(p[np.arange(len(truth)), truth]).mean())
    return float(-np.where(truth == 1, np.log(p), np.log1p(-p)).mean())


def _bounded(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    return draw_rows(labels, min(1.0, limit / max(int(labelled(labels).sum()), 1)), seed=seed)
