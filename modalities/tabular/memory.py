"""Readers of tables that are in memory already: frames and arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, SplitWriter, in_memory
from bam_core.data.decimals import Decimal
from bam_core.data.storable import storable, storable_labels
from bam_core.errors import DataError, InputError
from modalities.tabular.data import write_tables
from modalities.tabular.files import from_frame
from modalities.tabular.options import TableOptions, Thousands


def read_frame(
    *,
    frame: Any,
    test_frame: Any = None,
    label: str | list[str] | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    drop: list[str] | None = None,
    keep: list[str] | None = None,
    categorical: list[str] | None = None,
    max_categories: int = 100,
    max_unknown: float = 0.5,
    unlabelled: list[str | int] | None = None,
    decimal: Decimal | None = None,
    thousands: Thousands | None = None,
    na_values: list[str | float] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read tables in memory, as `read_table` reads files.

    Args:
        frame: pandas DataFrame, or what makes one: an array (n, columns), a dict of columns.
        test_frame: the same with the test split.
        label: see `read_table`, as for the other options.
        task: as there.
        group: as there.
        id: as there.
        split: as there.
        drop: as there.
        keep: as there.
        categorical: as there.
        max_categories: as there.
        max_unknown: as there.
        unlabelled: as there.
        decimal: as there.
        thousands: as there.
        na_values: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Raises:
        InputError: options that contradict each other.
        DataError: unsuitable tables; the message says why.

    Example:
        >>> frame = pd.DataFrame({"size": [1.0, 2.5, None, 3.0], "colour": ["red", "red", "blue", "red"]})
        >>> prepared = read_frame(frame=frame)
        >>> prepared.facts["cardinalities"], prepared.column("train", "categorical").tolist()
        ([4], [[3], [3], [2], [3]])
    """
    if test_frame is not None and split:
        raise InputError("test_frame and split both say what is for testing; give one of them.")
    frames = [pd.DataFrame(part) for part in (frame, test_frame) if part is not None]
    options = TableOptions(
        label=label, task=task, group=group, id=id, split=split, drop=drop or (), keep=keep or (),
        categorical=categorical or (), max_categories=max_categories, max_unknown=max_unknown, unlabelled=unlabelled,
        decimal=decimal, thousands=thousands, na_values=na_values, test_fraction=test_fraction, seed=seed,
        fitted=fitted,
    ).checked()  # fmt: skip

    def build(writer: SplitWriter) -> None:
        tables = [from_frame(part, name) for part, name in zip(frames, ("frame", "test frame"), strict=False)]
        write_tables(writer, tables, options)

    return in_memory("frame", build)


def from_memory(
    table: Any,
    *,
    drop: list[str | int] | None = None,
    keep: list[str | int] | None = None,
    categorical: list[str | int] | None = None,
    max_categories: int = 100,
    max_unknown: float = 0.5,
    decimal: Decimal | None = None,
    thousands: Thousands | None = None,
    na_values: list[str | float] | None = None,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a table of which every column but ids is a feature, whatever it is called; see `Modality.from_memory`.

    Args:
        table: pandas DataFrame or array (n, columns).
        drop: see `read_table`, as for the other options; names, or places from 0.
        keep: as there.
        categorical: as there.
        max_categories: as there.
        max_unknown: as there.
        decimal: as there.
        thousands: as there.
        na_values: as there.
        fitted: as there.

    Raises:
        DataError: an unsuitable table; the message says why.

    Example:
        >>> from_memory([[1.0, 7], [2.5, 8], [None, 9]]).facts["n_numeric"]
        2
    """
    rows = from_frame(pd.DataFrame(table), "X")
    rows = rows._replace(row_names=pd.Series(np.arange(len(rows.frame)).astype(str)))
    names = list(rows.frame.columns)
    options = TableOptions(
        drop=_named(drop, names), keep=_named(keep, names), categorical=_named(categorical, names),
        max_categories=max_categories, max_unknown=max_unknown, decimal=decimal, thousands=thousands,
        na_values=na_values, test_fraction=0, fitted=fitted, only_features=True,
    ).checked()  # fmt: skip
    return in_memory("table", lambda writer: write_tables(writer, [rows], options))


def to_files(table: Any, folder: Path, *, labels: Any = None, groups: Any = None) -> dict[str, Any]:
    """Write a table as parquet for the reader `table`.

    Args:
        table: pandas DataFrame, or what makes one: an array (n, columns), a dict of columns.
        folder: to write into.
        labels: name of a column; or (n,) classes or numbers, (n, k) of 0 and 1, or lists of names, that are written
            as columns "label", or "label 0", "label 1", ...
        groups: name of a column, or (n,) names.

    Raises:
        InputError: no such column, one that is there already, or not one value for each row.
        DataError: values that parquet does not hold.
    """
    frame = pd.DataFrame(table)
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    options: dict[str, Any] = {}
    for role, given in (("label", labels), ("group", groups)):
        if given is None:
            continue
        if isinstance(given, str):
            if given not in frame:
                raise InputError(
                    f"{role}s expected the name of a column; got {given!r}, of {', '.join(map(str, frame))}."
                )
            options[role] = given
            continue
        values, more = storable_labels(given) if role == "label" else (storable(given, "groups"), {})
        names = [role] if values.ndim == 1 else [f"{role} {i}" for i in range(values.shape[1])]
        there = [name for name in names if name in frame]
        if there or len(values) != len(frame):
            problem = f"the table has a column {there[0]!r}" if there else f"there are {len(values):,} {role}s"
            raise InputError(
                f"{role}s expected one for each of {len(frame):,} rows, beside the table; {problem}. If they are a "
                f"column, name it: {role}s={role!r}."
            )
        frame = frame.assign(**dict(zip(names, values[:, None].T if values.ndim == 1 else values.T, strict=True)))
        options |= {role: names[0] if len(names) == 1 else names, **more}
    try:
        frame.to_parquet(folder / "rows.parquet")
    except (ValueError, TypeError, OSError) as error:  # pyarrow's errors are the first two
        if isinstance(error, OSError):
            raise
        raise DataError(
            f"the table holds values that parquet does not ({error}). Convert that column first."
        ) from error
    return {"reader": "table", "path": "rows.parquet", "test_path": None, **options}


def _named(columns: Sequence[str | int] | None, names: Sequence[str]) -> list[str]:
    """Columns by name; a number that is no name is a place.

    Raises:
        InputError: no such place.
    """
    beyond = [c for c in columns or () if isinstance(c, int) and str(c) not in names and not 0 <= c < len(names)]
    if beyond:
        raise InputError(f"columns by place expected numbers from 0 to {len(names) - 1}; got {beyond[0]}.")
    return [str(c) if isinstance(c, str) or str(c) in names else names[c] for c in columns or ()]
