"""Linear probe of real numbers: ridge regression on standardised features, its regularisation chosen inside train."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bam_core.errors import InputError
from bam_core.probes.folds import make_splits, varies
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import feature_matrix, labelled
from bam_core.probes.linear import LinearProbe
from bam_core.probes.logistic import standardisation, threads_for


def ridge_probe(
    train: Any,
    labels: np.ndarray,
    test: Any,
    *,
    groups: np.ndarray | None = None,
    validation: tuple[Any, np.ndarray] | None = None,
    c_grid: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0),
    folds: int = 3,
    max_search_rows: int = 3_000,
    seed: int = 0,
) -> LinearProbe:
    """Predictions of a ridge regression; test has no part in any choice.

    The penalty alpha is 1 / (2 C), as scikit-learn relates them, of the C with the smallest squared error on the
    validation split, if there is one, or else on folds inside train that keep groups together. The fit with the chosen
    C sees all of train. Labels are standardised for the fit, so that their unit and offset have no influence.

    Args:
        train: (n, d) features, tensor or array. Rows without a label still serve to standardise.
        labels: (n,) real numbers, NaN for no label.
        test: (m, d) features.
        groups: (n,) whose rows must stay together.
        validation: features and labels of a validation split.
        c_grid: candidates, > 0.
        folds: of the search inside train, >= 2.
        max_search_rows: of train (and of validation) in the search; a draw by quantile beyond.
        seed: of folds and draws.

    Returns:
        `scores` (m, 1), the predictions.

    Raises:
        InputError: features that do not fit or are not finite, or fewer than two different labels.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> probe = ridge_probe(x[:40], 3 * x[:40, 0] + 100, x[40:])
        >>> bool(np.abs(probe.scores[:, 0] - 3 * x[40:, 0] - 100).max() < 0.5)
        True
    """
    from sklearn.linear_model import Ridge

    x_train = feature_matrix(train, len(labels), name="train features")
    x_test = feature_matrix(test, name="test features")
    known = labelled(labels)
    if not known.any() or not varies(labels[known]):
        raise InputError(
            f"ridge_probe expected at least two different labels in train; got {int(known.sum())} labelled rows, all "
            "of them alike. Add labels, or leave the probe out."
        )
    mean, scale = standardisation(x_train)
    offset, unit = float(labels[known].mean()), float(labels[known].std())
    x, y = (x_train[known] - mean) / scale, (labels[known] - offset) / unit
    rows = _bounded(y, max_search_rows, seed)
    x_search, y_search, chosen_on = x[rows], y[rows], "validation split"
    if validation is not None:
        rows_val = _bounded(validation[1], max_search_rows, seed)
        x_val = (feature_matrix(validation[0], len(validation[1]), name="validation features") - mean) / scale
        splits = [(np.arange(len(rows)), len(rows) + np.arange(len(rows_val)))]
        x_search = np.concatenate([x_search, x_val[rows_val]])
        y_search = np.concatenate([y_search, (validation[1][rows_val] - offset) / unit])
    else:
        made, chosen_on = make_splits(y_search, None if groups is None else groups[known][rows], folds=folds, seed=seed)
        splits = [(fit, held_out) for fit, held_out in made]
    c = sorted(c_grid)[len(c_grid) // 2]
    with threads_for(x):
        if splits and len(c_grid) > 1:
            c = _best_c(x_search, y_search, splits, c_grid)
        found = Ridge(1 / (2 * c)).fit(x, y).predict((x_test - mean) / scale)
    return LinearProbe(found.astype(np.float64)[:, None] * unit + offset, c, chosen_on, True)


def _best_c(
    x: np.ndarray, y: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]], c_grid: Sequence[float]
) -> float:
    from sklearn.linear_model import RidgeCV

    alphas = [1 / (2 * c) for c in sorted(c_grid)]
    search = RidgeCV(alphas, cv=splits, scoring="neg_mean_squared_error").fit(x, y)
    return 1 / (2 * float(search.alpha_))


def _bounded(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    return draw_rows(labels, min(1.0, limit / max(int(labelled(labels).sum()), 1)), seed=seed)
