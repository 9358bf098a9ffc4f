"""scikit-learn's own checks, and rows of other domains than tables."""

import jaxtyping
import numpy as np
import pytest
from rows import TINY, rows_of
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from bam_core import BAMClassifier, BAMEmbedder, BAMRegressor, InputError

pytestmark = pytest.mark.slow
TABLE = BAMEmbedder(encoder={"width": 16, "depth": 1}, objective={"projector_hidden": 8}, epochs=1, random_state=0)
QUICK = {"epochs": 1, "min_steps": 60, "learning_rate": 0.002, "head_learning_rate": 0.05}


@pytest.fixture(autouse=True)
def _types_as_users_have_them(monkeypatch):
    """A check wants __init__ to take values of any type."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@parametrize_with_checks([BAMClassifier(TABLE, **QUICK), BAMRegressor(TABLE, **QUICK)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_series_of_unequal_length():
    series = rows_of("timeseries", 24)
    y = np.arange(24) % 3
    embedder = BAMEmbedder("timeseries", **TINY["timeseries"], epochs=1, random_state=0)
    model = BAMClassifier(embedder, **QUICK, random_state=0).fit(series, y, groups=np.arange(24) // 2)
    chances = model.predict_proba(series)
    assert chances.shape == (24, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    again = BAMClassifier(embedder, **QUICK, random_state=0).fit(series, y, groups=np.arange(24) // 2)
    np.testing.assert_array_equal(again.predict_proba(series), chances)


def test_an_embedder_that_saw_more_rows():
    X = np.random.default_rng(0).normal(size=(200, 3))
    embedder = BAMEmbedder(encoder={"width": 16, "depth": 1}, epochs=2, random_state=0).fit(X)
    model = BAMRegressor(FrozenEstimator(embedder), freeze="encoder", **QUICK, random_state=0).fit(
        X[:60], 5 * X[:60, 0]
    )
    assert model.score(X[60:], 5 * X[60:, 0]) > 0.2
    weights = embedder.encoder_.state_dict()
    assert all((weights[k] == v).all() for k, v in model.predictor_.encoder.state_dict().items())


def test_what_is_no_embedder_and_labels_that_do_not_fit():
    X = np.zeros((8, 2)) + np.arange(8)[:, None]
    with pytest.raises(InputError, match="embedder expected a BAMEmbedder, or one that is fitted in a FrozenEstimator"):
        BAMClassifier(FrozenEstimator(LogisticRegression().fit(X, np.arange(8) % 2))).fit(X, np.arange(8) % 2)
    with pytest.raises(InputError, match="fit expected groups of length 8, one for each row; got 3"):
        BAMClassifier(TABLE, **QUICK).fit(X, np.arange(8) % 2, groups=[1, 2, 3])
    with pytest.raises(InputError, match="fit expected y of length 8, one for each row; got 3"):
        BAMClassifier(TABLE, **QUICK).fit(X, [0, 1, 0])
