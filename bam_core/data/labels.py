"""Class names as people write them, to class indices: labels are texts, and only numbers are read as numbers."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WHOLE_FLOAT = re.compile(r"[+-]?\d+\.\d*([eE][+-]?\d{1,2})?")


class Labels(NamedTuple):
    """Class indices and what they mean.

    Attributes:
        indices: (n,) int64, -1 for unlabelled rows.
        classes: names, numbers in numerical order, others in alphabetical order.
    """

    indices: np.ndarray
    classes: list[str]


def encode_labels(
    values: Sequence[Any] | np.ndarray | pd.Series,
    *,
    minus_one_is_missing: bool = True,
    classes: Sequence[str] | None = None,
) -> Labels:
    """Number the classes of a column of strings or numbers.

    Args:
        values: (n,); missing and empty values are unlabelled, see `class_names`.
        minus_one_is_missing: whether -1 means unlabelled too, as usual, or is a class of its own.
        classes: names in their order, if known beforehand; rows of other classes are unlabelled.

    Raises:
        DataError: rows are labelled, but all with the same class.

    Example:
        >>> encode_labels([10.0, 9.0, None, -1])
        Labels(indices=array([ 1,  0, -1, -1]), classes=['9', '10'])
    """
    found = class_names(values)
    if minus_one_is_missing and "-1" not in (classes or ()):
        names = [None if name == "-1" else name for name in found]
    else:
        names = found
    known = [name for name in names if name is not None]
    names_in_order = sort_names(set(known)) if classes is None else list(classes)
    if len(names_in_order) == 1 and classes is None:
        binary = " -1 counts as unlabelled: call that class by another name." if "-1" in found else ""
        raise DataError(
            f"labels expected at least two classes; all {len(known)} labelled rows are {names_in_order[0]!r}.{binary} "
            "To train without labels, leave them out."
        )
    index: dict[str | None, int] = {name: i for i, name in enumerate(names_in_order)}
    return Labels(np.array([index.get(name, -1) for name in names], np.int64), names_in_order)


def class_names(values: Sequence[Any] | np.ndarray | pd.Series) -> list[str | None]:
    """The names of classes: texts as they stand there, numbers without the decimals of whole ones.

    Missing (None) are missing values and empty texts, nothing else: "NA" and "None" are names. Texts that are all
    written as floats of whole numbers, such as "1.0", come from a column of numbers with gaps, and become "1".

    Example:
        >>> class_names(["007", "7", " 1_2 ", "None", "", None]), class_names([1.0, 0.5, True])
        (['007', '7', '1_2', 'None', None, None], ['1', '0.5', 'True'])
        >>> class_names(["1.0", "0.0", ""])
        ['1', '0', None]
    """
    column = pd.Series(values, dtype=None if isinstance(values, pd.Series) else object).astype(object)
    missing = column.isna()
    names = [None if gone else _name(value) for value, gone in zip(column, missing, strict=True)]
    texts = {name for name in names if name}
    if texts and all(isinstance(value, str) for value in column[~missing]) and all(map(_is_whole_float, texts)):
        whole = {text: str(int(Decimal(text))) for text in texts}
        if len(set(whole.values())) == len(whole):
            names = [whole[name] if name else name for name in names]
    return [name or None for name in names]


def sort_names(names: set[str]) -> list[str]:
    """Sort numbers in numerical order if all names are numbers, else alphabetically.

    Example:
        >>> sort_names({"10", "9"}), sort_names({"b", "a", "10"}), sort_names({"1_2", "3"})
        (['9', '10'], ['10', 'a', 'b'], ['1_2', '3'])
    """
    in_order = sorted(names)
    return sorted(in_order, key=float) if all(map(_NUMBER.fullmatch, in_order)) else in_order


def _name(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float | Decimal | np.integer | np.floating) and not isinstance(value, bool):
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()


def _is_whole_float(text: str) -> bool:
    return _WHOLE_FLOAT.fullmatch(text) is not None and abs(Decimal(text)) < 2**53 and Decimal(text) % 1 == 0
