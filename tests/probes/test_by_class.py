"""Several labels a row: every class for itself, in tables, in files and over several runs."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from bam_core.probes.class_tables import class_views
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.linear import linear_probe
from bam_core.probes.metrics import class_metric_of_weights, metric_of_weights
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.probes.seeds import aggregate
from bam_core.probes.tables import class_markdown
from bam_core.reports.report import ReportContent, write_report

CLASSES = ["AF", "LBBB", "never"]
QUICK = EvaluationProtocol(fractions=(1.0, 0.1), draws=2, bootstrap=100, c_grid=(0.1,))


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    y = np.stack(
        [x[:, 0] + rng.normal(size=300) > 0, x[:, 1] + 0.5 * rng.normal(size=300) > 1, np.zeros(300)], axis=1
    ).astype(np.int64)
    noise = rng.normal(size=(300, 5)).astype(np.float32)
    labels = SplitLabels(train=y[:200], test=y[200:], classes=CLASSES)
    return {"noise": Features(noise[:200], noise[200:]), "signal": Features(x[:200], x[200:])}, labels


@pytest.fixture(scope="module")
def several():
    features, labels = data()
    return evaluate(features, labels, QUICK), features, labels


@pytest.mark.parametrize(
    ("name", "reference"), [("auc", roc_auc_score), ("average_precision", average_precision_score)]
)
def test_metrics_of_classes_are_scikit_learns(name, reference):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, (80, 3)), np.round(rng.random((80, 3)), 1)
    for weights in (np.ones(80), rng.integers(0, 4, 80).astype(float)):
        repeated = np.repeat(np.arange(80), weights.astype(int))
        expected = [reference(labels[repeated, c], scores[repeated, c]) for c in range(3)]
        np.testing.assert_allclose(class_metric_of_weights(name, labels, scores)(weights), expected)
        assert metric_of_weights(name, labels, scores)(weights) == pytest.approx(np.mean(expected))
    one_class = rng.integers(0, 3, 80)
    expected = np.mean([reference(one_class == c, scores[:, c]) for c in range(3)])
    assert metric_of_weights(name, one_class, scores)(np.ones(80)) == pytest.approx(expected)


def test_every_class_has_a_row_and_the_average_is_theirs(several):
    results, features, labels = several
    assert results.metrics == ["auc", "average_precision"]
    found = {
        (row.metric, row.name): row for row in results.by_class if (row.features, row.probe) == ("signal", "linear")
    }
    scores = linear_probe(features["signal"].train, labels.train, features["signal"].test, c_grid=(0.1,)).scores
    for place, name in enumerate(CLASSES[:2]):
        truth = labels.test[:, place]
        assert found["auc", name].mean == pytest.approx(roc_auc_score(truth, scores[:, place]))
        assert found["average_precision", name].mean == pytest.approx(average_precision_score(truth, scores[:, place]))
        assert found["auc", name].n_test == truth.sum()
        assert 0 < found["auc", name].spread < 0.2
    assert np.isnan(found["auc", "never"].mean)
    mean = np.mean([found["auc", name].mean for name in CLASSES[:2]])
    assert results.row("signal", "linear", 1.0, "auc").mean == pytest.approx(mean)


def test_tables_of_classes(several, tmp_path):
    results, _, labels = several
    auc, precision = class_views(results)
    assert auc.title == "AUC by class, linear probe, all labels"
    assert [column.title for column in auc.columns] == ["rows of test", "noise", "signal"]
    assert list(auc.rows) == ["AF", "LBBB", "never"]
    assert [cell.best for cell in auc.rows["LBBB"]] == [False, False, True]
    assert [cell.value for cell in auc.rows["never"]] == ["0", "-", "-"]
    assert precision.rows["AF"][0].value == str(labels.test[:, 0].sum())
    assert "2 rarer classes are left out" in class_views(results, most=1)[0].footnotes[0]
    assert len(results.by_class_to_console(1)) == 2
    assert "| AF | " in class_markdown(results)
    page = write_report(tmp_path / "r.html", ReportContent("x", results=results)).read_text()
    assert "Average precision by class" in page


def test_they_are_kept_joined_and_averaged(several, tmp_path):
    results, features, labels = several
    results.save(tmp_path / "r.json")
    back = Results.load(tmp_path / "r.json")
    assert len(back.by_class) == 2 * 2 * 2 * 3
    assert back.by_class[0] == results.by_class[0]
    assert {row.features for row in results.restricted(["signal"]).by_class} == {"signal"}
    assert results.restricted(["noise"]).joined([results.restricted(["signal"])]).by_class == results.by_class
    both = aggregate([results, evaluate(features, labels, QUICK)])
    assert both.by_class[0].mean == results.by_class[0].mean
    assert both.by_class[0].spread == 0


def test_one_class_a_row_has_no_such_tables(results):
    assert class_views(results) == []
    assert class_markdown(results) == ""
