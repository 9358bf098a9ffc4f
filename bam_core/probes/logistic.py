"""Logistic regression of bounded effort: one class a row, or one regression a label.

One class a row is scikit-learn's LogisticRegression. Multi-label data gets one logistic regression a label, all of
them in a single L-BFGS run over float32 matrices: with 17,000 rows, width 1,000 and 71 labels that took 9 to 19 s for
one C on one core, where scikit-learn, label by label, took 24 to 65 s and reached the same AUC to 1e-4.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch.nn.functional import binary_cross_entropy_with_logits

MAX_ITERATIONS = 500
SMALL = 4_000_000  # numbers in a matrix


class Fit(NamedTuple):
    """Probabilities of other rows, and whether the optimiser converged."""

    scores: Float[np.ndarray, "m c"]
    converged: bool


def threads_for(x: np.ndarray) -> AbstractContextManager[Any]:
    """One thread for fits on small matrices.

    Their products take less time than threads take to meet: with two threads on two busy cores, the probe of 4,000
    rows of width 140 took 99 s instead of 7 s.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1) if x.size < SMALL else nullcontext()


def standardisation(x: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Mean and scale of every column; the scale of a constant column is 1."""
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    constant = scale <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return mean.astype(np.float32), np.where(constant, 1.0, scale).astype(np.float32)


def fit_logistic(
    x: Float[np.ndarray, "n d"],
    y: np.ndarray,
    x_test: Float[np.ndarray, "m d"],
    *,
    c: float,
    n_classes: int,
    tolerance: float = 1e-4,
) -> Fit:
    """Fit standardised rows and score others.

    Args:
        x: (n, d) float32 rows.
        y: (n,) class indices, at least two of them; or (n, n_classes) 0/1 for multi-label data.
        x_test: (m, d) rows to score.
        c: inverse regularisation as in scikit-learn: the sum of the losses weighs c against half the squared weights.
        n_classes: columns of the scores; a class that `y` lacks scores 0.
        tolerance: of the largest component of the gradient of the mean loss.
    """
    if y.ndim == 2:
        return _fit_labels(x, y, x_test, c, tolerance)
    return _fit_classes(x, y, x_test, c, n_classes, tolerance)


def _fit_classes(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, c: float, n_classes: int, tolerance: float) -> Fit:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=MAX_ITERATIONS, tol=tolerance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` says it
        model.fit(x, y)
    scores = np.zeros((len(x_test), n_classes))
    scores[:, model.classes_] = model.predict_proba(x_test.astype(np.float64))  # float32 would tie the confident rows
    return Fit(scores, bool(model.n_iter_.max() < MAX_ITERATIONS))


def _fit_labels(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, c: float, tolerance: float) -> Fit:
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y).float()
    weight = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAX_ITERATIONS,
        tolerance_grad=tolerance,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = torch.addmm(bias, inputs, weight)
        losses = binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        objective = (losses + weight.square().sum() / (2 * c)) / len(x)
        objective.backward()
        return objective

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        logits = torch.addmm(bias, torch.from_numpy(x_test), weight)
    return Fit(logits.double().sigmoid().numpy(), optimizer.state[weight]["n_iter"] < MAX_ITERATIONS)
