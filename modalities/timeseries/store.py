"""Series in memory as a file that a reader takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data.storable import storable, storable_labels, taken_out
from bam_core.errors import InputError
from modalities.timeseries.long_memory import is_long
from modalities.timeseries.memory import as_series
from modalities.timeseries.tables import Series


def to_files(
    series: Any,
    folder: Path,
    *,
    labels: Any = None,
    groups: Any = None,
    id: str | None = None,
    time: str | None = None,
    channels_last: bool | None = None,
) -> dict[str, Any]:
    """Write series for the reader `arrays`, or a frame with a row for every time for the reader `long`.

    Args:
        series: see `from_memory`.
        folder: to write into.
        labels: (n,) classes or numbers, (n, k) of 0 and 1, or lists of names; of a frame also the name of a column.
        groups: (n,) names; of a frame also the name of a column.
        id: column of a long frame, see `from_memory`, as for the following ones.
        time: as there.
        channels_last: as there.

    Raises:
        InputError: labels of a long frame that are no column.
        DataError: no series; the message says why.
    """
    others, columns = taken_out(series, label=labels, group=groups)
    if not is_long(others, id, time):
        return write_series(as_series(others, channels_last), folder, columns["label"], columns["group"])
    names = {"label": labels, "group": groups}
    for role, name in names.items():
        if name is not None and not isinstance(name, str):
            raise InputError(
                f"{role}s of a frame with a row for every time expected the name of its column; got "
                f"{type(name).__name__}."
            )
    frame: pd.DataFrame = series.set_axis(series.columns.astype(str), axis=1)
    frame.to_parquet(folder / "rows.parquet")
    chosen = {name: value for name, value in {**names, "id": id, "time": time}.items() if value is not None}
    return {"reader": "long", "path": "rows.parquet", **chosen}


def write_series(series: Series, folder: Path, labels: Any, groups: Any) -> dict[str, Any]:
    """Write series (n, c, t), or of unequal length end to end, and what belongs to them."""
    arrays: dict[str, np.ndarray] = {}
    options: dict[str, Any] = {}
    if isinstance(series, np.ndarray):
        arrays["signals"] = series
    else:
        arrays["signals"] = np.concatenate(series, axis=1)
        arrays["lengths"] = np.array([one.shape[1] for one in series], np.int64)
    if labels is not None:
        arrays["label"], options = storable_labels(labels)
    if groups is not None:
        arrays["group"] = storable(groups, "groups")
    np.savez(folder / "rows.npz", **arrays)  # type: ignore[arg-type]
    return {
        "reader": "arrays", "path": "rows.npz", "test_path": None, "signals": "signals", "id": None, "split": None,
        "label": None if labels is None else "label", "group": None if groups is None else "group",
        "channels_last": False, **options,
    }  # fmt: skip
