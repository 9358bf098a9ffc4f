"""`report.html`: one self-contained page on a run, for those who were not there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bam_core.loss.collapse import end_of_training
from bam_core.outputs import write_text
from bam_core.probes.class_tables import class_views
from bam_core.probes.embeddings import EmbeddingFigures, describe_embeddings
from bam_core.probes.fold_tables import fold_view
from bam_core.probes.inputs import feature_matrix
from bam_core.probes.regression import REGRESSION
from bam_core.probes.results import Results
from bam_core.probes.tables import identity, table_view
from bam_core.reports.curves import curve_drawings, read_curves
from bam_core.reports.differences import difference_chart
from bam_core.reports.figures import Draw, Drawing, attention_drawing, gallery_drawing, map_drawing, neighbour_drawing
from bam_core.reports.label_curve import label_curve
from bam_core.reports.map_points import SYMBOLS, map_points
from bam_core.reports.maps import Layout, drawn, pca_layout, tsne_layout
from bam_core.reports.palette import class_styles, restricted
from bam_core.reports.pictures import AttentionPicture, EmbeddingMap, Gallery, NeighbourRows
from bam_core.reports.predictions import Predictions, class_table, prediction_drawings
from bam_core.reports.templates import template, text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ReportContent:
    """The parts of a report; all but the title are optional, and a part that is missing leaves no hole.

    Attributes:
        title: of the page.
        verdict: what came out, in words. Default: a sentence from the results, or the label-free figures.
        results: the table.
        ours: which set of features the verdict is about. Default: the last one.
        figures: label-free figures by name, for runs without results.
        metrics: training log, see `read_curves`.
        uniform_loss: log(N - T), the loss of uniform attention.
        map: embeddings of test to be laid out.
        draw: (matplotlib axes, sample) -> None, from the modality; without it no samples are shown.
        gallery: samples with their views.
        attention: of one batch.
        neighbours: of a few queries.
        predictions: of a trained model for the rows of test.
        cross_validation: a table over folds.
        set_aside: (source, reason) of inputs that could not be used.
        repairs: kind of repair -> number of inputs.
        notes: what the reader guessed or chose.
        recipe: the resolved recipe as text.
        versions: name -> version.
        seeds: name -> seed.
        command: that made the run.
    """

    title: str
    verdict: str = ""
    results: Results | None = None
    ours: str | None = None
    figures: Mapping[str, EmbeddingFigures] = field(default_factory=dict)
    metrics: "pd.DataFrame | None" = None
    uniform_loss: float | None = None
    map: EmbeddingMap | None = None
    draw: Draw | None = None
    gallery: Gallery | None = None
    attention: AttentionPicture | None = None
    neighbours: NeighbourRows | None = None
    predictions: Predictions | None = None
    cross_validation: Results | None = None
    set_aside: Sequence[tuple[str, str]] = ()
    repairs: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    recipe: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def write_report(path: str | Path, content: ReportContent) -> Path:
    """Write the page and return its path.

    Args:
        path: of the HTML file; its folder must exist.
        content: what to show.

    Raises:
        InputError: parts that hold values that are not finite.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_report(Path(folder) / "report.html", ReportContent("A run")).name
        'report.html'
    """
    maps = _maps(content.map)
    figures = dict(content.results.figures) if content.results is not None else dict(content.figures)
    if not figures and content.map is not None:
        named = {"untrained encoder": content.map.untrained, "trained encoder": content.map.embeddings}
        figures = {name: describe_embeddings(rows) for name, rows in named.items() if rows is not None}
    page = template("report.html.jinja").render(
        c=content,
        verdict=content.verdict or _verdict(content, figures),
        comparisons="" if content.results is None else content.results.verdict(content.ours),
        label_curve=None if content.results is None else label_curve(content.results, ours=content.ours),
        tables=[] if content.results is None else [table_view(content.results, m) for m in content.results.metrics],
        class_tables=[] if content.results is None else class_views(content.results),
        predictions=[] if content.predictions is None else prediction_drawings(content.predictions),
        of_classes=None if content.predictions is None else class_table(content.predictions),
        crossed=None if content.cross_validation is None else table_view(content.cross_validation),
        folds=None if content.cross_validation is None else fold_view(content.cross_validation),
        identity="" if content.results is None else identity(content.results),
        regression=content.results is not None and content.results.metrics[0] in REGRESSION,
        figures=figures,
        curves=[] if content.metrics is None else curve_drawings(content.metrics, uniform_loss=content.uniform_loss),
        of_bam=content.metrics is not None and "kl" in read_curves(content.metrics),
        differences=None if content.results is None else difference_chart(content.results, content.ours),
        maps=maps,
        map_script=text("map.js"),
        base_style=text("base.css"),
        gallery=_if_drawable(content, content.gallery, gallery_drawing),
        neighbours=_if_drawable(content, content.neighbours, neighbour_drawing),
        attention=_attention(content.attention),
        symbols=SYMBOLS,
    )
    path = Path(path)
    write_text(path, page)
    return path


def _verdict(content: ReportContent, figures: Mapping[str, EmbeddingFigures]) -> str:
    end = None if content.metrics is None else end_of_training(content.metrics.to_dict("records"))
    if content.results is not None:
        said = content.results.headline(content.ours)
        return said if end is None else f"{said}\n{end.words}"
    words = ["No labels were used, so nothing here says how well classes can be separated."]
    for name, figure in figures.items():
        if figure.rankme is not None and figure.spread is not None:
            alike = " (nearly all vectors point in one direction)" * figure.one_direction
            words.append(
                f"{name[0].upper()}{name[1:]}: RankMe {figure.rankme:.1f} of {figure.width}, embedding spread "
                f"{figure.spread:.2f}{alike}."
            )
    curves = {} if content.metrics is None else read_curves(content.metrics)
    if "loss" in curves and "kl" in curves:
        words.append(f"The loss ended at {curves['loss'][1][-1]:.2f} nats, of which {curves['kl'][1][-1]:.2f} are kl.")
    if end is not None:
        words.append(end.words)
    return " ".join(words)


def _if_drawable(content: ReportContent, part: Any, make: Any) -> Drawing | None:
    return None if part is None or content.draw is None else make(part, content.draw)


def _maps(source: EmbeddingMap | None) -> dict[str, Any] | None:
    """The pictures of the maps, trained beside untrained, the legend that they share, and their points."""
    if source is None:
        return None
    trained = feature_matrix(source.embeddings, name="embeddings of the map")
    n = len(trained)
    sources = {"trained": trained}
    if source.untrained is not None:
        sources["untrained"] = feature_matrix(source.untrained, n, name="untrained embeddings of the map")
    labels = None if source.labels is None else np.asarray(source.labels)
    styles = class_styles(labels, source.classes, n)
    kinds: list[tuple[str, np.ndarray, Callable[[np.ndarray], Layout]]] = [
        ("PCA", drawn(n, source.max_points, source.seed), pca_layout)
    ]
    few = drawn(n, min(source.max_points, source.max_tsne_points), source.seed)
    if len(few) >= 10:
        kinds.append(("t-SNE", few, partial(tsne_layout, seed=source.seed)))
    pairs: list[list[Drawing]] = []
    layouts = []
    for kind, rows, layout in kinds:
        pairs.append([])
        for name, embeddings in sources.items():
            found = layout(embeddings[rows])
            layouts.append((rows, found))
            share = "" if found.explained is None else f", {_percent(found.explained)} of the variance"
            alt = f"{kind} map of {len(rows)} embeddings of the {name} encoder{share}."
            title = f"{name} encoder, {kind}{share}"
            pairs[-1].append(map_drawing(title, found.positions, restricted(styles, rows), alt))
    legend = [] if labels is None else restricted(styles, kinds[0][1])
    points = map_points(source, n, layouts)
    return {"pairs": pairs, "legend": legend, "n": len(kinds[0][1]), "n_tsne": len(few), "points": points}


def _attention(picture: AttentionPicture | None) -> list[Drawing]:
    if picture is None:
        return []
    drawings = []
    for name, matrix in (("Balanced target P", picture.plan), ("Attention Q", picture.attention)):
        share, chance = picture.share_within_class(matrix), picture.chance_within_class
        said = ""
        if share is not None and chance is not None:
            said = f": {_percent(share)} within the class (chance {_percent(chance)})"
        alt = f"{name} of a batch of {len(matrix)} as a matrix{said}."
        drawings.append(attention_drawing(f"{name}{said}", matrix, picture, alt))
    return drawings


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
