"""Tables as pandas frames: from text, from parquet, and with an index that says something."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bam_core.data.column_names import role_of
from bam_core.data.decimals import Decimal, has_commas
from bam_core.data.text_tables import TextTable, read_text_table
from bam_core.errors import DataError

NAMES = ("id", "label", "group", "split")
"""Roles of columns whose values are names."""


def read_text(path: Path, kept_as_text: Sequence[str], *, decimal: Decimal | None = None) -> TextTable:
    """Read a table of text; names of rows, classes, persons and splits stay texts, even if they look like numbers.

    Where decimals have commas, numbers such as 1.234 stay texts as well: nothing else tells what they are.

    Args:
        path: of the file.
        kept_as_text: further columns that stay texts.
        decimal: mark in front of decimals; None to look.

    Raises:
        DataError: see `read_text_table`.
    """
    kept = set(kept_as_text)
    text = read_text_table(path, as_text=lambda name: name in kept or role_of(name) in NAMES)
    others = [str(name) for name in text.frame if name not in kept]
    names = {name for name in others if (role_of(name) or "") not in (*NAMES, "time")}
    with_points = {name for name in names if text.frame[name].dtype.kind == "f"}
    if decimal == "." or not with_points or not (decimal or any(has_commas(text.frame[name]) for name in names)):
        return text
    return read_text_table(path, as_text=lambda name: name in kept | with_points or role_of(name) in NAMES)


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file as a frame.

    Raises:
        DataError: it is none.
    """
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable parquet file ({error}).") from error


def is_list(values: pd.Series) -> bool:
    """Whether a column of a frame holds lists."""
    if values.dtype != object:
        return False
    first = values.dropna().head(1)
    return len(first) > 0 and isinstance(first.iloc[0], list | tuple | np.ndarray)


def with_index(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose index says something, such as a time or the name of the series, with columns in its place.

    The last of several levels is the time, those before name the series, as in sktime.

    Returns:
        The frame, its columns named by texts, and what was guessed.

    Example:
        >>> index = pd.MultiIndex.from_product([["a", "b"], [0, 1]])
        >>> with_index(pd.DataFrame({"x": range(4)}, index=index))[0].columns.tolist()
        ['id', 'time', 'x']
    """
    frame = frame.set_axis(frame.columns.astype(str), axis=1)
    index = frame.index
    roles = [role_of(str(name)) if name is not None else None for name in index.names]
    if index.nlevels == 1:
        is_time = isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex)
        if roles[0] not in ("id", "time", "label", "group", "split") and not is_time:
            return frame.reset_index(drop=True), []
        name = str(index.name) if roles[0] else "time"
        levels = {name: index}
    else:
        *outer, inner = (index.get_level_values(level) for level in range(index.nlevels))
        joined = (
            outer[0] if len(outer) == 1 else pd.Index(["/".join(map(str, key)) for key in zip(*outer, strict=True)])
        )
        levels = {
            str(index.names[0]) if len(outer) == 1 and roles[0] == "id" else "id": joined,
            str(index.names[-1]) if roles[-1] == "time" else "time": inner,
        }
    taken = {name: values for name, values in levels.items() if name not in frame}
    frame = frame.reset_index(drop=True)
    for place, (name, values) in enumerate(taken.items()):
        frame.insert(place, name, pd.Series(values))
    return frame, [f"The index is taken as {' and '.join(taken)}."] if taken else []
