"""Preprocessing fitted on training rows, kept as plain numbers in the facts, and applied alike to every later table.

Numbers are standardised, a missing one is the training mean (zero) and marked as missing; categories are indices (see
`columns`). Besides, the facts hold what views and encoders want to know of the training rows: quantiles and
frequencies, to draw from, and groups of features that say much the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError
from bam_core.registry import did_you_mean
from modalities.tabular.associations import feature_groups
from modalities.tabular.columns import FIRST, MISSING, Plan, plan_column, read_column

N_QUANTILES = 101


class Rows(NamedTuple):
    """A table as numbers.

    Attributes:
        numeric: (n, k) float32, standardised, NaN where missing.
        categorical: (n, m) int64.
        notes: kind of repair -> count.
    """

    numeric: np.ndarray
    categorical: np.ndarray
    notes: dict[str, int]


class Fitted(NamedTuple):
    """What was learnt: the facts, and columns of no use with the reasons."""

    facts: dict[str, Any]
    set_aside: dict[str, str]


def fit(frame: pd.DataFrame, *, categorical: Sequence[str] = (), max_categories: int = 100) -> Fitted:
    """Learn the preprocessing from training rows.

    Args:
        frame: the columns of features.
        categorical: columns whose numbers are codes.
        max_categories: see `plan_column`.

    Returns:
        Facts `columns` (the plans), `means` and `scales`, `numeric_names` and `categorical_names`, `n_numeric` (k),
        `cardinalities` (m), `quantiles` (k, 101) and `missing_rates` (k), `frequencies` (m, cardinality), and
        `feature_groups`, lists of indices into the k numbers and m categories.

    Raises:
        DataError: no column is of use.
    """
    from sklearn.preprocessing import StandardScaler

    plans: list[Plan] = []
    set_aside: dict[str, str] = {}
    numbers: dict[str, np.ndarray] = {}
    indices: dict[str, np.ndarray] = {}
    for name in frame.columns:
        plan = plan_column(frame[name], as_category=name in categorical, max_categories=max_categories)
        if isinstance(plan, str):
            set_aside[name] = plan
            continue
        read = read_column(plan, frame[name])
        parts = {part: values for part, values in read.numbers.items() if np.nanmin(values) < np.nanmax(values)}
        if read.indices is None and not parts:
            set_aside[name] = "constant: its readable values do not differ"
            continue
        plans.append(plan)
        numbers |= parts
        if read.indices is not None:
            indices[name] = read.indices
    if not plans:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in set_aside.items())
        raise DataError(f"a table expected at least one column that differs from row to row; found none.{reasons}")
    raw = np.column_stack([*numbers.values()]) if numbers else np.empty((len(frame), 0))
    codes = np.column_stack([*indices.values()]) if indices else np.empty((len(frame), 0), np.int64)
    scaler = StandardScaler().fit(raw) if numbers else None
    cardinalities = [FIRST + len(plan["categories"]) for plan in plans if "categories" in plan]
    facts: dict[str, Any] = {
        "columns": plans,
        "numeric_names": list(numbers),
        "categorical_names": list(indices),
        "means": [] if scaler is None else scaler.mean_.tolist(),
        "scales": [] if scaler is None else scaler.scale_.tolist(),
        "n_numeric": len(numbers),
        "cardinalities": cardinalities,
    }
    numeric = _scaled(raw, facts)
    facts["quantiles"] = [_quantiles(column) for column in numeric.T]
    facts["missing_rates"] = _rounded(np.isnan(numeric).mean(axis=0))
    facts["frequencies"] = [
        _rounded(np.bincount(column, minlength=size) / len(column))
        for column, size in zip(codes.T, cardinalities, strict=True)
    ]
    facts["feature_groups"] = feature_groups(numeric, codes, cardinalities)
    return Fitted(facts, set_aside)


def apply(facts: Mapping[str, Any], frame: pd.DataFrame, what: str = "the table") -> Rows:
    """Read a table with the preprocessing of the facts; columns beyond those it knows are not looked at.

    Args:
        facts: of `fit`, also after a way through JSON.
        frame: any rows with the columns that the facts name.
        what: the table, for messages.

    Raises:
        DataError: columns are missing.
    """
    absent = [plan["name"] for plan in facts["columns"] if plan["name"] not in frame]
    if absent:
        near = did_you_mean(absent[0], frame.columns)
        raise DataError(
            f"{what} expected the columns of the training table; {', '.join(map(repr, absent[:10]))} "
            f"{'is' if len(absent) == 1 else 'are'} missing{near if near.endswith('?') else '.'} It has "
            f"{', '.join(map(str, frame.columns[:20]))}. Columns of unknown values can be left empty."
        )
    reads = [read_column(plan, frame[plan["name"]]) for plan in facts["columns"]]
    numbers = {name: values for read in reads for name, values in read.numbers.items()}
    wanted = [numbers[name] for name in facts["numeric_names"]]
    indices = [read.indices for read in reads if read.indices is not None]
    raw = np.column_stack(wanted) if wanted else np.empty((len(frame), 0))
    return Rows(
        numeric=_scaled(raw, facts),
        categorical=np.column_stack(indices) if indices else np.empty((len(frame), 0), np.int64),
        notes={kind: count for read in reads for kind, count in read.notes.items()},
    )


def nothing_known(rows: Rows) -> np.ndarray:
    """(n,) true where every value of a row is missing."""
    return np.asarray(np.isnan(rows.numeric).all(axis=1) & (rows.categorical == MISSING).all(axis=1))


def _scaled(raw: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    limit = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        scaled = (raw - np.asarray(facts["means"])) / np.asarray(facts["scales"])
    return np.asarray(np.clip(scaled, -limit, limit), np.float32)


def _quantiles(column: np.ndarray) -> list[float]:
    known = column[np.isfinite(column)]
    return _rounded(np.quantile(known, np.linspace(0, 1, N_QUANTILES), method="inverted_cdf"))


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.9g}") for value in values.tolist()]
