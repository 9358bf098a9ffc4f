"""The points of the maps as plain values, for the script that lets a reader point at them and choose colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bam_core.probes.inputs import labelled
from bam_core.reports.maps import Layout
from bam_core.reports.palette import MARKERS, ClassStyle, class_styles
from bam_core.reports.pictures import EmbeddingMap

SYMBOLS = dict(zip(MARKERS, "●▲■", strict=True)) | {"x": "×"}
WIDTH, HEIGHT, EDGE = 1000, 900, 25


def map_points(source: EmbeddingMap, n: int, layouts: Sequence[tuple[np.ndarray, Layout]]) -> dict[str, Any]:
    """Names, colours and places of the points.

    Args:
        source: of the maps.
        n: rows.
        layouts: of each map the rows that it shows, and their layout.

    Returns:
        `ids`, (n,) names of the rows; `schemes`, each with what is coloured (`of`), its `styles`, `style_of` (n,) and
        the `names` (n,) that are shown; and `layouts`, each with `rows`, and `x` and `y` in a field of 1000 by 900.
    """
    schemes = []
    if source.labels is not None:
        labels = np.asarray(source.labels)
        names = _label_names(labels, source.classes)
        schemes.append(_scheme("label", class_styles(labels, source.classes, n), n, names))
    if source.groups is not None:
        groups, of_row = np.unique(np.asarray(source.groups, dtype=str), return_inverse=True)
        names = [str(groups[i]) for i in of_row]
        schemes.append(_scheme("group", class_styles(of_row, list(groups), n), n, names))
    return {
        "ids": [str(name) for name in source.ids] or [str(i) for i in range(n)],
        "schemes": schemes or [_scheme("none", class_styles(None, (), n), n, None)],
        "layouts": [{"rows": rows.tolist(), **_fitted(layout.positions)} for rows, layout in layouts],
    }


def _scheme(of: str, styles: Sequence[ClassStyle], n: int, names: list[str] | None) -> Mapping[str, Any]:
    style_of = np.zeros(n, dtype=int)
    for place, style in enumerate(styles):
        style_of[style.rows] = place
    shown = [
        {"name": s.name, "colour": s.colour, "marker": s.marker, "symbol": SYMBOLS[s.marker], "n": len(s.rows)}
        for s in styles
    ]
    return {"of": of, "styles": shown, "style_of": style_of.tolist(), "names": names}


def _label_names(labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    def name(index: int) -> str:
        return str(classes[index]) if len(classes) else str(index)

    if labels.ndim == 2:
        return [", ".join(name(int(c)) for c in np.flatnonzero(row == 1)) or "none" for row in labels]
    return [name(int(label)) if known else "no label" for label, known in zip(labels, labelled(labels), strict=True)]


def _fitted(positions: np.ndarray) -> dict[str, list[float]]:
    """Places in the field, both axes on one scale, the second one upwards."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    size = np.array([WIDTH, HEIGHT])
    scale = ((size - 2 * EDGE) / np.maximum(high - low, 1e-12)).min()
    x, y = ((positions - (low + high) / 2) * scale * [1, -1] + size / 2).round(1).T
    return {"x": x.tolist(), "y": y.tolist()}
