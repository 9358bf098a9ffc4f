"""Columns of labels: classes or real numbers, what is guessed and what is asked about."""

import numpy as np
import pandas as pd
import pytest

from bam_core.data.holdout import hold_out
from bam_core.data.targets import read_target
from bam_core.errors import DataError, InputError


def read(values, **options):
    target = read_target(values, **options)
    return target.values.dtype.kind, target.values.tolist(), target.classes


def test_numbers_with_decimals_are_real_numbers():
    assert read(["1.5", "", "-1", "2.25", "1e3"]) == (
        "f",
        pytest.approx([1.5, np.nan, -1, 2.25, 1000], nan_ok=True),
        [],
    )
    assert read(pd.Series([0.5, None, 7.25]))[0] == "f"
    assert read(["1,5", "2,25", "3"])[1] == [1.5, 2.25, 3.0]
    target = read_target(np.linspace(0, 1, 30), name="load")
    assert target.notes == ["Labels 'load' are real numbers, 0 to 1: regression; for classes, task: classification."]
    assert target.facts == {"classes": [], "task": "regression"}


def test_few_numbers_with_decimals_are_classes_and_that_is_said():
    target = read_target([0.5, 1.0, 1.5] * 10, name="grade")
    assert target.classes == ["0.5", "1", "1.5"]
    assert target.facts == {"classes": ["0.5", "1", "1.5"]}
    assert target.notes[0].startswith("Labels 'grade' are 3 different numbers, such as 0.5: classes; to predict")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([3, 1, -1, 2], ["1", "2", "3"]),
        (["007", "7", "0.5"] * 20, ["007", "0.5", "7"]),
        ([True, False], ["False", "True"]),
        (["1.5", "x", "2.5"], ["1.5", "2.5", "x"]),
        ([10, 20, 30] * 30, ["10", "20", "30"]),
    ],
)
def test_classes(values, classes):
    assert sorted(read(values)[2]) == sorted(classes)


def test_many_whole_numbers_are_asked_about_unless_they_count():
    ages = [17, 19, *range(21, 60)] * 3
    with pytest.raises(
        DataError, match=r"labels 'age' are 41 different whole numbers, 17 to 59: .*task: regression, or"
    ):
        read_target(ages, name="age")
    assert read(ages, task="regression")[:2] == ("f", [float(age) for age in ages])
    assert len(read(ages, task="classification")[2]) == 41
    counted = read_target(list(range(60)) * 2, name="y")
    assert len(counted.classes) == 60
    assert "whole numbers 0 to 59: 60 classes" in counted.notes[0]


def test_what_is_no_number_is_named():
    with pytest.raises(DataError, match=r"task: regression expected numbers as labels: .*row 1 holds 'old'"):
        read_target(["3", "old", "5"], task="regression")
    with pytest.raises(DataError, match=r"task: regression expected numbers as labels: .*expected numbers; got '007'"):
        read_target(["007", "8"], task="regression")
    with pytest.raises(DataError, match="expected finite numbers; row 1 is not"):
        read_target([1.5, np.inf, 2.5], task="regression")
    with pytest.raises(DataError, match="at least two different numbers; all labelled rows are 3"):
        read_target([3, 3, None], task="regression")
    with pytest.raises(InputError, match="task expected classification, multi_label, regression; got 'ranking'"):
        read_target([1, 2], task="ranking")
    assert read_target([None, ""]) is None
    assert read_target([None, ""], task="regression") is None


def test_missing_numbers_are_counted():
    target = read_target([1.5, -999, 3.5, 2.0, "?"], name="y", task="regression")
    np.testing.assert_array_equal(target.values, [1.5, np.nan, 3.5, 2.0, np.nan])
    assert set(target.notes) == {
        "Labels 'y': '?' counts as missing, 1 times.",
        "Labels 'y': '-999' counts as missing, 1 times.",
    }


def test_labels_of_new_data_are_read_as_those_of_training():
    numbers = {"classes": [], "task": "regression"}
    assert read([1, 2, 3], fitted=numbers)[:2] == ("f", [1.0, 2.0, 3.0])
    target = read_target(["1", "x", ""], fitted=numbers)
    np.testing.assert_array_equal(target.values, [1, np.nan, np.nan])
    assert target.notes == ["1 label(s) are no numbers, as those of training are, and count as missing."]
    assert read([0.5, 0.25, None], fitted={"classes": ["0.25", "0.5"]})[:2] == ("i", [1, 0, -1])
    assert read_target([0.5, 0.25], fitted={"classes": []}) is None


def test_every_tenth_gives_the_same_part_to_the_test_split():
    y = np.append(np.random.default_rng(0).normal(size=200), [np.nan] * 10)
    held_out = hold_out(210, 0.25, seed=0, labels=y)
    tenths = np.digitize(y[:200], np.quantile(y[:200], np.arange(1, 10) / 10))
    assert not held_out[200:].any()
    assert np.bincount(tenths[held_out[:200]]).tolist() == [5] * 10


MANY = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    "labels",
    [
        MANY,
        MANY.astype(bool),
        MANY.astype(np.float32),
        MANY.astype(">u2"),
        MANY.astype(object),
        MANY.tolist(),
        list(MANY),
    ],
)
def test_an_array_of_0_and_1_for_every_class_is_several_labels_a_row(labels):
    target = read_target(labels)
    assert target.values.tolist() == MANY.tolist()
    assert target.facts == {"classes": ["0", "1", "2"], "task": "multi_label"}
    assert "several a row, 3 classes, 1 a row" in target.notes[0]
    assert read_target(labels, fitted=target.facts).values.tolist() == MANY.tolist()
    with pytest.raises(DataError, match=r"expected one label a row for task: classification.*task: multi_label"):
        read_target(labels, task="classification")


def test_rows_with_one_1_each_are_classes():
    one_hot = np.eye(3)[[2, 0, 1, 1]]
    target = read_target(one_hot)
    assert target.values.tolist() == [2, 0, 1, 1]
    assert target.facts == {"classes": ["0", "1", "2"]}
    assert "one 1 a row (one-hot): 3 classes; several a row by task: multi_label" in target.notes[0]
    assert read_target(one_hot, task="multi_label").values.shape == (4, 3)
    assert read_target(one_hot, fitted={"classes": ["a", "b", "c"]}).values.tolist() == [2, 0, 1, 1]
    assert read_target(one_hot, fitted={"classes": ["a", "b"]}) is None
    assert read_target(one_hot[:, :1] + 1).values.tolist() == [0, 1, 0, 0]


def test_rows_of_such_an_array_may_have_no_label():
    gaps = np.array([[1.0, 1, 0], [np.nan] * 3, [-1, -1, -1], [0, 1, np.nan], [1, 0, 0]])
    none = [-1, -1, -1]
    assert read_target(gaps).values.tolist() == [[1, 1, 0], none, none, none, [1, 0, 0]]
    assert read_target([[1, 1, 0], None, [0, 0, 1]]).values.tolist() == [[1, 1, 0], none, [0, 0, 1]]
    assert read_target(np.full((3, 2), -1)) is None


def test_an_array_of_other_values_is_an_error():
    with pytest.raises(
        DataError, match=r"of shape \(4, 3\) expected 0 or 1 for every class.*it holds 0.5.*label: none"
    ):
        read_target(np.where(MANY == 1, 0.5, 0))
    with pytest.raises(DataError, match=r"it holds -1"):  # as in CheXpert, where that means uncertain
        read_target(np.array([[1, -1, 0], [0, 1, 1]]))
    with pytest.raises(DataError, match=r"expected 0 or 1 for every class.*it holds cat"):
        read_target(np.array([["cat", "dog"], ["dog", "cow"]]))
    with pytest.raises(DataError, match=r"expected names of classes, or 0 and 1.*a row holds 0.2"):
        read_target([[0.2, 0.8], [0.5, 0.5]])


def test_lists_of_names_are_several_labels_a_row():
    target = read_target([["b", "a, c"], [], None, ["b"]])
    assert target.classes == ["a, c", "b"]
    assert target.values.tolist() == [[1, 1], [0, 0], [-1, -1], [0, 1]]
    assert read_target([[3, 17], [3]]).classes == ["3", "17"]
    assert read_target([["b"], [], ["a"]]).values.tolist() == [1, -1, 0]
    assert read_target([["b"], ["a", "b"]], fitted={"classes": ["a", "b"], "task": "multi_label"}).values.tolist() == [
        [0, 1],
        [1, 1],
    ]
    with pytest.raises(DataError, match="expected one label a row for task: regression"):
        read_target([["b", "a"], ["b"]], task="regression")
