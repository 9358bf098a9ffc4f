import numpy as np
import pytest
from sklearn.metrics import f1_score

from bam_core import InputError
from bam_core.probes import evaluate as run_module
from bam_core.probes import linear
from bam_core.probes.evaluate import evaluate
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.knn import knn_probe
from bam_core.probes.linear import linear_probe
from bam_core.probes.protocol import EvaluationProtocol


def test_the_table_is_complete_and_in_order(results, quick):
    assert results.features == ["noise", "signal"]
    assert results.columns == [("knn", 1.0), ("knn", 0.1), ("linear", 1.0), ("linear", 0.1)]
    assert results.metrics == ["macro_f1", "balanced_accuracy", "accuracy", "auc"]
    assert len(results.rows) == 2 * 4 * 4
    assert all(len(row.values) == (100 if row.fraction == 1 else 3) for row in results.rows)
    assert results.row("signal", "knn", 1.0).n_labels == 300
    assert results.row("signal", "knn", 0.1).n_labels == 30
    assert set(results.figures) == {"noise", "signal"}
    assert (results.protocol, results.data_fingerprint) == (quick, "abc")


def test_numbers_are_those_of_the_probes(task, results, quick):
    features, labels = task
    x = features["signal"]
    probe = linear_probe(
        x.train,
        labels.train,
        x.test,
        groups=labels.train_groups,
        c_grid=quick.c_grid,
    )
    expected = f1_score(labels.test, probe.scores.argmax(axis=1), average="macro")
    assert results.row("signal", "linear", 1.0).mean == pytest.approx(expected)
    values = []
    for draw in range(3):
        rows = draw_rows(labels.train, 0.1, draw=draw)
        scores = knn_probe(x.train[rows], labels.train[rows], x.test, n_classes=3)
        values.append((scores.argmax(axis=1) == labels.test).mean())
    row = results.row("signal", "knn", 0.1, "accuracy")
    np.testing.assert_allclose(row.values, values)
    assert row.mean == pytest.approx(np.mean(values))
    assert row.spread == pytest.approx(np.std(values, ddof=1))


def test_signal_beats_noise_and_noise_does_not_beat_signal(results):
    assert all(c.beats for c in results.compare("signal", "noise"))
    assert all(c.loses for c in results.compare("noise", "signal"))


def test_it_is_reproducible_and_features_do_not_touch_each_other(task, results, quick):
    features, labels = task
    alone = evaluate({"signal": features["signal"]}, labels, quick)
    for row in alone.rows:
        assert row.values == results.row("signal", row.probe, row.fraction, row.metric).values


def test_test_rows_have_no_part_in_training(task, quick, monkeypatch):
    """Scores of the first half of test do not depend on the second half."""
    features, labels = task
    seen = {}

    def spy(name):
        original = getattr(run_module, name)

        def call(train, train_labels, test, **options):
            out = original(train, train_labels, test, **options)
            seen.setdefault(name, []).append(out if isinstance(out, np.ndarray) else out.scores)
            return out

        return call

    monkeypatch.setattr(run_module, "knn_probe", spy("knn_probe"))
    monkeypatch.setattr(run_module, "linear_probe", spy("linear_probe"))
    x = features["signal"]
    other = x.test.copy()
    other[150:] = 100 * other[150:][::-1]
    for test in (x.test, other):
        evaluate({"signal": Features(x.train, test)}, labels, quick)
    for scores in seen.values():
        for first, second in zip(scores[:4], scores[4:], strict=True):
            np.testing.assert_allclose(first[:150], second[:150], atol=1e-6)


def test_the_bootstrap_interval_is_wider_over_groups(task, quick):
    """Rows of one group that are right or wrong together carry less evidence than as many independent rows."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    easy = np.repeat(rng.random(20) < 0.5, 20)
    x = np.where(easy, y, 1 - y)[:, None] + 0.1 * rng.normal(size=(400, 1))
    x_train = y[:, None] + 0.1 * rng.normal(size=(400, 1))
    groups = np.repeat(np.arange(20), 20)
    protocol = quick.model_copy(update={"fractions": (1.0,), "probes": ("linear",), "metrics": ("accuracy",)})
    features = {"x": Features(x_train, x)}
    by_group = evaluate(features, SplitLabels(train=y, test=y, test_groups=groups), protocol).rows[0]
    by_row = evaluate(features, SplitLabels(train=y, test=y), protocol).rows[0]
    assert by_group.spread > 3 * by_row.spread
    assert by_group.spread_of == "95 % interval, 100 bootstrap resamplings of the 20 groups of test"
    assert by_row.spread_of == "95 % interval, 100 bootstrap resamplings of the rows of test"
    standard_error = np.sqrt(by_row.mean * (1 - by_row.mean) / 400)
    assert by_row.spread == pytest.approx(1.96 * standard_error, rel=0.3)
    low, high = by_row.interval
    assert low < by_row.mean < high


def test_one_group_in_test_falls_back_to_rows(task, quick):
    features, labels = task
    alone = SplitLabels(train=labels.train, test=labels.test, test_groups=np.zeros(300))
    assert "of the rows of test" in evaluate(features, alone, quick).rows[0].spread_of


def test_multi_label_with_a_validation_split(quick):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = (x[:, :4] + 0.5 * rng.normal(size=(400, 4)) > np.array([0, 0.5, 1, 1.5])).astype(int)
    y[:30] = -1
    labels = SplitLabels(train=y[:200], validation=y[200:300], test=y[300:])
    results = evaluate({"x": Features(x[:200], x[300:], x[200:300])}, labels, quick)
    assert results.metrics == ["auc", "average_precision"]
    assert results.row("x", "linear", 1.0).mean > 0.9
    assert any("30 of 200 rows of train have no label" in note for note in results.notes)


def test_the_validation_split_is_drawn_like_train(task, quick, monkeypatch):
    features, labels = task
    counts = []
    original = run_module.linear_probe

    def spy(*args, validation, **options):
        counts.append(int((validation[1] >= 0).sum()))
        return original(*args, validation=validation, **options)

    monkeypatch.setattr(run_module, "linear_probe", spy)
    x = features["signal"]
    with_validation = SplitLabels(train=labels.train, test=labels.test[:200], validation=labels.test[200:])
    protocol = quick.model_copy(update={"probes": ("linear",)})
    evaluate({"x": Features(x.train, x.test[:200], x.test[200:])}, with_validation, protocol)
    assert counts[0] == 100
    assert all(8 <= count <= 12 for count in counts[1:])


def test_folds_are_made_of_the_groups_of_train(task, quick, monkeypatch):
    features, labels = task
    seen = []
    original = linear.make_splits

    def spy(y, groups, **options):
        seen.append(original(y, groups, **options))
        return seen[-1]

    monkeypatch.setattr(linear, "make_splits", spy)
    evaluate(features, labels, quick.model_copy(update={"fractions": (1.0,)}))
    assert [splits.made_of for splits in seen] == ["groups", "groups"]


def test_binary_labels_lead_with_auc(task, quick):
    features, labels = task
    binary = SplitLabels(train=np.minimum(labels.train, 1), test=np.minimum(labels.test, 1))
    assert evaluate(features, binary, quick).metrics[0] == "auc"


def test_metrics_and_classes_by_name(task, quick):
    features, labels = task
    protocol = quick.model_copy(update={"metrics": ("macro_f1",), "classes": ("a", "c"), "fractions": (1.0,)})
    results = evaluate(features, labels, protocol)
    assert results.title("macro_f1") == "macro-F1 (a, c)"
    x = features["signal"]
    predicted = knn_probe(x.train, labels.train, x.test).argmax(axis=1)
    expected = f1_score(labels.test, predicted, labels=[0, 2], average="macro")
    assert results.row("signal", "knn", 1.0).mean == pytest.approx(expected)


def test_sizes_are_bounded(task, quick):
    features, labels = task
    protocol = quick.model_copy(update={"max_train_rows": 100, "max_test_rows": 50, "fractions": (1.0,)})
    results = evaluate(features, labels, protocol)
    assert results.row("signal", "knn", 1.0).n_labels == pytest.approx(100, abs=2)
    x, train, test = features["signal"], draw_rows(labels.train, 1 / 3), draw_rows(labels.test, 1 / 6)
    predicted = knn_probe(x.train[train], labels.train[train], x.test[test]).argmax(axis=1)
    accuracy = (predicted == labels.test[test]).mean()
    assert results.row("signal", "knn", 1.0, "accuracy").mean == pytest.approx(accuracy)
    assert any("A draw of 100 of the 300 labelled rows of train is used." in note for note in results.notes)
    assert any("A draw of 50 of the 300 labelled rows of test is used." in note for note in results.notes)


def test_notes_say_what_a_reader_must_know(task, quick):
    features, labels = task
    names = ["a", "b", "c", "d", "e"]
    train, test = labels.train.copy(), labels.test.copy()
    test[:3] = 3
    train[train == 2] = np.where(np.arange((train == 2).sum()) < 4, 2, 0)
    groups = labels.train_groups
    shared = SplitLabels(train=train, test=test, classes=names, train_groups=groups, test_groups=groups)
    notes = "\n".join(evaluate(features, shared, quick).notes)
    assert "20 of 20 groups of test are also in train" in notes
    assert "Test has classes that train lacks, which no probe can find: d." in notes
    assert "Classes that test lacks are left out of averages: e." in notes
    assert "At 10 % of the labels the rarest class, c, has 1 label." in notes


def test_notes_on_tiny_draws(quick):
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.arange(60) % 3
    labels = SplitLabels(train=y[:30], test=y[30:], train_groups=np.array(["p", "q", "r"])[y[:30]])
    notes = "\n".join(evaluate({"x": Features(x[:30], x[30:])}, labels, quick).notes)
    assert "kNN at 10 %: 3 labels, fewer than k=20; all of them vote." in notes
    assert "Linear probe at 10 %: too few labels to choose C; the middle of the grid, 1, was taken." in notes
    assert "Linear probe at 100 %: C was chosen on folds of rows" in notes


def test_unconverged_fits_are_noted(task, quick, monkeypatch):
    monkeypatch.setattr("bam_core.probes.logistic.MAX_ITERATIONS", 2)
    assert any("signal: the fit stopped before it converged" in note for note in evaluate(*task, quick).notes)


def test_errors(task, quick):
    features, labels = task
    with pytest.raises(InputError, match=r"averages over classes \['z'\]; the labels have \['a', 'b', 'c'\]"):
        evaluate(features, labels, quick.model_copy(update={"classes": ("z",)}))
    for split, wrong, count in (("train", np.zeros(300, int), 300), ("test", np.full(300, -1), 0)):
        parts = {"train": labels.train, "test": labels.test, split: wrong}
        with pytest.raises(InputError, match=f"at least two classes in {split}; got {count} labelled of 300 rows"):
            evaluate(features, SplitLabels(**parts), quick)
    x = features["signal"]
    broken = x._replace(train=np.where(np.arange(300)[:, None] == 7, np.nan, x.train))
    with pytest.raises(InputError, match="features 'signal', train: 1 of 300 rows hold NaN or infinity"):
        evaluate({"signal": broken}, labels, quick)
    y = np.eye(3, dtype=int)[labels.train]
    accuracy = EvaluationProtocol(metrics=("accuracy",), fractions=(1.0,))
    with pytest.raises(InputError, match="metric 'accuracy' expected one class a row"):
        evaluate(features, SplitLabels(train=y, test=y), accuracy)
