"""Pictures of a report as matplotlib figures, for notebooks and scripts; pyplot and its backend are left alone."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bam_core.errors import InputError
from bam_core.probes.inputs import feature_matrix
from bam_core.reports.curves import UNIFORM, panels
from bam_core.reports.figures import STYLE, Draw, draw_curves, draw_gallery, draw_map, gallery_size
from bam_core.reports.maps import drawn, pca_layout, tsne_layout
from bam_core.reports.palette import class_styles, restricted
from bam_core.reports.pictures import Gallery

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 3
MOST_POINTS = {"pca": 3000, "tsne": 1000}


class InlineFigure(Figure):
    """A matplotlib figure that notebooks show by themselves, whatever the backend; `savefig` writes it to a file."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def new_figure(width: float, height: float) -> InlineFigure:
    """An empty figure, in inches, that no backend knows."""
    return InlineFigure(figsize=(width, height), layout="constrained")


def training_figure(metrics: "pd.DataFrame", *, uniform_loss: float | None = None) -> InlineFigure:
    """The curves of a training, a panel each.

    Raises:
        InputError: the table has no curve.
    """
    found = panels(metrics, uniform_loss=uniform_loss)
    if not found:
        raise InputError(f"a picture of a training expected columns such as loss; got {list(metrics.columns)}.")
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(4.2 * columns, 2.6 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, found, strict=False):
            draw_curves(axes, panel.curves, level=panel.level, level_name=UNIFORM, from_zero=panel.from_zero)
            axes.set_title(panel.title, loc="left")
        for axes in grid[len(found) :]:
            axes.set_axis_off()
    return figure


def map_figure(
    embeddings: Any,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    *,
    layout: Literal["pca", "tsne"] = "pca",
    seed: int = 0,
) -> InlineFigure:
    """Embeddings in two dimensions, coloured by class.

    Args:
        embeddings: (n, d).
        labels: (n,) class indices, -1 for none; or (n, c) 0/1; or None.
        classes: names.
        layout: principal components, or t-SNE (at least ten rows).
        seed: of the draw of rows, where there are many, and of t-SNE.

    Raises:
        InputError: another layout, or too few rows for t-SNE.
    """
    if layout not in MOST_POINTS:
        raise InputError(f"layout expected 'pca' or 'tsne'; got {layout!r}.")
    matrix = feature_matrix(embeddings, name="embeddings of the map")
    rows = drawn(len(matrix), MOST_POINTS[layout], seed)
    if layout == "tsne" and len(rows) < 10:
        raise InputError(f"layout 'tsne' expected at least ten rows; got {len(rows)}. Take 'pca'.")
    found = pca_layout(matrix[rows]) if layout == "pca" else tsne_layout(matrix[rows], seed=seed)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(6.4, 4.6)
        axes = figure.subplots()
        draw_map(axes, found.positions, restricted(class_styles(labels, classes, len(matrix)), rows))
        share = "" if found.explained is None else f", {100 * found.explained:.0f} % of the variance"
        axes.set_title(f"{'PCA' if layout == 'pca' else 't-SNE'} of {len(rows):,} embeddings{share}", loc="left")
        if labels is not None:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.6)
    return figure


def views_figure(gallery: Gallery, draw: Draw) -> InlineFigure:
    """Samples, each untouched and in its views."""
    with matplotlib.rc_context(STYLE):
        figure = new_figure(*gallery_size(gallery))
        draw_gallery(figure, gallery, draw)
    return figure
