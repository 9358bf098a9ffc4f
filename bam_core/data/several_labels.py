"""Several labels a row: names in one cell, such as "AF,LBBB", or 0 and 1 for every class, in columns or in an array."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data.arrays import plain_array
from bam_core.data.labels import class_names, sort_names
from bam_core.errors import DataError

SEPARATORS = ";|,"
"""Marks between the labels of a cell; the first of them that occurs in a column is its mark."""

_HOLDS = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0, "": -1}


def is_list(value: Any) -> bool:
    """Whether the label of a row is several, or none of them, in a list."""
    return isinstance(value, list | tuple | set | frozenset) or (isinstance(value, np.ndarray) and value.ndim == 1)


def label_array(values: Any) -> np.ndarray:
    """Labels in memory as an array: (n,), of lists as well, or (n, k) numbers.

    Example:
        >>> label_array([["a"], ["a", "b"]]).shape, label_array([[0, 1], [1, 0]]).shape
        ((2,), (2, 2))
    """
    if isinstance(values, list | tuple) and any(is_list(value) for value in values):
        cells = np.empty(len(values), dtype=object)
        cells[:] = [list(value) if is_list(value) else value for value in values]
        found = as_indicators(pd.Series(cells))
        return cells if found is None else found
    return plain_array(values)


def as_indicators(values: np.ndarray | pd.Series, name: str = "label") -> np.ndarray | None:
    """(n, k) 0 and 1, a row of -1 where one is missing; None if the values do not say 0 or 1 for every class.

    Args:
        values: array (n, k), which has to; or cells, of which all may hold as many 0 and 1.
        name: of the labels, for messages.

    Raises:
        DataError: an array (n, k) of other values.

    Example:
        >>> as_indicators(pd.Series([[0, 1, 1], [0, 0, 0], None])).tolist()
        [[0, 1, 1], [0, 0, 0], [-1, -1, -1]]
        >>> as_indicators(pd.Series([["a", "b"], ["b"]])) is None
        True
    """
    if isinstance(values, pd.Series):
        known = [value for value in values if is_list(value) and not isinstance(value, set | frozenset)]
        lengths = {len(value) for value in known}
        if len(lengths) != 1 or min(lengths) < 2 or not all(is_list(v) or _is_gap(v) for v in values):
            return None
        if not all(not isinstance(item, str) and item in (0, 1) for value in known for item in value):
            return None
        gap = [np.nan] * min(lengths)
        numbers = np.array([list(value) if is_list(value) else gap for value in values], np.float64)
    else:
        try:
            numbers = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(_no_indicators(name, values, next(iter(values.flat)))) from error
    missing = ~np.isfinite(numbers).all(axis=1) | (numbers == -1).all(axis=1)
    others = np.flatnonzero((~missing[:, None] & (numbers != 0) & (numbers != 1)).any(axis=1))
    if len(others):
        row = numbers[others[0]]
        raise DataError(_no_indicators(name, numbers, row[(row != 0) & (row != 1)][0]))
    return np.where(missing[:, None], -1, numbers).astype(np.int64)


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and np.isnan(value))


def _no_indicators(name: str, values: np.ndarray, example: Any) -> str:
    return (
        f"{name!r} of shape {values.shape} expected 0 or 1 for every class, several labels a row; it holds {example}. "
        "Choose one of its columns beforehand, or read without labels: label: none."
    )


def split_cells(values: pd.Series) -> tuple[list[list[str] | None], str]:
    """The labels of every cell, None where there is none, and the mark that they are divided by.

    Args:
        values: (n,) texts, or lists of names, such as those of parquet files.

    Raises:
        DataError: lists of numbers with decimals.

    Example:
        >>> split_cells(pd.Series(["AF, LBBB", "SR", None]))
        ([['AF', 'LBBB'], ['SR'], None], ',')
    """
    lists = values.map(is_list)
    texts = class_names(values.mask(lists, None))
    mark = next((mark for mark in SEPARATORS if any(mark in text for text in texts if text)), ",")
    items = [item for value, several in zip(values, lists, strict=True) if several for item in value]
    decimals = [item for item in items if isinstance(item, float | np.floating) and not float(item).is_integer()]
    if decimals:
        raise DataError(
            f"several labels a row expected names of classes, or 0 and 1 for every class; a row holds {decimals[0]:g}. "
            "Name another column, or read without labels: label: none."
        )
    cells: list[list[str] | None] = []
    for value, in_list, text in zip(values, lists, texts, strict=True):
        names = class_names(list(value)) if in_list else [part.strip() for part in text.split(mark)] if text else None
        cells.append(None if names is None else sorted({name for name in names if name}))
    return cells, mark


def encode_cells(
    cells: Sequence[Sequence[str] | None], classes: Sequence[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """(n, k) 0 and 1, a row of -1 for a cell without labels, and the names of the classes.

    Args:
        cells: names of the labels of every row, None for an unlabelled one.
        classes: names in their order, if known beforehand; others do not count.

    Raises:
        DataError: fewer than two classes.

    Example:
        >>> encode_cells([["b", "a"], None, ["b"]])
        (array([[ 1,  1],
               [-1, -1],
               [ 0,  1]]), ['a', 'b'])
    """
    names = sort_names({name for cell in cells for name in cell or ()}) if classes is None else list(classes)
    if len(names) < 2:
        raise DataError(f"several labels a row expected at least two classes; got {names}.")
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(cells), len(names)), np.int64)
    for row, cell in zip(found, cells, strict=True):
        if cell is None:
            row[:] = -1
        else:
            row[[place[name] for name in cell if name in place]] = 1
    return found, names


def encode_columns(columns: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """(n, k) 0 and 1 of a column a class, a row of -1 where one of them is empty, and the names of the columns.

    Raises:
        DataError: one column only, or a value that does not say yes or no.

    Example:
        >>> encode_columns(pd.DataFrame({"AF": [1, 0], "LBBB": ["True", None]}))
        (array([[ 1,  1],
               [-1, -1]]), ['AF', 'LBBB'])
    """
    names = [str(name) for name in columns.columns]
    if len(names) < 2:
        raise DataError(f"a column of 0 and 1 for every class expected at least two columns; got {names}.")
    found = np.empty(columns.shape, np.int64)
    for place, name in enumerate(columns.columns):
        for row, text in enumerate(class_names(columns[name])):
            known = _HOLDS.get((text or "").lower())
            if known is None:
                raise DataError(f"column {name!r} of labels expected 0 or 1; row {row} holds {text!r}.")
            found[row, place] = known
    found[found.min(axis=1) < 0] = -1
    return found, names


def said_of_several(values: np.ndarray, classes: Sequence[str], source: str) -> str:
    """A sentence on labels that were read: how many classes, how many a row, the most frequent ones."""
    known = values[values.min(axis=1) >= 0]
    counts = known.sum(axis=0)
    common = ", ".join(f"{classes[i]} ({counts[i]:,})" for i in np.argsort(-counts, kind="stable")[:5])
    each = known.sum() / max(len(known), 1)
    return f"Labels {source}: several a row, {len(classes)} classes, {each:.2g} a row; {common}."


def looks_like_several(values: pd.Series) -> str | None:
    """The mark by which texts seem to be lists of labels: two thirds of their parts stand in other cells, too.

    Example:
        >>> looks_like_several(pd.Series(["AF,LBBB", "AF", "LBBB"])), looks_like_several(pd.Series(["a, b", "c"]))
        (',', None)
    """
    texts: Sequence[Any] = [text for text in pd.unique(values.dropna()) if isinstance(text, str)]
    for mark in SEPARATORS:
        composed = [[part.strip() for part in text.split(mark)] for text in texts if mark in text]
        cells_of = Counter(part for text in texts for part in {part.strip() for part in text.split(mark)})
        parts = [part for cell in composed for part in cell if part]
        if parts and sum(cells_of[part] > 1 for part in parts) * 3 >= 2 * len(parts):
            return mark
    return None
