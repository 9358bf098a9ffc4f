"""Long DataFrames in memory, a row for every time of every series: for `from_memory`, one input a series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bam_core.data import PreparedData, SetAside, SplitWriter, in_memory
from bam_core.data.column_names import NONE, role_of
from bam_core.errors import DataError, InputError
from modalities.timeseries.grid import read_step
from modalities.timeseries.long import write_rows
from modalities.timeseries.long_rows import Names, read_one_frame
from modalities.timeseries.preparation import enough
from modalities.timeseries.rows import SeriesOptions

_NO_INPUTS = {"label": NONE, "group": None, "split": NONE}


def is_long(frame: Any, id: str | None, time: str | None) -> bool:
    """Whether a frame has a row for every time, and not one for every series.

    Args:
        frame: what was given, a frame or something else.
        id: column that names the series, if the user said so.
        time: the same of the times.

    Raises:
        InputError: columns are named of what is no frame.
        DataError: a frame of one series a row with a column that is no step of them.

    Example:
        >>> is_long(pd.DataFrame({"id": ["a", "a", "b"], "x": [1.0, 2.0, 3.0]}), None, None)
        True
        >>> is_long(pd.DataFrame([[1.0, 2.0], [3.0, 4.0]]), None, None)
        False
    """
    if not isinstance(frame, pd.DataFrame):
        if id is not None or time is not None:
            raise InputError(f"id and time name columns of a DataFrame; got {type(frame).__name__}.")
        return False
    if id is not None or time is not None or frame.index.nlevels > 1:
        return True
    roles = {name: role_of(str(name)) for name in frame.columns}
    names = [frame[name] for name, role in roles.items() if role == "id"]
    if frame.index.name is not None and role_of(str(frame.index.name)) == "id":
        names.append(frame.index.to_series())
    if "time" in roles.values() or any(values.duplicated().any() for values in names):
        return True
    others = [repr(name) for name, role in roles.items() if role is not None]
    if others:
        raise DataError(
            f"a frame with a series in every row expected steps as columns; {', '.join(others[:5])} is called like "
            "something else. Leave it out; for a row of every time, give id and time, the names of these columns."
        )
    return False


def read_long_frame(
    frame: pd.DataFrame,
    options: SeriesOptions,
    *,
    id: str | None,
    time: str | None,
    values: Sequence[str] | None = None,
    step: float | str | None = None,
) -> PreparedData:
    """Read the series of a long frame, all to train on or to embed; `names` are those of the series.

    Args:
        frame: with a row for every time.
        options: what happens to every series.
        id: see `read_long`, as for the following.
        time: as there.
        values: as there.
        step: as there.

    Raises:
        DataError: as there.
    """
    read_step(step)
    trained_on = None if options.fitted is None else options.fitted.get("channels")
    wanted = Names(id, time, values or trained_on, dict(_NO_INPUTS), required=options.fitted is None)
    names: list[str] = []

    def build(writer: SplitWriter) -> None:
        rows = read_one_frame(frame, wanted, writer)
        names.extend(rows.names)
        places = [str(place) for place in range(len(names))]
        write_rows(writer, rows._replace(names=places), step, options)

    data = enough(in_memory("frame", build), "X", options.fitted)
    return replace(data, names=names, set_aside=[_named(row, names) for row in data.set_aside])


def _named(row: SetAside, names: Sequence[str]) -> SetAside:
    place, _, part = row.source.partition("@")
    return SetAside(names[int(place)] + (f"@{part}" if part else ""), row.reason) if place.isdigit() else row
