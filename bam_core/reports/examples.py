"""Rows of a table of embeddings as examples of a page: what is known of them, and their picture."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from bam_core.reports.figures import Draw, sample_drawing
from bam_core.reports.pages import Example


@runtime_checkable
class Drawable(Protocol):
    """Samples by the id of their row."""

    draw: Draw

    def get(self, name: str) -> Any:
        """A sample, or None."""
        ...


def about_lines(row: pd.Series) -> list[str]:
    """What is known of a row, a line each: class, place in its record, group, split.

    Example:
        >>> row = pd.Series({"id": "a@7", "record": "a", "start_s": 0.5, "end_s": 1.0, "class": "calm"})
        >>> about_lines(row)
        ['class calm', 'a, 0.50 to 1.00 s']
    """
    lines = []
    label: Any = row.get("class")
    if np.ndim(label):
        lines.append(", ".join(map(str, label)) or "no label holds")
    elif _known(label):
        lines.append(f"class {label}")
    elif "class" not in row and "label" in row and isinstance(row["label"], float) and _known(row["label"]):
        lines.append(f"label {row['label']:.4g}")
    if _known(row.get("record")):
        lines.append(str(row["record"]) + _between(row))
    if _known(row.get("group")) and row.get("group") != row.get("record"):
        lines.append(f"group {row['group']}")
    if _known(row.get("split")):
        lines.append(f"split {row['split']}")
    return lines


def shown(samples: Drawable | None, row: pd.Series, lines: Sequence[str], *, strong: bool = False) -> Example:
    """A row as an example, with its picture where the data can be read."""
    name = str(row.get("id", row.name))
    sample = None if samples is None else samples.get(name)
    picture = None
    if samples is not None and sample is not None:
        picture = sample_drawing(sample, samples.draw, f"{name}: {', '.join(lines)}")
    return Example(name, lines, picture, strong)


def _known(value: Any) -> bool:
    return value is not None and not (pd.api.types.is_scalar(value) and pd.isna(value))


def _between(row: pd.Series) -> str:
    if _known(row.get("start_s")):
        return f", {row['start_s']:.2f} to {row['end_s']:.2f} s"
    if _known(row.get("start_step")):
        return f", steps {row['start_step']} to {row['end_step']}"
    return ""
