"""Preprocessing fitted on training rows, kept as plain numbers in the facts, and applied alike to every later table.

Numbers are standardised, a missing one is the training mean (zero) and marked as missing; categories are indices (see
`columns`). Besides, the facts hold what views and encoders want to know of the training rows: quantiles and
frequencies, to draw from, and groups of features that say much the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.config.registry import did_you_mean
from bam_core.data.decimals import guess_decimal
from bam_core.errors import DataError
from modalities.tabular.associations import feature_groups
from modalities.tabular.columns import (
    AS_USUAL,
    FIRST,
    MISSING,
    Notation,
    Plan,
    evidence_of,
    plan_column,
    tidy,
)
from modalities.tabular.reading import Read, read_column

N_QUANTILES = 101
N_CATEGORIES = 20  # that are many
N_JUDGED = 10  # values of a column, at least, to decide whether training knew them


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
    """What was learnt: the facts, columns of no use with the reasons, and what was guessed."""

    facts: dict[str, Any]
    set_aside: dict[str, str]
    notes: list[str]


def fit(
    frame: pd.DataFrame,
    *,
    categorical: Sequence[str] = (),
    max_categories: int = 100,
    notation: Notation = AS_USUAL,
    delimiter: str | None = None,
) -> Fitted:
    """Learn the preprocessing from training rows.

    Args:
        frame: the columns of features.
        categorical: columns whose numbers are codes.
        max_categories: see `plan_column`.
        notation: how values are written, as far as it is known.
        delimiter: of the text that the table comes from.

    Returns:
        Facts `columns` (the plans), `means` and `scales`, `numeric_names` and `categorical_names`, `n_numeric` (k),
        `cardinalities` (m), `quantiles` (k, 101) and `missing_rates` (k), `frequencies` (m, cardinality), and
        `feature_groups`, lists of indices into the k numbers and m categories.

    Raises:
        DataError: no column is of use, or numbers can be read in two ways.
    """
    from sklearn.preprocessing import StandardScaler

    notation = _looked_at(frame, [name for name in frame.columns if name not in categorical], notation, delimiter)

    plans: list[Plan] = []
    set_aside: dict[str, str] = {}
    numbers: dict[str, np.ndarray] = {}
    indices: dict[str, np.ndarray] = {}
    for name in frame.columns:
        plan = plan_column(
            frame[name], as_category=name in categorical, max_categories=max_categories, notation=notation
        )
        if isinstance(plan, str):
            set_aside[name] = plan
            continue
        read = read_column(plan, frame[name], _as_planned(plan, notation))
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
    return Fitted(facts, set_aside, [note for plan in plans if (note := _many_categories(plan)) is not None])


def _many_categories(plan: Plan) -> str | None:
    """What to say of categories that look like numbers or dates in a notation that is not known."""
    names = plan.get("categories", [])
    with_digits = [name for name in names if any(c.isdigit() for c in name) and not name.isdecimal()]
    if plan.get("codes") or len(names) <= N_CATEGORIES or len(with_digits) < 0.9 * len(names):
        return None
    return (
        f"Column {plan['name']!r}: {len(names)} different texts such as {with_digits[0]!r} are taken as categories; "
        "numbers and dates would have to be written as such."
    )


def apply(
    facts: Mapping[str, Any],
    frame: pd.DataFrame,
    what: str = "the table",
    *,
    notation: Notation = AS_USUAL,
    delimiter: str | None = None,
    max_unknown: float | None = None,
) -> Rows:
    """Read a table with the preprocessing of the facts; columns beyond those it knows are not used.

    Args:
        facts: of `fit`, also after a way through JSON.
        frame: any rows with the columns that the facts name.
        what: the table, for messages.
        notation: how values are written, as far as it is known.
        delimiter: of the text that the table comes from.
        max_unknown: share of the values of a column, or of the table, that training may not have known. None for the
            training table itself, which is written as the plans say.

    Raises:
        DataError: columns are missing, or too many values are unknown.
    """
    plans: list[Plan] = facts["columns"]
    absent = [plan["name"] for plan in plans if plan["name"] not in frame]
    if absent:
        near = did_you_mean(absent[0], frame.columns)
        raise DataError(
            f"{what} expected the columns of the training table; {', '.join(map(repr, absent[:10]))} "
            f"{'is' if len(absent) == 1 else 'are'} missing{near if near.endswith('?') else '.'} It has "
            f"{', '.join(map(str, frame.columns[:20]))}. Columns of unknown values can be left empty."
        )
    if max_unknown is None:
        reads = [read_column(plan, frame[plan["name"]], _as_planned(plan, notation)) for plan in plans]
    else:
        notation = _looked_at(frame, [plan["name"] for plan in plans if plan["kind"] == "number"], notation, delimiter)
        reads = [read_column(plan, frame[plan["name"]], notation) for plan in plans]
        _check_known(plans, reads, what, max_unknown)
    numbers = {name: values for read in reads for name, values in read.numbers.items()}
    wanted = [numbers[name] for name in facts["numeric_names"]]
    indices = [read.indices for read in reads if read.indices is not None]
    raw = np.column_stack(wanted) if wanted else np.empty((len(frame), 0))
    rows = Rows(
        numeric=_scaled(raw, facts),
        categorical=np.column_stack(indices) if indices else np.empty((len(frame), 0), np.int64),
        notes={kind: count for read in reads for kind, count in read.notes.items()},
    )
    if max_unknown is not None:
        rows.notes.update(_emptier(facts, plans, reads, len(frame)))
    return rows


def _looked_at(frame: pd.DataFrame, names: Sequence[str], notation: Notation, delimiter: str | None) -> Notation:
    """With the mark in front of decimals that the table has, as far as its columns tell."""
    if notation.decimal:
        return notation
    columns = [evidence_of(tidy(frame[name], notation.na_values)) for name in names]
    return notation._replace(guessed=guess_decimal(columns, delimiter))


def _as_planned(plan: Plan, notation: Notation) -> Notation:
    return notation._replace(decimal="," if plan.get("decimal_comma") else ".")


def _check_known(plans: Sequence[Plan], reads: Sequence[Read], what: str, max_unknown: float) -> None:
    n_known = sum(read.n_known for read in reads)
    n_unread = sum(read.n_unread for read in reads)
    wrong = [
        f"\n  column {plan['name']!r}: {read.n_unread} of {read.n_known} values are {read.unread}"
        for plan, read in zip(plans, reads, strict=True)
        if read.n_unread > max_unknown * read.n_known and (read.n_known >= N_JUDGED or n_unread > max_unknown * n_known)
    ]
    if wrong:
        listed = "".join(wrong[:10]) + (f"\n  and {len(wrong) - 10} more columns" if len(wrong) > 10 else "")
        raise DataError(
            f"{what} is unlike the training table:{listed}\nWrite these values as there, say how they are written "
            "(decimal, na_values), or leave the columns empty; max_unknown: 1 takes such values as unknown."
        )


def _emptier(facts: Mapping[str, Any], plans: Sequence[Plan], reads: Sequence[Read], n_rows: int) -> dict[str, int]:
    """Columns of which half is missing, and was not in training."""
    numeric = dict(zip(facts["numeric_names"], facts["missing_rates"], strict=True))
    categorical = {
        name: shares[MISSING] for name, shares in zip(facts["categorical_names"], facts["frequencies"], strict=True)
    }
    notes = {}
    for plan, read in zip(plans, reads, strict=True):
        parts = [numeric[part] for part in read.numbers if part in numeric]
        rate = categorical.get(plan["name"], max(parts, default=0.0))
        n_missing = n_rows - read.n_known
        if n_missing > 0.5 * n_rows and rate < 0.25:
            notes[f"column {plan['name']!r}: missing values, which in training were {rate:.0%}"] = n_missing
    return notes


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
