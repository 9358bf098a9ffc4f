"""The pictures of a report, drawn with matplotlib and returned as text that an HTML page embeds."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from bam_core.reports.palette import COLOURS, ClassStyle
from bam_core.reports.pictures import AttentionPicture, Gallery, NeighbourRows, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[[Any, Sample], None]

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.hashsalt": "bam",
}


@dataclass(frozen=True)
class Drawing:
    """A picture for a page.

    Attributes:
        uri: the picture itself, as a data URI.
        alt: what it shows, for those who do not see it.
        width: in CSS pixels at full size.
        title: a line above it; may be empty.
    """

    uri: str
    alt: str
    width: int
    title: str = ""


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def _drawing(figure: Figure, alt: str, title: str = "", *, vector: bool = False) -> Drawing:
    buffer = io.BytesIO()
    if vector:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    else:
        figure.savefig(buffer, format="png", dpi=140)
    kind = "svg+xml" if vector else "png"
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Drawing(uri, alt, round(figure.get_figwidth() * 100), title)


def curve_drawing(
    title: str,
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    level: float | None = None,
    level_name: str = "",
    from_zero: bool = False,
) -> Drawing:
    """Curves over training steps in one panel, with a dashed level; long curves are averaged to 400 points."""
    with _figure(4.6, 2.7) as figure:
        draw_curves(figure.subplots(), curves, level=level, level_name=level_name, from_zero=from_zero)
        ends = ", ".join(f"{name} from {y[0]:.3g} to {y[-1]:.3g}" for name, (_, y) in curves.items())
        level_text = "" if level is None else f" {level_name}: {level:.3g}."
        return _drawing(figure, f"{title} over training steps: {ends}.{level_text}", title, vector=True)


def draw_curves(
    axes: "Axes",
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    level: float | None = None,
    level_name: str = "",
    from_zero: bool = False,
) -> None:
    """The panel of `curve_drawing`."""
    for (name, (x, y)), colour in zip(curves.items(), COLOURS, strict=False):
        axes.plot(*_thinned(x, y), color=colour, label=name, marker="." if len(x) < 12 else None)
    if level is not None:
        axes.axhline(level, color="#777777", linestyle="--", linewidth=1.2, label=level_name)
    axes.set_xlabel("step")
    axes.margins(x=0.02)
    if from_zero:
        axes.set_ylim(bottom=0)
    if len(curves) > 1 or level is not None:
        axes.legend(fontsize=9)


def _thinned(x: np.ndarray, y: np.ndarray, limit: int = 400) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= limit:
        return x, y
    parts = np.array_split(np.arange(len(x)), limit)
    return np.array([x[p].mean() for p in parts]), np.array([y[p].mean() for p in parts])


def map_drawing(title: str, positions: np.ndarray, styles: Sequence[ClassStyle], alt: str) -> Drawing:
    """Points in two dimensions, coloured and shaped by class; both axes on one scale."""
    with _figure(4.8, 4.4) as figure:
        draw_map(figure.subplots(), positions, styles)
        return _drawing(figure, alt, title)


def draw_map(axes: "Axes", positions: np.ndarray, styles: Sequence[ClassStyle]) -> None:
    """The panel of `map_drawing`; every class is labelled, for a legend."""
    size = float(np.clip(12000 / max(len(positions), 1), 5, 40))
    for style in styles:
        x, y = positions[style.rows].T
        edge = {"linewidths": 0.8} if style.marker == "x" else {"linewidths": 0.2, "edgecolors": "white"}
        axes.scatter(x, y, s=size, c=style.colour, marker=style.marker, alpha=0.8, label=style.name, **edge)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#D8DEE4")


def sample_drawing(sample: Sample, draw: Draw, alt: str) -> Drawing:
    """One sample alone."""
    with _figure(2.4, 1.7) as figure:
        _draw_sample(figure.subplots(), draw, sample)
        return _drawing(figure, alt)


def gallery_drawing(gallery: Gallery, draw: Draw) -> Drawing:
    """A row a sample: untouched, then its views."""
    with _figure(*gallery_size(gallery)) as figure:
        n_views = draw_gallery(figure, gallery, draw)
        return _drawing(figure, f"{len(gallery.samples)} samples, each untouched and in {n_views} random views.")


def draw_gallery(figure: Figure, gallery: Gallery, draw: Draw) -> int:
    """The panels of `gallery_drawing`; returns the number of views."""
    n_views = max((len(views) for views in gallery.views), default=0)
    grid = figure.subplots(len(gallery.samples), 1 + n_views, squeeze=False)
    for i, (sample, views) in enumerate(zip(gallery.samples, gallery.views, strict=True)):
        for j in range(1 + n_views):
            axes = grid[i, j]
            if j > len(views):
                axes.set_axis_off()
                continue
            _draw_sample(axes, draw, sample if j == 0 else views[j - 1])
            name = gallery.names[i] if i < len(gallery.names) else ""
            axes.set_title((f"untouched  {name}".strip() if j == 0 else f"view {j}"), loc="left", fontsize=9)
    return n_views


def gallery_size(gallery: Gallery) -> tuple[float, float]:
    """Inches of a picture of it, across and down."""
    columns = 1 + max((len(views) for views in gallery.views), default=0)
    return 2.6 * columns, 1.7 * len(gallery.samples) + 0.2


def neighbour_drawing(rows: NeighbourRows, draw: Draw) -> Drawing:
    """A row a query: the query, then its neighbours with label and cosine."""
    n, k = rows.cosines.shape
    with _figure(2.0 * (k + 1), 1.85 * n + 0.2) as figure:
        grid = figure.subplots(n, k + 1, squeeze=False)
        for i in range(n):
            _draw_sample(grid[i, 0], draw, rows.queries[i])
            own = _id_line(rows.query_ids[i]) if rows.query_ids else ""
            grid[i, 0].set_title(f"query: {rows.query_names[i]}{own}", loc="left", fontsize=9, fontweight="bold")
            _frame(grid[i, 0], "#333333")
            for j in range(k):
                axes = grid[i, j + 1]
                _draw_sample(axes, draw, rows.neighbours[i][j])
                same = None if rows.same is None else bool(rows.same[i, j])
                mark = "" if same is None else ("= " if same else "≠ ")
                colour = "#333333" if same is None else (COLOURS[0] if same else COLOURS[5])
                own = _id_line(rows.ids[i][j]) if rows.ids else ""
                title = f"{mark}{rows.names[i][j]}  {rows.cosines[i, j]:.2f}{own}"
                axes.set_title(title, loc="left", fontsize=9, color=colour)
                if same is not None:
                    _frame(axes, colour)
        hits = "" if rows.same is None else f" {int(rows.same.sum())} of {rows.same.size} neighbours share the label."
        return _drawing(figure, f"{n} queries with their {k} nearest neighbours.{hits}")


def _id_line(name: str, most: int = 24) -> str:
    """A second line of a title; of a long name the end, where files differ."""
    return f"\n{name if len(name) <= most else '…' + name[1 - most :]}" if name else ""


def _frame(axes: "Axes", colour: str) -> None:
    if not axes.axison:
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=1.4)


def _draw_sample(axes: "Axes", draw: Draw, sample: Sample) -> None:
    axes.grid(False)
    draw(axes, sample)
    axes.tick_params(labelsize=7, length=2)


def attention_drawing(title: str, matrix: np.ndarray, picture: AttentionPicture, alt: str) -> Drawing:
    """A batch's attention as a matrix, columns' totals above it, classes separated by lines; P and Q on one scale."""
    b = len(matrix)
    with _figure(4.8, 5.2) as figure:
        top, main = figure.subplots(2, 1, height_ratios=[1, 6], sharex=True)
        top.bar(np.arange(b), matrix.sum(axis=0), width=1.0, color="#9CC7E3")
        top.axhline(1.0, color="#333333", linestyle="--", linewidth=1)
        top.set_ylim(0, 1.05 * max(1.0, picture.plan.sum(axis=0).max(), picture.attention.sum(axis=0).max()))
        top.set_ylabel("received", fontsize=8)
        top.tick_params(labelsize=8)
        top.grid(False)
        uniform = 1 / max(b - 1, 1)
        vmax = max(float(np.quantile([picture.plan, picture.attention], 0.995)), 5 * uniform)  # uniform shows as grey
        main.imshow(
            matrix, cmap="Greys", norm=PowerNorm(0.5, vmin=0, vmax=vmax), aspect="auto", interpolation="nearest"
        )
        main.grid(False)
        main.set(xlabel="attended sample", ylabel="attending sample")
        if picture.labels is None:
            main.set(xticks=[], yticks=[])
        else:
            _mark_classes(main, picture)
        return _drawing(figure, alt, title)


def _mark_classes(axes: "Axes", picture: AttentionPicture) -> None:
    labels = picture.labels if picture.labels is not None else np.zeros(0, dtype=int)
    edges = np.flatnonzero(np.diff(labels)) + 1
    for edge in edges:
        axes.axhline(edge - 0.5, color=COLOURS[5], linewidth=0.8)
        axes.axvline(edge - 0.5, color=COLOURS[5], linewidth=0.8)
    starts, ends = [0, *edges], [*edges, len(labels)]
    wide = [(a, e) for a, e in zip(starts, ends, strict=True) if e - a >= 0.04 * len(labels)]
    centres = [(a + e - 1) / 2 for a, e in wide]
    names = ["no label" if labels[a] < 0 else str(picture.classes[labels[a]]) for a, _ in wide]
    axes.set_xticks(centres, names, rotation=30 if max(map(len, names), default=0) > 3 else 0, fontsize=8)
    axes.set_yticks(centres, names, fontsize=8)
    axes.tick_params(length=0)
