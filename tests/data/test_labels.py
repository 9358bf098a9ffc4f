import decimal

import numpy as np
import pandas as pd
import pytest

from bam_core.data.labels import class_names, encode_labels, sort_names
from bam_core.errors import DataError


@pytest.mark.parametrize(
    ("values", "indices", "classes"),
    [
        (["b", "a", "", None], [1, 0, -1, -1], ["a", "b"]),
        (["10", "9", "-1", float("nan")], [1, 0, -1, -1], ["9", "10"]),
        (np.array([2.0, 1.0, np.nan]), [1, 0, -1], ["1", "2"]),
        (np.array([1.5, 0.5]), [1, 0], ["0.5", "1.5"]),
        (np.array([True, False]), [1, 0], ["False", "True"]),
        (np.array([" x ", "y", pd.NA], dtype=object), [0, 1, -1], ["x", "y"]),
        ([None, -1], [-1, -1], []),
        (["1_2", "12", "007", "7", "1e3", "1000"], [3, 2, 0, 5, 4, 1], ["007", "1000", "12", "1_2", "1e3", "7"]),
        (["7", "007", "1e1", "10"], [1, 0, 3, 2], ["007", "7", "10", "1e1"]),
        (["None", "NA", "null", "nan", " "], [1, 0, 3, 2, -1], ["NA", "None", "nan", "null"]),
        (["1.0", "", "0.0", "-1.0"], [1, -1, 0, -1], ["0", "1"]),
        (["1.0", "1", "2"], [1, 0, 2], ["1", "1.0", "2"]),
        (["1.0", "1.00"], [0, 1], ["1.0", "1.00"]),
        (["1.0", "2.5"], [0, 1], ["1.0", "2.5"]),
        (pd.Series([3, None, 1], dtype="Int64"), [1, -1, 0], ["1", "3"]),
        (pd.Series(["b", None, "a"], dtype="category"), [1, -1, 0], ["a", "b"]),
        ([decimal.Decimal("2.0"), "x"], [0, 1], ["2", "x"]),
    ],
)
def test_names_become_indices(values, indices, classes):
    labels = encode_labels(values)
    assert labels.indices.tolist() == indices
    assert labels.indices.dtype == np.int64
    assert labels.classes == classes


def test_minus_one_can_be_a_class():
    labels = encode_labels([1, -1], minus_one_is_missing=False)
    assert (labels.indices.tolist(), labels.classes) == ([1, 0], ["-1", "1"])


def test_one_class_only():
    with pytest.raises(DataError, match="at least two classes; all 2 labelled rows are 'x'"):
        encode_labels(["x", "x", ""])
    with pytest.raises(DataError, match="-1 counts as unlabelled"):
        encode_labels([1, -1])


def test_classes_known_beforehand():
    labels = encode_labels(["b", "new", None], classes=["b", "a"])
    assert (labels.indices.tolist(), labels.classes) == ([0, -1, -1], ["b", "a"])


def test_new_labels_are_read_as_the_known_classes():
    assert encode_labels(["1.0", "0.0", "", "2.0"], classes=["0", "1"]).indices.tolist() == [1, 0, -1, -1]
    assert encode_labels([-1, 1], classes=["-1", "1"]).indices.tolist() == [0, 1]


def test_names_are_sorted_as_numbers_only_if_all_are_numbers():
    assert sort_names({"1_2", "12", "3"}) == ["12", "1_2", "3"]
    assert sort_names({"nan", "2", "10"}) == ["10", "2", "nan"]
    assert class_names(np.array([2**60, 1])) == [str(2**60), "1"]
