import inspect

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from bam_core import InputError
from bam_core.probes.knn import knn_probe
from bam_core.probes.linear import linear_probe
from bam_core.probes.logistic import fit_logistic, standardisation
from bam_core.probes.protocol import EvaluationProtocol


def test_equals_scikit_learn_with_the_chosen_c(make_blobs):
    x, y = make_blobs(200, 3)
    probe = linear_probe(x[:120], y[:120], x[120:])
    scaler = StandardScaler().fit(x[:120])
    judge = LogisticRegression(C=probe.c, max_iter=1000).fit(scaler.transform(x[:120]), y[:120])
    np.testing.assert_allclose(probe.scores, judge.predict_proba(scaler.transform(x[120:])), atol=2e-3)
    assert probe.converged
    assert probe.chosen_on == "rows"


def test_one_run_for_all_labels_equals_one_regression_a_label():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 4)) + rng.normal(size=(300, 4)) > 0.5).astype(int)
    mean, scale = standardisation(x)
    z = (x - mean) / scale
    fit = fit_logistic(z[:200], y[:200], z[200:], c=0.1, n_classes=4)
    for label in range(4):
        judge = LogisticRegression(C=0.1, tol=1e-6).fit(z[:200], y[:200, label]).predict_proba(z[200:])[:, 1]
        np.testing.assert_allclose(fit.scores[:, label], judge, atol=2e-3)
    assert fit.converged


def test_multi_label_with_constant_and_unlabelled_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, :3] + 0.3 * rng.normal(size=(300, 3)) > 0).astype(int)
    y[:, 2] = 0
    y[:20] = -1
    probe = linear_probe(torch.from_numpy(x[:200]), y[:200], x[200:])
    assert probe.scores.shape == (100, 3)
    assert roc_auc_score(y[200:, :2], probe.scores[:, :2]) > 0.9
    assert (probe.scores[:, 2] < 0.1).all()


def test_the_useful_c_is_chosen(make_blobs):
    x, y = make_blobs(120, 3)
    assert linear_probe(x, y, x[:2], metric="accuracy", c_grid=(1e-9, 1.0)).c == 1.0
    assert linear_probe(x, y, x[:2], c_grid=(0.5,)).c == 0.5


def test_no_row_of_test_has_a_say_in_c_or_in_the_scores_of_others(make_blobs):
    x, y = make_blobs(160, 3, gap=0.7)
    alone = linear_probe(x[:100], y[:100], x[100:101])
    for other_test in (x[100:], np.concatenate([x[100:101], 1e3 * x[101:]]), np.concatenate([x[100:101], -x[101:]])):
        probe = linear_probe(x[:100], y[:100], other_test)
        assert probe.c == alone.c
        np.testing.assert_allclose(probe.scores[:1], alone.scores, atol=1e-7)


def test_c_is_chosen_on_the_validation_split(make_blobs):
    x, y = make_blobs(300, 2, gap=0.4, d=40)
    grid = (1e-4, 1e-2, 1.0, 100.0)
    probe = linear_probe(x[:60], y[:60], x[:5], validation=(x[60:], y[60:]), c_grid=grid, metric="auc")
    mean, scale = standardisation(x[:60])
    z = (x - mean) / scale
    aucs = {c: roc_auc_score(y[60:], fit_logistic(z[:60], y[:60], z[60:], c=c, n_classes=2).scores[:, 1]) for c in grid}
    assert probe.c == max(aucs, key=aucs.__getitem__)
    assert probe.chosen_on == "validation split"


def test_groups_change_the_choice_where_rows_would_leak():
    """Persons are recognised by a feature that says nothing about new persons: folds of rows cannot see that."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 10)
    y = (groups % 2).astype(int)
    identity = np.eye(24)[groups] * 3
    weak = (y[:, None] - 0.5) * 0.35 + rng.normal(size=(240, 1))
    x = np.concatenate([identity, weak], axis=1)
    by_rows = linear_probe(x, y, x[:2], metric="auc", c_grid=(1e-4, 10.0))
    by_groups = linear_probe(x, y, x[:2], metric="auc", c_grid=(1e-4, 10.0), groups=groups)
    assert (by_rows.chosen_on, by_groups.chosen_on) == ("rows", "groups")
    assert by_rows.c == 10.0
    assert by_groups.c == 1e-4


def test_too_few_labels_take_the_middle_of_the_grid(make_blobs):
    x, _ = make_blobs(9, 3)
    probe = linear_probe(x[:3], np.array([0, 1, 2]), x[3:], c_grid=(10.0, 0.1, 1.0))
    assert (probe.c, probe.chosen_on) == (1.0, "nothing")


def test_a_class_missing_in_train_scores_zero(make_blobs):
    x, y = make_blobs(100, 3)
    y = np.where(y == 1, 2, y)
    probe = linear_probe(x, y, x, n_classes=4)
    assert probe.scores.shape == (100, 4)
    assert (probe.scores[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(probe.scores.sum(axis=1), 1, atol=1e-6)


def test_a_class_of_validation_only_is_no_accident(make_blobs):
    x, y = make_blobs(90, 3)
    probe = linear_probe(x[:60], np.minimum(y[:60], 1), x[:4], validation=(x[60:], y[60:]))
    assert probe.scores.shape == (4, 3)


def test_unlabelled_rows_serve_to_standardise_only(make_blobs):
    x, y = make_blobs(200, 2)
    some = np.where(np.arange(200) < 50, y, -1)
    mean, scale = standardisation(x)
    z = (x - mean) / scale
    probe = linear_probe(x, some, x[:5], c_grid=(0.1,))
    expected = fit_logistic(z[:50], y[:50], z[:5], c=0.1, n_classes=2).scores
    np.testing.assert_allclose(probe.scores, expected, atol=1e-5)


def test_constant_and_huge_columns_are_harmless(make_blobs):
    x, y = make_blobs(80, 2)
    x = np.concatenate([x, np.full((80, 1), 7e5), np.zeros((80, 1)), 1e6 * x[:, :1]], axis=1)
    x_test = x.copy()
    x_test[:, -3] += 1e5
    probe = linear_probe(x, y, x_test)
    assert (probe.scores.argmax(axis=1) == y).mean() > 0.9


def test_defaults_are_those_of_the_protocol():
    protocol = EvaluationProtocol()
    for function in (linear_probe, knn_probe):
        for name, parameter in inspect.signature(function).parameters.items():
            if name in EvaluationProtocol.model_fields and name != "seed":
                assert parameter.default == getattr(protocol, name), name


def test_errors(make_blobs):
    x, y = make_blobs(40, 2)
    with pytest.raises(InputError, match="at least two classes in train; got 40 labelled rows, all of them alike"):
        linear_probe(x, np.zeros(40, int), x)
    with pytest.raises(InputError, match="got 0 labelled rows"):
        linear_probe(x, np.full(40, -1), x)
    x_test = x.copy()
    x_test[0, 0] = np.inf
    with pytest.raises(InputError, match="test features: 1 of 40 rows hold NaN or infinity"):
        linear_probe(x, y, x_test)
