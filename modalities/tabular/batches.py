"""Rows of prepared tables as a batch, what a linear model would be fed, and a picture of one row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from modalities.tabular.columns import FIRST, MISSING

Batch = dict[str, Tensor]
"""`numeric` (b, k) float32, standardised, zero where missing; `missing` (b, k) bool; `categorical` (b, m) int64."""

N_DRAWN = 24  # features in a picture


def collate_rows(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Batch:
    """The columns `numeric` (NaN where missing) and `categorical`, either of which may be absent, as a batch."""
    n_rows = len(next(iter(columns.values())))
    numeric = columns.get("numeric", np.empty((n_rows, 0)))
    categorical = columns.get("categorical", np.empty((n_rows, 0)))
    values = torch.from_numpy(np.array(numeric, np.float32).reshape(n_rows, -1))
    missing = values.isnan()
    return {
        "numeric": values.masked_fill_(missing, 0.0),
        "missing": missing,
        "categorical": torch.from_numpy(np.array(categorical, np.int64).reshape(n_rows, -1)),
    }


def raw_row(batch: Batch, *, facts: Mapping[str, Any]) -> Float[Tensor, "b f"]:
    """Standardised numbers, indicators of missing ones where training rows had any, and one-hot categories."""
    may_miss = torch.tensor([rate > 0 for rate in facts["missing_rates"]], dtype=torch.bool).to(batch["missing"].device)
    parts = [batch["numeric"], batch["missing"][:, may_miss].float()]
    for indices, size in zip(batch["categorical"].T, facts["cardinalities"], strict=True):
        parts.append(one_hot(indices, size)[:, MISSING:].float())  # an unknown category is all zeros
    return torch.cat(parts, dim=1)


def draw_row(axes: Any, sample: Batch, *, facts: Mapping[str, Any]) -> None:
    """Draw a row as one line a feature: a bar of the standardised number, or the category; "-" where unknown."""
    lines: list[tuple[str, float | None, str]] = []
    numbers = zip(facts["numeric_names"], sample["numeric"].tolist(), sample["missing"].tolist(), strict=True)
    for name, value, missing in numbers:
        lines.append((name, None if missing else float(np.clip(value, -3, 3)), "-" if missing else ""))
    categories = [plan["categories"] for plan in facts["columns"] if "categories" in plan]
    indices = sample["categorical"].tolist()
    for name, known, index in zip(facts["categorical_names"], categories, indices, strict=True):
        lines.append((name, None, known[index - FIRST] if index >= FIRST else "-"))
    hidden = len(lines) - N_DRAWN
    lines = lines[:N_DRAWN]
    size = _font_size(axes, len(lines) + (hidden > 0), max(len(name[:22]) for name, *_ in lines))
    for y, (name, number, text) in enumerate(lines):
        axes.text(-3.3, y, name[:22], ha="right", va="center", fontsize=size, color="#555555")
        if number is None:
            axes.text(-3.0, y, text[:22], ha="left", va="center", fontsize=size, color="#1f4e79")
        else:
            axes.barh(y, number, height=0.7, color="#1f4e79" if number >= 0 else "#b5542b")
    if hidden > 0:
        axes.text(-3.3, len(lines), f"and {hidden} more", ha="right", va="center", fontsize=size, color="#555555")
    axes.axvline(0, color="#bbbbbb", linewidth=0.5)
    axes.set_xlim(-9, 3.2)
    axes.set_ylim(max(len(lines), 1) + 0.5, -0.8)
    axes.set_axis_off()


def _font_size(axes: Any, n_lines: int, n_letters: int) -> float:
    """Points that let the lines fit into the height, and the names into the left half."""
    width, height = (72 * length / axes.figure.dpi for length in (axes.bbox.width, axes.bbox.height))
    return float(np.clip(min(height / n_lines, 0.47 * width / (0.6 * n_letters)), 2, 8))
