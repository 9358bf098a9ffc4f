import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bam_core import InputError
from bam_core.probes import classifiers
from bam_core.probes.classifiers import Scored, gradient_boosting, ridge
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.task import rows_in_use


def test_ridge_is_the_ridge_of_the_paper(make_blobs):
    x, y = make_blobs(200, 3, d=40)
    theirs = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))).fit(x[:50], y[:50])
    found = ridge(x[:50], y[:50], x[50:], n_classes=3, seed=0)
    np.testing.assert_allclose(found.scores, theirs.decision_function(x[50:]), atol=1e-3)
    assert found.note == ""


def test_ridge_of_two_classes_and_of_a_class_without_a_label(make_blobs):
    x, y = make_blobs(100, 2)
    two = ridge(x[:50], y[:50], x[50:], n_classes=2, seed=0).scores
    np.testing.assert_array_equal(two[:, 0], -two[:, 1])
    four = ridge(x[:50], y[:50] + 1, x[50:], n_classes=4, seed=0).scores
    assert set(four.argmax(axis=1)) <= {1, 2}
    assert (four[:, [0, 3]] < four[:, [1, 2]].min()).all()


def test_ridge_of_several_labels(make_blobs):
    x, y = make_blobs(100, 3)
    labels = np.stack([y == 0, y != 1], axis=1).astype(np.int64)
    theirs = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))).fit(x[:50], labels[:50])
    found = ridge(x[:50], labels[:50], x[50:], n_classes=2, seed=0).scores
    np.testing.assert_allclose(found, theirs.decision_function(x[50:]), atol=1e-3)


def test_a_large_ridge_sees_a_draw_and_says_so(make_blobs, monkeypatch):
    monkeypatch.setattr(classifiers, "RIDGE_NUMBERS", 8 * 30)
    x, y = make_blobs(200, 2)
    assert ridge(x, y, x, n_classes=2, seed=0).note == "a draw of 30 of the 200 labelled rows is fitted."


def test_boosting_is_scikit_learns_and_knows_categories():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, (300, 1)).astype(np.float32)
    y = (x[:, 0] % 2).astype(np.int64)  # of no use as a number
    theirs = HistGradientBoostingClassifier(categorical_features=[0], random_state=0).fit(x[:200], y[:200])
    found = gradient_boosting(categorical=[0])(x[:200], y[:200], x[200:], n_classes=3, seed=0).scores
    np.testing.assert_allclose(found[:, :2], theirs.predict_proba(x[200:]))
    assert (found[:, 2] == 0).all()
    assert (found.argmax(axis=1) == y[200:]).all()


def test_boosting_of_several_labels_one_of_which_all_have():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    labels = np.stack([x[:, 0] > 0, np.ones(200)], axis=1).astype(np.int64)
    found = gradient_boosting()(x, labels, x, n_classes=2, seed=0).scores
    assert ((found[:, 0] > 0.5) == labels[:, 0]).all()
    assert (found[:, 1] == 1).all()


def test_a_classifier_stands_in_for_the_linear_probe_and_its_note_is_kept(task, quick):
    features, labels = task

    def constant(x, y, x_test, *, n_classes, seed):
        assert len(x) == len(y)
        return Scored(np.tile(np.eye(n_classes)[y.max()], (len(x_test), 1)), "it is a stone.")

    found = evaluate(features, labels, quick, classifiers={"noise": constant}, without_knn=["noise"], describe=False)
    assert not found.figures
    assert found.row("noise", "linear", 1.0, "accuracy").mean == (labels.test == 2).mean()
    assert "noise at 10 %: it is a stone." in found.notes
    assert not found.has("noise", "knn", 1.0)
    with pytest.raises(InputError, match="no result"):
        found.row("noise", "knn", 1.0)
    plain = evaluate(features, labels, quick)
    assert found.restricted(["signal"]).rows[0].values == plain.restricted(["signal"]).rows[0].values
    assert [c.ours.probe for c in found.compare("signal", "noise")] == ["linear", "linear"]
    assert "signal beats noise by more than the spread in all 2 columns" in found.verdict()
    markdown = found.to_markdown()
    assert markdown.splitlines()[2].startswith("| noise | - | - | ")


def test_features_of_the_rows_in_use_give_the_same_table(make_blobs):
    x, y = make_blobs(600, 3)
    known = np.where(np.arange(300) % 3 == 0, -1, y[:300])
    labels = SplitLabels(train=known, test=y[300:], train_groups=np.arange(300) // 5)
    protocol = EvaluationProtocol(
        fractions=(1.0, 0.2), draws=3, bootstrap=100, max_train_rows=120, max_test_rows=90, c_grid=(1.0,)
    )
    whole = evaluate({"x": Features(x[:300], x[300:])}, labels, protocol, classifiers={"x": ridge})
    rows = rows_in_use(labels, protocol)
    assert len(rows.train) == pytest.approx(120, abs=3)
    part = evaluate({"x": Features(x[rows.train], x[300:][rows.test])}, rows.labels, protocol, classifiers={"x": ridge})
    assert [row.values for row in part.rows] == [row.values for row in whole.rows]
