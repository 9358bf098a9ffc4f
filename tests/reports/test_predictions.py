"""Confusion, figures by class and calibration against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from bam_core import InputError
from bam_core.reports.predictions import Predictions, calibration, class_table, confusion, prediction_drawings


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    raw = rng.random((200, 3)) + 0.7 * np.eye(3)[labels]
    return Predictions(labels, raw / raw.sum(axis=1, keepdims=True), ("a", "b", "c"))


def test_as_scikit_learn_has_it(predictions):
    said = predictions.scores.argmax(axis=1)
    np.testing.assert_array_equal(confusion(predictions), confusion_matrix(predictions.labels, said))
    precision, recall, f1, n = precision_recall_fscore_support(predictions.labels, said)
    rows = class_table(predictions).rows
    for c, name in enumerate("abc"):
        area = roc_auc_score(predictions.labels == c, predictions.scores[:, c])
        expected = [f"{n[c]:,}", *(f"{value:.3f}" for value in (precision[c], recall[c], f1[c], area))]
        assert [cell.value for cell in rows[name]] == expected
    assert [drawing.title[:4] for drawing in prediction_drawings(predictions)] == ["What", "ROC ", "Cali"]


def test_calibration_by_hand():
    scores = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.35, 0.65]])
    found = calibration(Predictions(np.array([0, 1, 1, 1]), scores, ("a", "b")))
    assert found.counts.tolist() == [2, 2]
    np.testing.assert_allclose(found.said, [0.625, 0.95])
    np.testing.assert_allclose(found.found, [1.0, 0.5])
    assert found.error == pytest.approx((0.375 * 2 + 0.45 * 2) / 4)


def test_several_labels_and_numbers():
    several = Predictions(
        np.array([[1, 0], [0, 1], [1, 1]]), np.array([[0.9, 0.2], [0.6, 0.7], [0.8, 0.4]]), ("a", "b")
    )
    assert [cell.value for cell in class_table(several).rows["a"]] == ["2", "0.667", "1.000", "0.800", "1.000"]
    assert len(prediction_drawings(several)) == 2
    numbers = Predictions(np.array([1.0, 2.0]), np.array([[1.5], [2.0]]))
    assert class_table(numbers) is None
    assert "mean absolute error 0.25" in prediction_drawings(numbers)[0].alt


def test_scores_that_do_not_fit():
    with pytest.raises(InputError, match=r"Predictions expected scores of shape \(2, 3\); got \(2, 1\)"):
        Predictions(np.array([0, 1]), np.zeros((2, 1)), ("a", "b", "c"))
