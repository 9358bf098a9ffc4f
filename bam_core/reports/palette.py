"""Colours and markers of classes: distinct for colour-blind readers, and by shape where colours run out.

Source: Okabe and Ito, "Color Universal Design", 2008, without its yellow, which is too light for a white page.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bam_core.probes.inputs import labelled

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#333333")
MARKERS = ("o", "^", "s")
GREY = "#B8B8B8"


class ClassStyle(NamedTuple):
    """How the points of one class are drawn, and which they are.

    Attributes:
        name: for the legend.
        colour: hexadecimal.
        marker: of matplotlib.
        rows: (k,) the points.
    """

    name: str
    colour: str
    marker: str
    rows: np.ndarray


def class_styles(labels: np.ndarray | None, classes: Sequence[str], n: int) -> list[ClassStyle]:
    """A style for every class that occurs, the most frequent first, so that the rare ones are drawn on top.

    At most 20 classes get a style of their own, the most frequent ones; the others are grey. Of a row with several
    labels the rarest of these 20 is shown.

    Args:
        labels: (n,) class indices, -1 for none; or (n, c) 0/1; or None.
        classes: names; empty for the indices.
        n: number of points.

    Example:
        >>> [style.name for style in class_styles(np.array([1, 1, 0, -1]), ["a", "b"], 4)]
        ['no label', 'b', 'a']
    """
    if labels is None or not labelled(labels).any():
        return [ClassStyle("no label", COLOURS[0], "o", np.arange(n))]
    known = labelled(labels)
    counts = (labels == 1).sum(axis=0) if labels.ndim == 2 else np.bincount(labels[known])
    names = list(classes) or [str(c) for c in range(len(counts))]
    shown = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]][: len(COLOURS) * len(MARKERS) - 1]
    order = {c: i for i, c in enumerate(sorted(shown))}
    shown_class = np.full(len(labels), -1)
    for c in shown:
        shown_class[labels[:, c] == 1 if labels.ndim == 2 else labels == c] = c
    styles = [
        ClassStyle("no label", GREY, "x", np.flatnonzero(~known)),
        ClassStyle(
            "other" if labels.ndim == 1 else "other or none", GREY, "o", np.flatnonzero(known & (shown_class < 0))
        ),
    ]
    for c in shown:
        colour, marker = COLOURS[order[c] % len(COLOURS)], MARKERS[order[c] // len(COLOURS)]
        styles.append(ClassStyle(str(names[c]), colour, marker, np.flatnonzero(shown_class == c)))
    return [style for style in styles if len(style.rows)]


def restricted(styles: Sequence[ClassStyle], rows: np.ndarray) -> list[ClassStyle]:
    """The same styles for the points of some ascending rows, renumbered by their place in `rows`."""
    kept = [style._replace(rows=np.flatnonzero(np.isin(rows, style.rows))) for style in styles]
    return [style for style in kept if len(style.rows)]
