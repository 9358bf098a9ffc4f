"""Classifiers that baselines bring in place of the linear probe: ridge for wide features, boosting for raw columns."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from bam_core.labels.strata import is_real
from bam_core.probes.fractions import draw_rows
from bam_core.probes.logistic import standardisation, threads_for

RIDGE_NUMBERS = 50_000_000  # rows x width of one fit, at most
ALPHAS = np.logspace(-3, 3, 10)


class Scored(NamedTuple):
    """Scores of test, the largest of a row being the prediction, or predicted numbers (m, 1).

    And a sentence if not all rows were fitted.
    """

    scores: Float[np.ndarray, "m c"]
    note: str = ""


@runtime_checkable
class Classifier(Protocol):
    """What is fitted in place of the logistic regression of the linear probe."""

    def __call__(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, *, n_classes: int, seed: int) -> Scored:
        """Fit labelled rows and score others.

        Args:
            x: (n, d) float32 rows.
            y: (n,) class indices, (n, n_classes) 0/1 for multi-label data, or (n,) real numbers (float).
            x_test: (m, d) float32.
            n_classes: columns of the scores; of real numbers there is one, the predictions.
            seed: of what is random.
        """
        ...


def ridge(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, *, n_classes: int, seed: int) -> Scored:
    """Ridge classifier on standardised features, its alpha by leave-one-out: what MiniRocket's authors fit.

    Ridge regression where labels are real numbers.
    Ten alphas from 1e-3 to 1e3. A fit of more than 50 million numbers sees a stratified draw of rows.

    Example:
        >>> x = np.eye(4, dtype=np.float32)
        >>> ridge(x, np.array([0, 1, 0, 1]), x, n_classes=2, seed=0).scores.argmax(axis=1).tolist()
        [0, 1, 0, 1]

    Source: Dempster et al., "MiniRocket", KDD 2021, arXiv 2012.08791, section 3.
    """
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV

    note = ""
    limit = max(RIDGE_NUMBERS // x.shape[1], 20)
    if len(x) > limit:
        note = f"a draw of {limit:,} of the {len(x):,} labelled rows is fitted."
        rows = draw_rows(y, limit / len(x), seed=seed)
        x, y = x[rows], y[rows]
    mean, scale = standardisation(x)
    if is_real(y):
        offset, unit = float(y.mean()), float(y.std()) or 1.0
        with threads_for(x):
            line = RidgeCV(ALPHAS).fit((x - mean) / scale, (y - offset) / unit)
            return Scored(line.predict((x_test - mean) / scale).astype(np.float64)[:, None] * unit + offset, note)
    with threads_for(x):
        model = RidgeClassifierCV(ALPHAS).fit((x - mean) / scale, y)
        found = np.asarray(model.decision_function((x_test - mean) / scale))
    if y.ndim == 2:
        return Scored(found.reshape(len(x_test), n_classes), note)
    columns = np.stack([-found, found], axis=1) if found.ndim == 1 else found
    scores = np.full((len(x_test), n_classes), columns.min() - 1)  # a class without a label is never predicted
    scores[:, model.classes_] = columns
    return Scored(scores, note)


def gradient_boosting(*, categorical: Sequence[int] = ()) -> Classifier:
    """Gradient boosting on histograms, scikit-learn's; one model a label for multi-label data.

    Regression where labels are real numbers. Its defaults, but leaves of a tenth of the rows where that is less than
    20: with few labels there are no others.

    Args:
        categorical: columns that hold indices of categories, from 0 to at most 254.
    """
    return partial(_boosted, tuple(categorical))


def _boosted(
    categorical: Sequence[int], x: np.ndarray, y: np.ndarray, x_test: np.ndarray, *, n_classes: int, seed: int
) -> Scored:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options: dict[str, Any] = {
        "categorical_features": list(categorical) or None,
        "min_samples_leaf": min(20, max(2, len(x) // 10)),
        "random_state": seed,
    }
    if is_real(y):
        return Scored(HistGradientBoostingRegressor(**options).fit(x, y).predict(x_test)[:, None])

    def fitted(y: np.ndarray, n: int) -> np.ndarray:
        scores = np.zeros((len(x_test), n))
        if len(np.unique(y)) == 1:
            scores[:, int(y[0])] = 1
            return scores
        model = HistGradientBoostingClassifier(**options)
        model.fit(x, y)
        scores[:, model.classes_] = model.predict_proba(x_test)
        return scores

    if y.ndim == 1:
        return Scored(fitted(y, n_classes))
    return Scored(np.stack([fitted(column, 2)[:, 1] for column in y.T], axis=1))
