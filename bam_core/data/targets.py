"""What a column of labels holds: classes, several of them a row, or real numbers to be predicted as such."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from bam_core.data.labels import encode_labels
from bam_core.data.numbers import read_numbers
from bam_core.data.several_labels import (
    as_indicators,
    encode_cells,
    encode_columns,
    is_list,
    looks_like_several,
    said_of_several,
    split_cells,
)
from bam_core.errors import DataError, InputError

Task = Literal["classification", "multi_label", "regression"]
CLASSIFICATION: Task = "classification"
REGRESSION: Task = "regression"
MULTI_LABEL: Task = "multi_label"

FEW = 20  # different numbers that may be codes of classes without a word


class Target(NamedTuple):
    """Labels of rows.

    Attributes:
        values: (n,) int64 class indices, -1 for none; (n, k) int64 0/1, a row of -1 for none; or (n,) float64, NaN for
            none.
        classes: their names; empty for real numbers.
        notes: what was guessed.
    """

    values: np.ndarray
    classes: list[str]
    notes: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What the facts of prepared data say of them; `task` only where a row has not one class."""
        found: dict[str, Any] = {"classes": self.classes}
        task = REGRESSION if self.values.dtype.kind == "f" else MULTI_LABEL if self.values.ndim == 2 else None
        return found | ({} if task is None else {"task": task})


def read_target(
    values: Sequence[Any] | np.ndarray | pd.Series | pd.DataFrame,
    *,
    name: str = "label",
    task: str | None = None,
    minus_one_is_missing: bool = True,
    fitted: Mapping[str, Any] | None = None,
) -> Target | None:
    """Read a column of labels; None if no row has one.

    Numbers with decimals are real numbers, unless they are few and come again and again. Whole numbers are classes,
    unless they are many and leave gaps: then the option `task` has to say what they are.

    Args:
        values: (n,); missing and empty values are unlabelled. Or 0 and 1 for every class: a frame with a column for
            each, an array (n, k), or lists of k. Rows with one 1 each are classes ("one-hot"), unless `task` says
            otherwise. Lists of names, or of numbers of classes, are several labels a row.
        name: of the column, for messages.
        task: "classification", "regression", or "multi_label" for cells such as "AF,LBBB", divided at `;`, `|` or `,`;
            default: what the values look like.
        minus_one_is_missing: whether -1 means unlabelled, too; never of real numbers.
        fitted: facts of a saved encoder, whose classes or real numbers these are; what is neither is unlabelled. With
            None as `classes`, labels are new, and nothing is known of them.

    Raises:
        InputError: an unknown task.
        DataError: one class or one number only; numbers that may be both; or, of regression, values that are none.

    Example:
        >>> read_target([1.5, 2.25, None]).values.tolist(), read_target([3, 1, -1]).values.tolist()
        ([1.5, 2.25, nan], [1, 0, -1])
        >>> read_target(["a", "b"], fitted={"classes": []}), read_target(["a", "b"], fitted={"classes": None}).classes
        (None, ['a', 'b'])
        >>> read_target([3, 1, -1], task="regression").values.tolist()
        [3.0, 1.0, -1.0]
    """
    if task is not None and task not in get_args(Task):
        raise InputError(f"task expected {', '.join(get_args(Task))}; got {task!r}.")
    if fitted is not None and fitted.get("classes", ()) is None:
        fitted = None
    if isinstance(values, pd.DataFrame):
        found, classes = encode_columns(values)
        if fitted is not None and list(fitted.get("classes") or []) != classes:
            return None
        return Target(found, classes, [said_of_several(found, classes, ", ".join(classes[:5]))])
    if isinstance(values, np.ndarray) and values.ndim == 2:
        if values.shape[1] > 1:
            return _of_indicators(as_indicators(values, name), name, task, fitted)
        values = values[:, 0]
    column = pd.Series(values, dtype=None if isinstance(values, pd.Series) else object).reset_index(drop=True)
    lists = column.map(is_list)
    if lists.any():
        found_each = as_indicators(column, name)
        if found_each is not None:
            return _of_indicators(found_each, name, task, fitted)
        if column[lists].map(len).max() > 1:
            _check_several(task, name)
            task = MULTI_LABEL
        elif task != MULTI_LABEL:
            column = pd.Series([(next(iter(v), None) if is_list(v) else v) for v in column], dtype=object)
    if fitted is not None:
        return _known_target(column, fitted, minus_one_is_missing)
    if task == MULTI_LABEL:
        return _several(column, name)
    numbers = _numbers(column, name, must=task == REGRESSION)
    notes: list[str] = []
    if task is None and numbers is not None:
        task, notes = _guess(numbers[0], name, minus_one_is_missing)
    if task == REGRESSION and numbers is not None:
        known = np.unique(numbers[0][np.isfinite(numbers[0])])
        notes += [f"Labels {name!r}: {mark!r} counts as missing, {count} times." for mark, count in numbers[1].items()]
        if len(known) < 2:
            if not len(known):
                return None
            raise DataError(f"{name!r} expected at least two different numbers; all labelled rows are {known[0]:g}.")
        return Target(numbers[0], [], notes)
    mark = looks_like_several(column) if task is None else None
    if mark is not None:
        notes.append(f"Labels {name!r} hold {mark!r}: if these are several labels a row, task: multi_label.")
    labels = encode_labels(column, minus_one_is_missing=minus_one_is_missing)
    return Target(labels.indices, labels.classes, notes) if labels.classes else None


def _of_indicators(
    found: np.ndarray | None, name: str, task: str | None, fitted: Mapping[str, Any] | None
) -> Target | None:
    """0 and 1 for every class: several labels a row, or, if each row has one, classes."""
    if found is None or (found < 0).all():
        return None
    classes = [str(i) for i in range(found.shape[1])]
    known = found[found.min(axis=1) >= 0]
    is_one_hot = bool((known.sum(axis=1) == 1).all())
    if fitted is not None:
        trained = list(fitted.get("classes") or [])
        several = fitted.get("task") == MULTI_LABEL
        if len(trained) != len(classes) or not (several or (is_one_hot and fitted.get("task") is None)):
            return None
        return Target(found if several else np.where(found.min(axis=1) < 0, -1, found.argmax(axis=1)), trained, [])
    if is_one_hot and task in (None, CLASSIFICATION):
        said = (
            f"Labels {name!r} have one 1 a row (one-hot): {len(classes)} classes; several a row by task: multi_label."
        )
        return Target(np.where(found.min(axis=1) < 0, -1, found.argmax(axis=1)), classes, [said])
    _check_several(task, name)
    return Target(found, classes, [said_of_several(found, classes, f"{name!r}, 0 and 1 for every class")])


def _check_several(task: str | None, name: str) -> None:
    if task in (CLASSIFICATION, REGRESSION):
        raise DataError(f"{name!r} expected one label a row for task: {task}; rows have several: task: multi_label.")


def _several(column: pd.Series, name: str, classes: Sequence[str] | None = None) -> Target | None:
    cells, mark = split_cells(column)
    if not any(cells):
        return None
    found, names = encode_cells(cells, classes)
    return Target(found, names, [said_of_several(found, names, f"{name!r}, divided at {mark!r}")])


def _known_target(column: pd.Series, fitted: Mapping[str, Any], minus_one_is_missing: bool) -> Target | None:
    if fitted.get("task") == REGRESSION:
        return _known_numbers(column)
    classes = list(fitted.get("classes") or [])
    if not classes:
        return None
    if fitted.get("task") == MULTI_LABEL:
        return _several(column, "label", classes)
    labels = encode_labels(column, minus_one_is_missing=minus_one_is_missing, classes=classes)
    return Target(labels.indices, classes, [])


def _known_numbers(column: pd.Series) -> Target:
    numbers = _numbers(column, "label", must=False)
    if numbers is None:
        values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        numbers = np.where(np.isinf(values), np.nan, values), {}
    n_lost = int((np.isnan(numbers[0]) & column.notna().to_numpy() & (column.astype(str) != "").to_numpy()).sum())
    lost = f"{n_lost} label(s) are no numbers, as those of training are, and count as missing."
    return Target(numbers[0], [], [lost] if n_lost else [])


def _numbers(column: pd.Series, name: str, *, must: bool) -> tuple[np.ndarray, dict[str, int]] | None:
    """(n,) float64, NaN where missing, and what was taken as missing; None for what is no number."""
    known = column.dropna()
    codes = [value for value in known if isinstance(value, bool | np.bool_) or _is_code(value)]
    try:
        if codes:
            raise DataError(f"{name!r} expected numbers; got {codes[0]!r}.")
        no_commas = not known.map(lambda value: isinstance(value, str) and "," in value).any()
        found = read_numbers(pd.DataFrame({name: column}), "the table", decimal="." if no_commas else None)
        values = found.frame[name].to_numpy(np.float64)
        if np.isinf(values).any():
            raise DataError(f"{name!r} expected finite numbers; row {int(np.flatnonzero(np.isinf(values))[0])} is not.")
    except DataError as error:
        if must:
            raise DataError(f"task: regression expected numbers as labels: {error}") from error
        return None
    return values, found.missing


def _is_code(value: Any) -> bool:
    """Whether a text is a code, such as 007, though it can be read as a number."""
    digits = value.strip().lstrip("+-") if isinstance(value, str) else ""
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _guess(numbers: np.ndarray, name: str, minus_one_is_missing: bool) -> tuple[Task, list[str]]:
    known = numbers[np.isfinite(numbers)]
    different = np.unique(known)
    if (different != np.round(different)).any():
        if len(different) > FEW or 2 * len(different) > len(known):
            said = f"Labels {name!r} are real numbers, {different[0]:g} to {different[-1]:g}: regression;"
            return REGRESSION, [f"{said} for classes, task: classification."]
        said = (
            f"Labels {name!r} are {len(different)} different numbers, such as {_with_decimals(different):g}: classes;"
        )
        return "classification", [f"{said} to predict them as numbers, task: regression."]
    classes = different[different != -1] if minus_one_is_missing else different
    if len(classes) <= FEW:
        return "classification", []
    if np.array_equal(classes, classes[0] + np.arange(len(classes))) and classes[0] in (0, 1):
        said = f"Labels {name!r} are the whole numbers {classes[0]:g} to {classes[-1]:g}: {len(classes)} classes;"
        return "classification", [f"{said} to predict them as numbers, task: regression."]
    raise DataError(
        f"labels {name!r} are {len(classes)} different whole numbers, {classes[0]:g} to {classes[-1]:g}: they may be "
        "quantities or codes of classes. Say which: task: regression, or task: classification. To train without "
        "labels, leave the column out."
    )


def _with_decimals(different: np.ndarray) -> float:
    return float(different[different != np.round(different)][0])
