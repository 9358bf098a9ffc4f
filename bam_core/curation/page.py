"""The page of a curation: a map first, then near-duplicates, outliers, suspicious labels and clusters as examples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bam_core.curation.curate import Curated
from bam_core.reports.examples import about_lines, shown
from bam_core.reports.figures import Drawing
from bam_core.reports.maps import drawn
from bam_core.reports.marked_map import marked_map_drawing
from bam_core.reports.pages import Example, Page, Section, Strip, Table, write_page
from bam_core.reports.palette import class_styles, restricted
from bam_core.runs.samples import Samples

MOST_SETS = 8  # of near-duplicates that are shown
MOST_COPIES = 6  # of a set
MOST_ROWS = 12  # outliers and suspicious labels that are shown
MOST_LISTED = 200  # in a folded table
TYPICAL = 5  # members of a cluster
BESIDE = 4  # neighbours of a suspicious row
MOST_POINTS = 4000  # of the map


def write_curation_page(path: Path, found: Curated, samples: Samples | None) -> Path:
    """Write the page and return its path.

    Args:
        path: of the HTML file; its folder must exist.
        found: by `bam_core.curation.curate.curate`.
        samples: to draw rows; None where the data cannot be read again.
    """
    writer = _Writer(found, samples)
    sections = [writer.copies(), writer.far_out(), writer.labels(), writer.clusters()]
    source = found.embeddings.source
    made = [(name, str(source[name])) for name in ("modality", "model", "network", "version") if name in source]
    made += [("data", str((source.get("data") or {}).get("path"))), *(("note", note) for note in found.notes)]
    picture, caption = writer.map()
    page = Page(
        "What the embeddings say about the data",
        found.verdict,
        picture,
        caption,
        [section for section in sections if section is not None],
        made,
    )
    return write_page(path, page)


class _Writer:
    """Sections of the page."""

    def __init__(self, found: Curated, samples: Samples | None) -> None:
        self.found, self.samples = found, samples

    def map(self) -> tuple[Drawing, str]:
        """The picture and its caption."""
        found = self.found
        rows = drawn(len(found.ids), MOST_POINTS, 0)
        names = [f"cluster {number + 1}" for number in range(len(found.clusters.typical))]
        colours = found.clusters.of if found.clusters.clear else None
        if found.labels is not None:
            colours, names = found.codes, list(found.classes)
        styles = restricted(class_styles(colours, names, len(found.ids)), rows)
        wrong = np.zeros(len(found.ids), bool) if found.labels is None else found.labels.margin > 0
        marks = {
            "near-duplicates": found.duplicates.flagged,
            "outliers": found.outliers.flagged,
            "suspicious labels": wrong,
        }
        marked = {name: np.flatnonzero(flags[rows]) for name, flags in marks.items() if flags.any()}
        alt = f"{found.layout} map of {len(rows):,} embeddings. {found.verdict}"
        by = "label" if found.labels is not None else "cluster" if found.clusters.clear else "nothing"
        more = f" {len(rows):,} of {len(found.ids):,} rows are drawn." if len(rows) < len(found.ids) else ""
        caption = f"Each point is a row, near those that are like it ({found.layout}), coloured by {by}.{more}"
        return marked_map_drawing(found.positions[rows], styles, marked, alt), caption

    def copies(self) -> Section:
        """Near-duplicates, those across splits first."""
        found = self.found
        sets = [
            np.flatnonzero(found.duplicates.of == one)
            for one in np.unique(found.duplicates.of[found.duplicates.flagged])
        ]
        sets.sort(key=lambda rows: (-int(found.leaks[rows].any()), -len(rows)))
        strips = []
        for rows in sets[:MOST_SETS]:
            title = f"{len(rows):,} rows{', in train and held out' if found.leaks[rows].any() else ''}"
            strips.append(Strip(self.examples(rows[:MOST_COPIES]), title))
        listed = [
            (
                found.ids[row],
                found.ids[found.duplicates.of[row]],
                self.split(int(row)),
                "yes" if found.leaks[row] else "",
            )
            for rows in sets
            for row in rows
        ]
        said = (
            f"Rows closer than {found.duplicates.limit:.2g} (1 - cosine), two hundredths of the usual distance to the "
            "fifth neighbour, directly or through another. Pretraining treats copies as different samples; between "
            "train and test they make results too good."
        )
        if found.shared_groups:
            some = ", ".join(found.shared_groups[:10])
            said += f" Groups with rows in train and held out: {some}{' ...' if len(found.shared_groups) > 10 else ''}."
        if not sets:
            said = f"None: no two rows are closer than {found.duplicates.limit:.2g} (1 - cosine)."
        table = Table(("id", "near-duplicate of", "split", "leak"), listed[:MOST_LISTED], _more(len(listed)))
        return Section("Near-duplicates", said, strips=strips, table=table if listed else None)

    def far_out(self) -> Section:
        """Outliers, the farthest first; the next in line where there are none."""
        found = self.found
        order = np.argsort(-found.outliers.factor, kind="stable")
        order = np.concatenate([order[found.outliers.flagged[order]], order[~found.outliers.flagged[order]]])
        n = int(found.outliers.flagged.sum())
        lines = [[f"local outlier factor {found.outliers.factor[row]:.2f}"] for row in order[:MOST_ROWS]]
        chosen = order[: min(n, MOST_ROWS) or BESIDE]
        said = (
            "Rows with a local outlier factor above 1.5, whose neighbours are farther away than those of nearly all "
            "rows (1.5 quartile ranges above the third quartile). Look for other sensors, noise, empty recordings and "
            "rare cases; rare is not wrong."
        )
        if not n:
            said = f"None. {said} Those that lie farthest out:"
        listed = [
            (found.ids[row], f"{found.outliers.factor[row]:.3f}", f"{found.outliers.distance[row]:.4g}")
            for row in order[:n]
        ]
        table = Table(("id", "local outlier factor", "mean distance"), listed[:MOST_LISTED], _more(n)) if n else None
        return Section("Outliers", said, strips=[Strip(self.examples(chosen, lines))], table=table)

    def labels(self) -> Section | None:
        """Suspicious labels with the neighbours that disagree."""
        found, judged = self.found, self.found.labels
        if judged is None:
            return None
        order = np.argsort(-judged.margin, kind="stable")
        order = order[judged.margin[order] > 0]
        strips = []
        for row in order[: MOST_ROWS // 2]:
            said = f"neighbours say {found.classes[judged.suggested[row]]}"
            first = self.examples(np.array([row]), [[said]], strong=True)
            strips.append(Strip([*first, *self.examples(found.graph.rows[row, :BESIDE])]))
        listed = [
            (
                found.ids[row],
                found.classes[found.codes[row]],
                found.classes[judged.suggested[row]],
                f"{judged.agreement[row]:.2f}",
                f"{judged.margin[row]:.2f}",
            )
            for row in order
        ]
        said = (
            "Rows (framed) whose nearest rows are mostly of another class, those with the largest margin first. Either "
            "the label is wrong, or the row is hard, or the encoder does not see the difference: look before you "
            "change."
        )
        share, chance = self.agreement()
        known = f" Over all rows, {share:.0%} of the votes are for the row's own label, by chance {chance:.0%}."
        head = ("id", "label", "neighbours say", "share with its label", "margin")
        table = Table(head, listed[:MOST_LISTED], _more(len(listed))) if listed else None
        return Section("Suspicious labels", (said if listed else "None.") + known, strips=strips, table=table)

    def agreement(self) -> tuple[float, float]:
        """Mean share of votes for the row's own label, and what it would be if neighbours were drawn at random."""
        codes = self.found.codes[self.found.codes >= 0]
        parts = np.bincount(codes) / len(codes)
        agreement = self.found.labels.agreement if self.found.labels is not None else np.array([np.nan])
        known = agreement[~np.isnan(agreement)]
        return float(known.mean()) if len(known) else 0.0, float(np.square(parts).sum())

    def clusters(self) -> Section:
        """Typical members of each cluster."""
        found = self.found
        strips = []
        for number, rows in enumerate(found.clusters.typical if found.clusters.clear else []):
            title = f"Cluster {number + 1}: {len(rows):,} rows{self.composition(rows)}"
            strips.append(Strip(self.examples(rows[:TYPICAL]), title))
        said = (
            f"K-means, with the number of clusters from 2 to 15 that has the largest silhouette "
            f"({found.clusters.silhouette:.2f}; 1 is perfect, below 0.1 there are none). Rows nearest to each centre."
        )
        return Section("Clusters", said if strips else f"No clear ones. {said}", strips=strips)

    def composition(self, rows: np.ndarray) -> str:
        """The most frequent classes of some rows."""
        codes = self.found.codes[rows] if len(self.found.codes) else np.array([], int)
        if not (codes >= 0).any():
            return ""
        counts = np.bincount(codes[codes >= 0])
        first = np.argsort(-counts, kind="stable")[:3]
        parts = [f"{self.found.classes[c]} {counts[c] / counts.sum():.0%}" for c in first if counts[c]]
        return f" ({', '.join(parts)})"

    def examples(
        self, rows: Sequence[int] | np.ndarray, lines: Sequence[Sequence[str]] = (), *, strong: bool = False
    ) -> list[Example]:
        """Rows as examples."""
        made = []
        for place, row in enumerate(rows):
            about = self.found.embeddings.about.iloc[int(row)]
            beside = list(lines[place]) if place < len(lines) else []
            made.append(shown(self.samples, about, [*beside, *about_lines(about)], strong=strong))
        return made

    def split(self, row: int) -> str:
        """The split of a row, if it is known."""
        about = self.found.embeddings.about
        value = about["split"].iloc[row] if "split" in about else None
        return str(value) if isinstance(value, str) else ""


def _more(count: int) -> str:
    return f"{count - MOST_LISTED:,} more are in the parquet file." if count > MOST_LISTED else ""
