"""What people hold in their hands as plain NumPy arrays: masked, of tensors, or of Python objects."""

from typing import Any

import numpy as np
import pandas as pd
import torch


def plain_array(values: Any) -> np.ndarray:
    """Values as an array that says itself what is missing: masked numbers are NaN.

    Args:
        values: array, masked or not; tensor on any device; Series, also of a nullable type; or nested lists of these.
            Objects that are all numbers, None or missing become float64.

    Raises:
        ValueError: lists of different lengths.

    Example:
        >>> plain_array(np.ma.array([1, 2, 999], mask=[0, 0, 1])).tolist()
        [1.0, 2.0, nan]
        >>> plain_array(pd.Series([1, None], dtype="Int64")).tolist(), plain_array([True, None]).dtype
        ([1.0, nan], dtype('float64'))
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray) and values.dtype.kind != "O":
        return values
    if isinstance(values, list | tuple) and any(_needs_care(value) for value in values):
        values = np.array([plain_array(value) for value in values])
    if isinstance(values, np.ma.MaskedArray):
        if not np.ma.is_masked(values):
            return np.asarray(values.data)
        mask = np.broadcast_to(values.mask, values.shape)
        if values.dtype.kind in "fiub":
            return np.where(mask, np.nan, values.data)
        found = values.data.astype(object)
        found[mask] = None
        return np.asarray(found)
    array = np.asarray(values)
    if array.dtype.kind == "O" and array.size and all(map(_is_number_or_gap, array.flat)):
        numbers = [np.nan if value is None or value is pd.NA else value for value in array.flat]
        return np.array(numbers, np.float64).reshape(array.shape)
    return array


def _needs_care(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray | torch.Tensor | pd.Series | list | tuple)


def _is_number_or_gap(value: Any) -> bool:
    return value is None or value is pd.NA or isinstance(value, int | float | np.number | np.bool_)
