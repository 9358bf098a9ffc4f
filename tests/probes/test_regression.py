"""Labels that are real numbers: metrics, probes, tables and the verdict, against scikit-learn and scipy."""

import re

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler

from bam_core import InputError
from bam_core.labels.strata import strata
from bam_core.probes.classifiers import gradient_boosting, ridge
from bam_core.probes.evaluate import evaluate
from bam_core.probes.folds import make_splits
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.knn import knn_probe
from bam_core.probes.metrics import metric_of_weights
from bam_core.probes.notes import task_notes
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.probes.ridge import ridge_probe
from bam_core.probes.tables import table_view

QUICK = EvaluationProtocol(fractions=(1.0, 0.1), draws=2, bootstrap=100)


def line(n=300, d=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, 1e6 + 50 * (x @ np.linspace(1, 2, d)) + 20 * rng.normal(size=n)


@pytest.fixture(scope="module")
def table():
    x, y = line()
    noise = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    y[7] = np.nan
    labels = SplitLabels(train=y[:200], test=y[200:], train_groups=np.arange(200) // 5, regression=True)
    features = {"noise": Features(noise[:200], noise[200:]), "signal": Features(x[:200], x[200:])}
    return evaluate(features, labels, QUICK), labels, x


@pytest.mark.parametrize(
    ("name", "reference"),
    [("r2", r2_score), ("mae", mean_absolute_error), ("spearman", lambda a, b: spearmanr(a, b).statistic)],
)
def test_metrics_of_weighted_rows_are_those_of_repeated_rows(name, reference):
    rng = np.random.default_rng(0)
    labels, predictions = np.round(rng.normal(size=50), 1) + 1000, np.round(rng.normal(size=50), 1) + 1000
    metric = metric_of_weights(name, labels, predictions[:, None])
    for weights in (np.ones(50), rng.integers(0, 4, 50).astype(float)):
        expected = reference(*(np.repeat(values, weights.astype(int)) for values in (labels, predictions)))
        assert metric(weights) == pytest.approx(expected, abs=1e-9)


def test_metrics_that_are_not_defined_or_do_not_fit():
    y = np.array([1.0, 2.0, 3.0])
    assert np.isnan(metric_of_weights("spearman", y, np.ones((3, 1)))(np.ones(3)))
    assert np.isnan(metric_of_weights("r2", y * 0, y[:, None])(np.ones(3)))
    with pytest.raises(InputError, match="'auc' does not fit labels that are real numbers; there are r2, mae, spearm"):
        metric_of_weights("auc", y, y[:, None])
    with pytest.raises(InputError, match="'r2' does not fit labels that are classes"):
        metric_of_weights("r2", np.array([0, 1]), np.zeros((2, 2)))


def test_the_ridge_probe_is_scikit_learns_with_the_best_alpha_of_the_folds():
    x, y = line(200, 30)
    groups = np.arange(120) % 12
    grid = (1e-3, 1e-2, 0.1, 10.0)
    probe = ridge_probe(x[:120], y[:120], x[120:], groups=groups, c_grid=grid)
    scaler = StandardScaler().fit(x[:120].astype(float))
    train, target = scaler.transform(x[:120]), (y[:120] - y[:120].mean()) / y[:120].std()
    folds = [(a, b) for a, b in make_splits(target, groups, folds=3, seed=0).splits]
    assert all(not set(groups[a]) & set(groups[b]) for a, b in folds)
    best = RidgeCV([1 / (2 * c) for c in grid], cv=folds, scoring="neg_mean_squared_error").fit(train, target).alpha_
    assert (probe.c, probe.chosen_on) == (pytest.approx(1 / (2 * best)), "groups")
    expected = Ridge(best).fit(train, y[:120]).predict(scaler.transform(x[120:]))
    np.testing.assert_allclose(probe.scores[:, 0], expected, atol=0.05)
    assert probe.scores.dtype == np.float64


def test_a_validation_split_chooses_the_penalty():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 20)).astype(np.float32)
    y = x[:, 0] + 0.1 * rng.normal(size=60)
    flat, same = (x[40:], np.full(20, y[:40].mean())), (x[40:], y[40:])
    assert ridge_probe(x[:40], y[:40], x, validation=flat).c == 1e-3
    found = ridge_probe(x[:40], y[:40], x, validation=same)
    assert (found.chosen_on, found.c > 1e-3) == ("validation split", True)
    with pytest.raises(InputError, match="at least two different labels in train; got 2 labelled rows"):
        ridge_probe(x[:3], np.array([1.0, 1.0, np.nan]), x)


def test_neighbours_predict_their_weighted_mean():
    train = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [1.0, 0.0]])
    found = knn_probe(
        train, np.array([1e8 + 1, 1e8 + 3, 1e8 - 9, np.nan]), np.array([[1.0, 0.0]]), k=2, temperature=0.1
    )
    weights = np.exp(np.array([1.0, 0.9 / np.hypot(0.9, 0.1)]) / 0.1)
    assert found.item() == pytest.approx(1e8 + (weights @ [1, 3]) / weights.sum(), abs=1e-3)


def test_the_table(table):
    results, _, _ = table
    assert results.metrics == ["r2", "mae", "spearman"]
    assert results.classes == ()
    signal, noise = (results.row(name, "linear", 1.0) for name in ("signal", "noise"))
    assert signal.mean > 0.9 > 0.1 > noise.mean
    assert results.row("signal", "knn", 0.1).n_labels == 20
    errors = results.compare("signal", "noise", "mae")
    assert all(error.difference < 0 and error.beats and not error.loses for error in errors)
    assert "signal beats noise by more than the spread in all 4 columns" in results.verdict()
    assert "R² of the linear probe with 10 % of the labels (20)" in results.verdict()
    view = table_view(results, "mae")
    assert view.title == "mean absolute error"
    assert [row[0].best for row in view.rows.values()] == [False, True]
    assert re.fullmatch(r"\d\d\.\d\d", view.rows["signal"][2].value)
    assert any(note.startswith("1 of 200 rows of train have no label") for note in results.notes)
    assert Results.from_plain(results.to_plain()).row("signal", "linear", 1.0, "mae").mean == pytest.approx(
        results.row("signal", "linear", 1.0, "mae").mean
    )


def test_the_notes_say_what_the_unit_is_worth(table):
    _, labels, _ = table
    error = mean_absolute_error(labels.test, np.full(100, np.nanmedian(labels.train)))
    assert f"mean absolute error of {error:.4g}" in " ".join(task_notes(labels, QUICK))


def test_an_undefined_value_is_no_best_one():
    y = np.arange(40.0)
    rows = np.zeros((40, 2), np.float32)
    signal = np.stack([y, y], axis=1).astype(np.float32)
    labels = SplitLabels(train=y, test=y, regression=True)
    protocol = EvaluationProtocol(probes=("linear",), fractions=(1.0,), bootstrap=100)
    results = evaluate({"nothing": Features(rows, rows), "signal": Features(signal, signal)}, labels, protocol)
    view = table_view(results, "spearman")
    assert [(row[0].value, row[0].best) for row in view.rows.values()] == [("-", False), ("1.000", True)]
    assert "| nothing | - |" in results.to_markdown("spearman")


def test_baselines_that_predict_numbers():
    x, y = line(200)
    for fitted in (ridge, gradient_boosting()):
        found = fitted(x[:150], y[:150], x[150:], n_classes=0, seed=0)
        assert found.scores.shape == (50, 1)
        assert r2_score(y[150:], found.scores[:, 0]) > 0.6


def test_draws_and_folds_are_stratified_by_quantile():
    y = np.random.default_rng(0).exponential(size=400)
    tenths = strata(y)
    rows = draw_rows(y, 0.1)
    assert np.bincount(tenths[rows]).tolist() == [4] * 10
    assert set(draw_rows(y, 0.05)) <= set(rows)
    for _, held_out in make_splits(y, None, folds=4).splits:
        assert np.bincount(tenths[held_out]).tolist() == [10] * 10
    assert make_splits(y[:5], None, folds=3).made_of == "rows"


def test_labels_that_are_no_numbers():
    with pytest.raises(InputError, match=r"finite numbers \(n,\) for test, NaN for no label; got float64"):
        SplitLabels(train=np.array([0.5, 1]), test=np.array([np.inf, 1]), regression=True)
    with pytest.raises(InputError, match="at least two different numbers in test; got 2 labelled of 2 rows"):
        evaluate(
            {"x": Features(np.eye(2), np.eye(2))},
            SplitLabels(train=np.array([0.5, 1]), test=np.array([1.0, 1.0]), regression=True),
        )
