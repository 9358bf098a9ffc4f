"""Rows of long tables as series at a regular step."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bam_core.data import SplitWriter
from bam_core.errors import DataError
from modalities.timeseries.grid import merge_repeats, to_grid, usual_step
from modalities.timeseries.long_rows import Rows
from modalities.timeseries.step_labels import on_steps


class GridSeries(NamedTuple):
    """Series (c, t) at a regular step, the columns `id` and what is said about each, and the step.

    And the labels of all steps, if they change within a series.
    """

    series: list[np.ndarray]
    columns: dict[str, np.ndarray]
    step: float
    step_labels: list[np.ndarray] | None = None


def on_grid(
    rows: Rows, step: float | None, writer: SplitWriter, *, is_given: bool = False, has_windows: bool = False
) -> GridSeries:
    """Every series at its regular step; those whose rows do not fit together are set aside.

    Args:
        rows: of all series.
        step: of the grid; None for the usual one.
        writer: is told what was mended and set aside.
        is_given: whether the user gave the step.
        has_windows: whether series are cut into windows, so that labels may change within one.

    Raises:
        DataError: most steps of most series would be empty at the step that the user gave.
    """
    table = rows.frame.sort_values(["(series)", "(time)"], kind="stable")
    code, times = table["(series)"].to_numpy(), table["(time)"].to_numpy()
    step = step or float(f"{usual_step(times, code):.12g}")  # 0.02, not 0.019999999999999997
    values = table[rows.channels].to_numpy(np.float64)
    about = {name: table[f"({name})"].to_numpy(object) for name in rows.about}
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    sparse: list[str] = []
    series: list[np.ndarray] = []
    by_step = has_windows and "label" in about and _changes(about["label"], code)
    labels = about.pop("label") if by_step else None
    step_labels: list[np.ndarray] = []
    columns: dict[str, list[Any]] = {"id": [], **{name: [] for name in about}}
    for name, start, stop in zip(rows.names, starts, [*starts[1:], len(table)], strict=True):
        try:
            merged = merge_repeats(times[start:stop], values[start:stop], rows.channels, are_dates=rows.are_dates)
            found = to_grid(merged.times, merged.values, step)
            said = {key: _only_value(column[start:stop], key) for key, column in about.items()}
        except DataError as error:
            writer.set_aside(name, error)
            continue
        series.append(found.series)
        if labels is not None:
            step_labels.append(on_steps(labels[start:stop], times[start:stop], step, found.series.shape[1]))
        for key, value in {"id": name, **said}.items():
            columns[key].append(value)
        if found.n_averaged:
            writer.repaired("steps with several rows averaged", found.n_averaged)
        if merged.n_dropped:
            writer.repaired("rows that repeat another one dropped", merged.n_dropped)
        if usual_step(merged.times, np.zeros(len(merged.times))) > 2 * step and len(merged.times) > 1:
            sparse.append(name)
    if sparse:
        _sparse(sparse, len(series), rows, step, is_given, writer)
    said_of = {key: np.array(values, object) for key, values in columns.items()}
    return GridSeries(series, said_of, step, step_labels if by_step else None)


def _changes(labels: np.ndarray, series: np.ndarray) -> bool:
    """Whether the label changes within one of the series."""
    known = pd.DataFrame({"series": series, "label": labels}).dropna()
    return bool((known.groupby("series")["label"].nunique() > 1).any())


def _only_value(values: np.ndarray, name: str) -> Any:
    known = pd.unique(values[~pd.isna(values)])
    if len(known) > 1:
        hint = ", unless series are cut into windows (window: STEPS)" if name == "label" else ""
        raise DataError(f"has {len(known)} values of {name!r} in its rows; one is expected{hint}")
    return known[0] if len(known) else None


def _sparse(names: list[str], n_series: int, rows: Rows, step: float, is_given: bool, writer: SplitWriter) -> None:
    """Series whose rows are further apart than two steps."""
    if is_given and len(names) > n_series / 2:
        usual = usual_step(*rows.frame.sort_values(["(series)", "(time)"])[["(time)", "(series)"]].to_numpy().T)
        unit = " seconds" if rows.are_dates else ""
        raise DataError(
            f"step expected the distance of times, about {usual:g}{unit}; with {step:g}, more "
            f"than half of the steps of {len(names)} of {n_series} series would be empty, such as of {names[0]}."
        )
    writer.repaired(
        f"series with rows more than two steps of {step:g} apart, interpolated or missing between", len(names)
    )
