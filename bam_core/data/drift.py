"""Whether new rows have the scale of the training's: other units, or recordings made another way, are warned of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bam_core.protocols import Modality

if TYPE_CHECKING:
    from bam_core.data import PreparedData

FACT = "ranges"  # of a saved encoder

N_ROWS = 256
FACTOR = 3.0  # beyond the range of training, in its own width
_NAMED = 5

Ranges = dict[str, dict[str, list[float | None]]]
"""Part of the batch -> "level" and "spread" -> least value of every channel among training rows, then the largest."""


def ranges(data: "PreparedData", modality: Modality) -> Ranges:
    """The ranges of level and spread of the training rows, as the encoder gets them; plain values."""
    found: Ranges = {}
    for part, figures in _figures(data, modality).items():
        edges = {name: [*np.fmin.reduce(rows), *np.fmax.reduce(rows)] for name, rows in figures.items()}
        found[part] = {
            name: [None if np.isnan(edge) else float(f"{edge:.6g}") for edge in values]
            for name, values in edges.items()
        }
    return found


def unlike(data: "PreparedData", modality: Modality, known: Ranges, facts: Mapping[str, Any]) -> list[str]:
    """What differs from training in new rows, a sentence each.

    A channel differs if the median of its rows lies outside what training rows had, by three times their width or
    their factor. What the reader normalised away is not seen.

    Args:
        data: new rows, read with the facts of training.
        modality: of the rows.
        known: from `ranges`.
        facts: of the training rows, for their lengths.
    """
    lines = _lengths(data.facts, facts)
    for part, figures in _figures(data, modality).items():
        for name, rows in figures.items():
            edges = np.array(known.get(part, {}).get(name, []), float)
            if edges.size != 2 * rows.shape[1]:
                continue
            low, high = edges.reshape(2, -1)
            known_at_all = ~np.isnan(rows).all(axis=0)
            usual = np.full(rows.shape[1], np.nan)
            usual[known_at_all] = np.nanmedian(rows[:, known_at_all], axis=0)
            if name == "spread":
                outside = (usual > FACTOR * high) | (usual < low / FACTOR)
            else:
                spread = np.array(known[part].get("spread", np.zeros_like(edges)), float).reshape(2, -1)[1]
                width = FACTOR * np.maximum(high - low, spread)
                outside = (usual < low - width) | (usual > high + width)
            for channel in np.flatnonzero(outside)[:_NAMED]:
                about = _about(int(channel), data.facts)
                was, to, now = (
                    value * about.scale + about.mean for value in (low[channel], high[channel], usual[channel])
                )
                what = "" if part == "numeric" else f"{name} "
                lines.append(f"{about.name}: {what}{now:.3g}, in training {was:.3g} to {to:.3g}")
    return lines


def _lengths(new: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    """Whether series are far longer or shorter than in training; they are embedded whole."""
    spans = [
        (facts.get("shortest", facts.get("length")), facts.get("longest", facts.get("length")))
        for facts in (new, trained)
    ]
    if any(end is None for span in spans for end in span):
        return []
    (shortest, longest), (least, most) = spans
    if longest <= FACTOR * most and shortest >= least / FACTOR:
        return []
    return [f"{shortest:,} to {longest:,} steps a row, in training {least:,} to {most:,}"]


def _figures(data: "PreparedData", modality: Modality) -> dict[str, dict[str, np.ndarray]]:
    """Part of a batch -> figure -> (n, channels): mean and deviation of every row, or the values of a table's row."""
    from bam_core.data import SplitDataset
    from bam_core.data.row_budget import rows_at_a_time

    rows = SplitDataset(data.splits["train"], modality.collate, data.facts)
    n_rows = min(len(rows), N_ROWS, rows_at_a_time(data.facts))
    chosen = np.unique(np.linspace(0, len(rows) - 1, n_rows).astype(int))
    batch = rows.__getitems__(chosen.tolist())
    parts = batch if isinstance(batch, Mapping) else {"": batch}
    found = {}
    for name, values in parts.items():
        if (
            isinstance(values, Tensor)
            and (values.is_floating_point() or values.dtype == torch.uint8)
            and values.ndim > 1
        ):
            if values.ndim == 2:
                missing = parts.get("missing")
                known = values
                if missing is not None and missing.shape == values.shape:
                    known = values.masked_fill(missing, float("nan"))
                found[name] = {"level": known.double().numpy()}
            else:
                flat, length = values.double().flatten(2), parts.get("length")
                whole = torch.full((len(flat),), flat.shape[2]) if length is None else length
                each = [row[:, :steps] for row, steps in zip(flat, whole.tolist(), strict=True)]  # without the padding
                found[name] = {
                    "level": np.stack([row.mean(dim=1).numpy() for row in each]),
                    "spread": np.stack([row.std(dim=1, correction=0).numpy() for row in each]),
                }
    return found


class _About(NamedTuple):
    """A channel: its name, and what its values were divided by and what was taken off."""

    name: str
    scale: float = 1.0
    mean: float = 0.0


def _about(channel: int, facts: Mapping[str, Any]) -> _About:
    if "numeric_names" in facts:
        return _About(repr(facts["numeric_names"][channel]), facts["scales"][channel], facts["means"][channel])
    names: Sequence[Any] = facts.get("channels") or facts.get("leads") or ()
    return _About(repr(names[channel]) if channel < len(names) else f"channel {channel}")
