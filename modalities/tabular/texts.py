"""What the values of a column are called, as texts, for categories and for messages."""

import re
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data.decimals import to_numbers


def texts_of(known: pd.Series, codes: bool) -> list[str]:
    """The names of categories; of codes, 1, 1.0 and "1" are the same."""
    known = known.map(lambda value: value.decode(errors="replace") if isinstance(value, bytes) else value)
    if not codes or known.map(lambda value: isinstance(value, bool | np.bool_)).any():
        return known.astype(str).tolist()
    numbers = to_numbers(known.tolist(), ".").tolist()
    return [
        str(int(number)) if np.isfinite(number) and number.is_integer() and not is_zero_padded(value) else str(value)
        for value, number in zip(known, numbers, strict=True)
    ]


def is_zero_padded(value: object) -> bool:
    """Whether it is a code with leading zeros, such as 007."""
    return isinstance(value, str) and re.fullmatch(r"0\d+", value) is not None


def shown(value: Any) -> str:
    """A value for a message."""
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")
