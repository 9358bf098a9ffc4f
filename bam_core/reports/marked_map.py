"""A map of rows whose points are coloured by group, with some of them marked."""

from collections.abc import Mapping, Sequence

import numpy as np

from bam_core.reports.figures import Drawing, _drawing, _figure, draw_map
from bam_core.reports.palette import ClassStyle

RINGS = {"near-duplicates": ("#333333", "s"), "outliers": ("#D55E00", "o"), "suspicious labels": ("#CC79A7", "D")}


def marked_map_drawing(
    positions: np.ndarray, styles: Sequence[ClassStyle], marks: Mapping[str, np.ndarray], alt: str
) -> Drawing:
    """Points in two dimensions with empty markers around some.

    Args:
        positions: (n, 2).
        styles: of the points.
        marks: one of `RINGS` -> which points.
        alt: what the picture shows.
    """
    with _figure(8.6, 5.2) as figure:
        axes = figure.subplots()
        draw_map(axes, positions, styles)
        for name, rows in marks.items():
            colour, marker = RINGS[name]
            if len(rows):
                x, y = positions[rows].T
                named = f"{name} ({len(rows):,})"
                axes.scatter(
                    x, y, s=70, marker=marker, facecolors="none", edgecolors=colour, linewidths=1.3, label=named
                )
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
        return _drawing(figure, alt)
