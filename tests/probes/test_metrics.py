import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

from bam_core import InputError
from bam_core.probes.metrics import default_metrics, metric_of_weights, metric_title, resamplings


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 200, p=[0.6, 0.2, 0.15, 0.05])
    scores = rng.dirichlet(np.ones(4), 200) + 0.3 * np.eye(4)[labels]
    scores = (scores / scores.sum(axis=1, keepdims=True)).round(2)  # rounded: ties
    scores /= scores.sum(axis=1, keepdims=True)
    return labels, scores


def test_equal_scikit_learn_with_and_without_weights(case):
    labels, scores = case
    predicted = scores.argmax(axis=1)
    for weights in (np.ones(200), np.random.default_rng(1).integers(0, 4, 200).astype(float)):
        judges = {
            "accuracy": accuracy_score(labels, predicted, sample_weight=weights),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted, sample_weight=weights),
            "macro_f1": f1_score(labels, predicted, average="macro", sample_weight=weights),
            "auc": np.mean([roc_auc_score(labels == c, scores[:, c], sample_weight=weights) for c in range(4)]),
        }
        for name, expected in judges.items():
            assert metric_of_weights(name, labels, scores)(weights) == pytest.approx(expected, abs=1e-12), name


def test_auc_of_multi_class_is_scikit_learns_one_against_the_rest(case):
    labels, scores = case
    expected = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert metric_of_weights("auc", labels, scores)(np.ones(200)) == pytest.approx(expected)


def test_binary_auc_is_that_of_the_second_class(case):
    labels, scores = case[0] % 2, case[1][:, :2]
    expected = roc_auc_score(labels, scores[:, 1])
    assert metric_of_weights("auc", labels, scores)(np.ones(200)) == pytest.approx(expected)


def test_multi_label_auc_leaves_out_labels_that_do_not_vary():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, (50, 5)), rng.random((50, 5))
    labels[:, 1], labels[:, 3] = 0, 1
    expected = np.mean([roc_auc_score(labels[:, c], scores[:, c]) for c in (0, 2, 4)])
    assert metric_of_weights("auc", labels, scores)(np.ones(50)) == pytest.approx(expected)


def test_subset_of_classes(case):
    labels, scores = case
    predicted = scores.argmax(axis=1)
    expected = f1_score(labels, predicted, average="macro", labels=[0, 2])
    assert metric_of_weights("macro_f1", labels, scores, subset=[0, 2])(np.ones(200)) == pytest.approx(expected)
    recalls = [(predicted[labels == c] == c).mean() for c in (0, 2)]
    got = metric_of_weights("balanced_accuracy", labels, scores, subset=[0, 2])(np.ones(200))
    assert got == pytest.approx(np.mean(recalls))


def test_classes_that_do_not_occur_are_left_out_of_averages(case):
    labels, scores = case
    rows = labels != 3
    expected = f1_score(labels[rows], scores[rows].argmax(axis=1), average="macro", labels=[0, 1, 2])
    assert metric_of_weights("macro_f1", labels[rows], scores[rows])(np.ones(rows.sum())) == pytest.approx(expected)


def test_closed_form():
    labels, scores = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    values = {
        name: metric_of_weights(name, labels, scores)(np.ones(4)) for name in default_metrics(2, multi_label=False)
    }
    assert values == {"auc": 0.75, "balanced_accuracy": 0.5, "macro_f1": 0.5, "accuracy": 0.5}
    assert np.isnan(metric_of_weights("auc", np.zeros(4, int), scores)(np.ones(4)))
    assert np.isnan(metric_of_weights("macro_f1", labels * 0, scores, subset=[1])(np.ones(4)))


def test_headline_by_kind_of_labels():
    assert default_metrics(71, multi_label=True) == ("auc", "average_precision")
    assert default_metrics(2, multi_label=False)[0] == "auc"
    assert default_metrics(5, multi_label=False)[0] == "macro_f1"
    assert metric_title("macro_f1", ["N", "S"]) == "macro-F1 (N, S)"


def test_resamplings_keep_groups_whole_and_are_reproducible():
    groups = np.repeat(["a", "b", "c", "d"], [1, 2, 3, 4])
    drawn = list(resamplings(10, groups, count=50, seed=3))
    assert all(len(set(weights[groups == g])) == 1 for weights in drawn for g in "abcd")
    assert all(sum(weights[groups == g][0] for g in "abcd") == 4 for weights in drawn)
    np.testing.assert_array_equal(drawn, list(resamplings(10, groups, count=50, seed=3)))
    rows = np.array(list(resamplings(10, None, count=400, seed=0)))
    assert (rows.sum(axis=1) == 10).all()
    np.testing.assert_allclose(rows.mean(axis=0), 1.0, atol=0.2)


def test_errors(case):
    labels, scores = case
    with pytest.raises(InputError, match="unknown metric 'f2'; there are accuracy, balanced_accuracy, macro_f1, auc"):
        metric_of_weights("f2", labels, scores)
    with pytest.raises(InputError, match="these labels are multi-label"):
        metric_of_weights("accuracy", np.zeros((3, 2), int), np.zeros((3, 2)))
