"""Arrays as people hold them: masked, tensors, objects."""

import numpy as np
import pandas as pd
import pytest
import torch

from bam_core.data.arrays import plain_array
from bam_core.data.numpy_files import texts


@pytest.mark.parametrize(
    "values",
    [
        np.ma.masked_equal([1, 2, 999], 999),
        np.ma.masked_equal(np.array([1, 2, 999], ">i2"), 999),
        [np.ma.masked_equal([1, 2, 999], 999)],
        np.array([1, 2, None], dtype=object),
        [1, 2, None],
        pd.Series([1, 2, None], dtype="Int64"),
        pd.array([1.0, 2.0, None], dtype="Float32"),
        torch.tensor([1.0, 2, float("nan")], requires_grad=True),
        torch.tensor([1.0, 2, float("nan")], dtype=torch.bfloat16),
        [torch.tensor([1.0, 2, float("nan")])],
    ],
)
def test_what_is_missing_is_nan(values):
    found = plain_array(values)
    assert found.dtype.kind == "f"
    np.testing.assert_array_equal(found.reshape(-1).astype(float), [1, 2, np.nan])


def test_other_values_stay_what_they_are():
    assert plain_array(np.ma.array([1, 2])).dtype == np.int64
    assert plain_array(np.ma.array(["a", "b"], mask=[False, True])).tolist() == ["a", None]
    assert plain_array(["1", None]).dtype == object
    assert plain_array([[True, False]]).dtype == bool
    assert plain_array([]).shape == (0,)
    with pytest.raises(ValueError, match="inhomogeneous"):
        plain_array([[1, 2], [3]])


def test_bytes_are_texts():
    assert texts(np.array([b"N", b"AF"])).tolist() == ["N", "AF"]
    assert texts(np.array([1, 2])).tolist() == [1, 2]
