"""Class names as people write them, to class indices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError


class Labels(NamedTuple):
    """Class indices and what they mean.

    Attributes:
        indices: (n,) int64, -1 for unlabelled rows.
        classes: names, numbers in numerical order, others in alphabetical order.
    """

    indices: np.ndarray
    classes: list[str]


def encode_labels(
    values: Sequence[Any] | np.ndarray, *, minus_one_is_missing: bool = True, classes: Sequence[str] | None = None
) -> Labels:
    """Number the classes of a column of strings or numbers.

    Args:
        values: (n,); missing and empty values are unlabelled.
        minus_one_is_missing: whether -1 means unlabelled too, as usual, or is a class of its own.
        classes: names in their order, if known beforehand; rows of other classes are unlabelled.

    Raises:
        DataError: rows are labelled, but all with the same class.

    Example:
        >>> encode_labels([10.0, 9.0, None, -1])
        Labels(indices=array([ 1,  0, -1, -1]), classes=['9', '10'])
    """
    missing_names = {"", "-1"} if minus_one_is_missing else {""}
    column = pd.Series(values, dtype=object)
    names = ["" if missing else _name(value) for value, missing in zip(column, column.isna(), strict=True)]
    known = [name for name in names if name not in missing_names]
    names_in_order = sort_names(set(known)) if classes is None else list(classes)
    if len(names_in_order) == 1 and classes is None:
        binary = " -1 counts as unlabelled: call that class by another name." if "-1" in names else ""
        raise DataError(
            f"labels expected at least two classes; all {len(known)} labelled rows are {names_in_order[0]!r}.{binary} "
            "To train without labels, leave them out."
        )
    index = {name: i for i, name in enumerate(names_in_order)}
    return Labels(np.array([index.get(name, -1) for name in names], np.int64), names_in_order)


def sort_names(names: set[str]) -> list[str]:
    """Sort numbers in numerical order if all names are numbers, else alphabetically.

    Example:
        >>> sort_names({"10", "9"}), sort_names({"b", "a", "10"})
        (['9', '10'], ['10', 'a', 'b'])
    """
    in_order = sorted(names)
    try:
        return sorted(in_order, key=float)
    except ValueError:
        return in_order


def _name(value: Any) -> str:
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
