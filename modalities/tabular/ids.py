"""Columns that say which row it is: numbers and names of patients, cases, records. As inputs they leak."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from modalities.tabular.columns import tidy

N_DIFFERENT = 20  # rows from which whole numbers that never repeat are an id

_NOUNS = (
    "patient|case|person|subject|participant|volunteer|customer|client|user|member|student|employee|staff|record|row|"
    "recording|sample|specimen|visit|encounter|admission|stay|account|order|invoice|ticket|transaction|session|device|"
    "machine|household|passenger|accession|study|instance|sequence|series|file|image|document|item|product|serial"
)
_NUMBER = "id|ids|no|nr|num|number|uid|uuid|guid|key"
_IDS = re.compile(rf"(\w+ )?(id|ids|uid|uuid|guid|mrn|pid)|(\w+ )?({_NOUNS}) ?({_NUMBER})")
_ALONE = re.compile(
    "(patient|case|person|subject|participant|user|customer|client|rowname|row name|index|unnamed ?0?)s?"
)
_JOINED = re.compile(rf"({_NOUNS})({_NUMBER})")


def why_id(values: pd.Series) -> str | None:
    """Why a column is an id, by its name or since its whole numbers never repeat; None if it is none.

    Example:
        >>> why_id(pd.Series([3, 3, 4], name="Patient_ID")), why_id(pd.Series([3, 3, 4], name="humidity"))
        ("called like an id; keep: ['Patient_ID'] uses it, categorical: ['Patient_ID'] takes its values as codes", None)
    """
    name = str(values.name)
    uses = f"keep: [{name!r}] uses it"
    if is_id_name(name):
        return f"called like an id; {uses}, categorical: [{name!r}] takes its values as codes"
    numbers = _whole_numbers(tidy(values))
    if numbers is None or len(numbers) < max(N_DIFFERENT, len(values) / 2) or len(np.unique(numbers)) < len(numbers):
        return None
    if numbers[0] in (0, 1) and np.all(np.diff(numbers) == 1):
        return "counts the rows"
    return f"looks like an id: its {len(numbers)} whole numbers all differ, such as {int(numbers[0])}; {uses}"


def is_id_name(name: str) -> bool:
    """Whether a column is called as ids are.

    Example:
        >>> [is_id_name(name) for name in ("MRN", "caseNo", "PassengerId", "case", "zip", "idle")]
        [True, True, True, True, False, False]
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name.strip())
    plain = re.sub(r"[\W_]+", " ", words).strip().lower()
    return any(pattern.fullmatch(plain) for pattern in (_IDS, _ALONE, _JOINED))


def find_ids(frame: pd.DataFrame, wanted: Collection[str]) -> dict[str, str]:
    """Name of a column -> why it is an id; `wanted` are left out."""
    reasons = {name: why_id(frame[name]) for name in frame.columns if name not in wanted}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _whole_numbers(values: pd.Series) -> np.ndarray | None:
    """The known values, if they are whole numbers written without marks."""
    known = values.dropna()
    if known.empty or pd.api.types.is_bool_dtype(known.dtype):
        return None
    if pd.api.types.is_numeric_dtype(known.dtype) and known.dtype.kind != "c":
        numbers = known.to_numpy(np.float64)
    elif known.dtype == object and all(isinstance(value, str) and value.isdecimal() for value in known):
        numbers = known.astype(float).to_numpy()
    else:
        return None
    whole = np.all(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers)))
    return numbers if whole else None
