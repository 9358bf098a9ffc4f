"""Labels and groups in memory on their way into files: arrays of numbers or texts, which are read without pickle."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data.arrays import plain_array
from bam_core.data.numpy_files import texts
from bam_core.data.several_labels import SEPARATORS, label_array
from bam_core.data.targets import MULTI_LABEL
from bam_core.errors import InputError


class StorableLabels(NamedTuple):
    """Labels of rows.

    Attributes:
        values: (n,) numbers or texts, "" for none; or (n, k) of 0 and 1.
        options: of a reader, that say what the values are.
    """

    values: np.ndarray
    options: dict[str, Any]


def storable_labels(labels: Any) -> StorableLabels:
    """Labels as people have them in memory, for a file.

    Args:
        labels: (n,) classes or numbers, None or NaN for none; (n, k) of 0 and 1; or a list of names for each row.

    Raises:
        InputError: no array, or names in lists that cannot be distinguished in one text.

    Example:
        >>> storable_labels(["slow", None]).values.tolist()
        ['slow', '']
        >>> storable_labels([["AF"], ["AF", "LBBB"]])
        StorableLabels(values=array(['AF', 'AF;LBBB'], dtype='<U7'), options={'task': 'multi_label'})
    """
    array = label_array(labels)
    lists = [value for value in array if isinstance(value, list)] if array.dtype.kind == "O" else []
    if not lists:
        return StorableLabels(storable(array, "labels"), {})
    names = [str(name) for cell in lists for name in cell]
    if any(mark in name for name in names for mark in SEPARATORS) or not all(lists):
        raise InputError(
            f"labels in lists expected at least one name a row, without any of {' '.join(SEPARATORS)}. Pass an array "
            "(n, k) of 0 and 1."
        )
    cells = [SEPARATORS[0].join(map(str, cell if isinstance(cell, list) else [cell])) for cell in array]
    return StorableLabels(np.array(cells, str), {"task": MULTI_LABEL})


def storable(values: Any, what: str) -> np.ndarray:
    """An array of numbers or texts; objects become texts, and those that are missing "".

    Args:
        values: (n,) or (n, k).
        what: they are, for messages.

    Raises:
        InputError: no axis of rows.

    Example:
        >>> storable(np.array(["p1", None, 3], dtype=object), "groups").tolist()
        ['p1', '', '3']
    """
    array = texts(plain_array(values))
    if array.ndim == 0:
        raise InputError(f"{what} expected a value for each row; got {values!r}.")
    if array.dtype.kind in "fiubU":
        return array
    return np.array(["" if gap else str(value) for value, gap in zip(array, pd.isna(array), strict=True)], str)


def taken_out(rows: Any, **named: Any) -> tuple[Any, dict[str, Any]]:
    """Rows without the columns that labels and the like name, and the values of these.

    Args:
        rows: a frame, or anything else.
        **named: for each role the name of a column, values, or None.

    Raises:
        InputError: a name without such a column.

    Example:
        >>> frame, found = taken_out(pd.DataFrame({"x": [1, 2], "kind": ["a", "b"]}), label="kind", group=None)
        >>> list(frame), list(found["label"])
        (['x'], ['a', 'b'])
    """
    named_so = {role: name for role, name in named.items() if isinstance(name, str)}
    columns = list(getattr(rows, "columns", ()))
    for role, name in named_so.items():
        if name not in columns:
            raise InputError(
                f"{role}s expected a value for each row, or the name of a column of a DataFrame; got {name!r}"
                + (f", and columns {', '.join(map(str, columns[:20]))}." if columns else ".")
            )
    found = {role: rows[name] if role in named_so else name for role, name in named.items()}
    return (rows.drop(columns=list(dict.fromkeys(named_so.values()))) if named_so else rows), found
