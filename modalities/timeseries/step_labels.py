"""Labels that change within a series, as of activities: one for every window, by majority."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data.targets import Target, read_target
from bam_core.errors import DataError
from bam_core.labels.strata import is_real


def on_steps(labels: np.ndarray, times: np.ndarray, step: float, n_steps: int) -> np.ndarray:
    """(n_steps,) the label of every step of a series, None where no row has one.

    Args:
        labels: (n,) of the rows, None or NaN where missing.
        times: (n,) of the rows, in order.
        step: of time.
        n_steps: of the series; the first row is at its first step.

    Example:
        >>> on_steps(np.array(["a", "b", "b"], object), np.array([0.0, 1.0, 3.0]), 1.0, 4).tolist()
        ['a', 'b', None, 'b']
    """
    found = np.full(n_steps, None, object)
    place = np.ceil((times - times[0]) / step - 0.5 - 1e-6).astype(np.int64).clip(0, n_steps - 1)
    known = ~pd.isna(labels)
    found[place[known]] = labels[known]
    return found


def encode_steps(
    labels: Sequence[np.ndarray], *, task: str | None, fitted: Mapping[str, Any] | None
) -> tuple[Target, list[np.ndarray]] | None:
    """The labels of all steps, encoded series by series, and what is known of them; None if there are none.

    Args:
        labels: of each series the labels of its steps.
        task: see `read_target`.
        fitted: facts of a saved encoder.

    Raises:
        DataError: several labels a step, or as `read_target` does.
    """
    codes, different = pd.factorize(pd.Series(np.concatenate(labels), dtype=object))
    repeated = pd.Series(different, dtype=object).repeat(3).reset_index(drop=True)  # they come again and again
    target = read_target(repeated, task=task, fitted=fitted)
    if target is None:
        return None
    if target.values.ndim == 2:
        raise DataError("labels that change within a series expected one a step; task: multi_label has several.")
    of_code = target.values[::3]
    missing = np.array([np.nan if is_real(of_code) else -1], of_code.dtype)
    encoded = np.concatenate([of_code, missing])[codes]  # a missing label has the code -1
    ends = np.cumsum([len(one) for one in labels])[:-1]
    return target, np.split(encoded, ends)


def label_of_window(labels: np.ndarray, purity: float) -> float:
    """The label of most steps, or the mean of real numbers; -1, or NaN, if there is none.

    Args:
        labels: (t,) class indices, -1 for none, or real numbers, NaN for none.
        purity: part of the labelled steps that have to agree; more steps than have any other label in any case.

    Example:
        >>> steps = np.array([2, 2, 2, 0, -1])
        >>> label_of_window(steps, 0.5), label_of_window(steps, 0.8), label_of_window(np.array([0.5, 1.0]), 0.5)
        (2, -1, 0.75)
    """
    if is_real(labels):
        return float(np.nanmean(labels)) if np.isfinite(labels).any() else float("nan")
    counts = np.bincount(labels[labels >= 0])
    if not len(counts):
        return -1
    most = int(counts.argmax())
    clear = counts[most] >= purity * counts.sum() and (counts == counts[most]).sum() == 1
    return most if clear else -1
