import numpy as np
import pandas as pd
import pytest

from bam_core.data.labels import encode_labels
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
