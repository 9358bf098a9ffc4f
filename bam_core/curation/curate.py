"""Look through a file of embeddings: what is there twice, far out, alike, or labelled against its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bam_core.curation.clusters import Clusters, clusters
from bam_core.curation.findings import Duplicates, K, Labels, Outliers, duplicates, outliers, suspicious_labels
from bam_core.curation.graph import Graph, neighbour_graph
from bam_core.errors import DataError, InputError
from bam_core.reports.maps import pca_layout, tsne_layout
from bam_core.runs.embedding_file import Embeddings, read_embeddings

NONE = "none"  # instead of a column
MOST_TSNE = 2000  # rows, above which the map shows principal components
MOST_CLASSES = 200  # of numbers in a column of labels; more are no classes
SHOWN = 10  # neighbours that the table names


@dataclass(frozen=True)
class Curated:
    """What was found in embeddings.

    Attributes:
        embeddings: that were looked through.
        ids: (n,) names of the rows.
        graph: nearest rows.
        duplicates: near-duplicates.
        leaks: (n,) rows of a set of near-duplicates that train shares with test or validation.
        shared_groups: groups with rows in train and in test or validation.
        outliers: how far out rows lie.
        clusters: groups of rows.
        labels: what neighbours say about labels, or None without labels.
        classes: names that the numbers of labels stand for.
        codes: (n,) labels as numbers, -1 for none; empty without labels.
        positions: (n, 2) of a map.
        layout: of the map, "t-SNE" or "PCA".
        notes: what was chosen or left out, a sentence each.
    """

    embeddings: Embeddings
    ids: np.ndarray
    graph: Graph
    duplicates: Duplicates
    leaks: np.ndarray
    shared_groups: Sequence[str]
    outliers: Outliers
    clusters: Clusters
    labels: Labels | None
    classes: Sequence[str]
    codes: np.ndarray
    positions: np.ndarray
    layout: str
    notes: Sequence[str]

    @property
    def table(self) -> pd.DataFrame:
        """What was known of the rows, and a column for each finding; embeddings themselves are left out.

        `duplicate_of` is the first row of a set of near-duplicates, `x` and `y` the place on the map, and `neighbors`
        the nearest rows in the form of embedding-atlas.
        """
        copies = self.duplicates.flagged
        found = {
            "x": self.positions[:, 0],
            "y": self.positions[:, 1],
            "nearest": self.ids[self.graph.rows[:, 0]],
            "nearest_distance": self.graph.distances[:, 0],
            "duplicate_of": [
                one if is_copy else None for one, is_copy in zip(self.ids[self.duplicates.of], copies, strict=True)
            ],
            "leak": self.leaks,
            "outlier_distance": self.outliers.distance,
            "outlier_factor": self.outliers.factor,
            "outlier": self.outliers.flagged,
            "cluster": self.clusters.of,
        }
        if self.labels is not None:
            names = np.array([*self.classes, None], dtype=object)
            found |= {
                "label_agreement": self.labels.agreement,
                "suggested_label": names[self.labels.suggested],
                "label_margin": self.labels.margin,
            }
        k = min(SHOWN, self.graph.rows.shape[1])
        found["neighbors"] = [
            {"ids": rows.tolist(), "distances": distances.tolist()}
            for rows, distances in zip(self.graph.rows[:, :k], self.graph.distances[:, :k], strict=True)
        ]
        about = self.embeddings.about.drop(columns=list(found), errors="ignore")
        return pd.concat([about, pd.DataFrame(found)], axis=1)

    @property
    def verdict(self) -> str:
        """What was found, a sentence each."""
        copies, far = self.duplicates.flagged, int(self.outliers.flagged.sum())
        n_sets = len(np.unique(self.duplicates.of[copies]))
        said = [f"{len(self.ids):,} rows."]
        said.append(
            f"{_rows(int(copies.sum()))} near-duplicates of another, in {n_sets:,} set{'s' * (n_sets != 1)}."
            if n_sets
            else "No near-duplicates."
        )
        if self.leaks.any():
            n_leaks = len(np.unique(self.duplicates.of[self.leaks]))
            said.append(
                f"{n_leaks:,} of these sets {'are' if n_leaks > 1 else 'is'} in train and in test or validation: what "
                "is measured there is too good."
            )
        if self.shared_groups:
            n_shared = len(self.shared_groups)
            said.append(f"{n_shared:,} group{'s' * (n_shared != 1)} in train and in test or validation as well.")
        said.append(f"{_rows(far)} outliers." if far else "No outliers.")
        n_clusters, score = len(self.clusters.typical), self.clusters.silhouette
        said.append(
            f"{n_clusters} clusters (silhouette {score:.2f})."
            if self.clusters.clear
            else f"No clear clusters (silhouette {score:.2f})."
        )
        if self.labels is not None:
            n_wrong = int((self.labels.margin > 0).sum())
            whose = "its" if n_wrong == 1 else "their"
            said.append(
                f"{_rows(n_wrong)} labelled against {whose} neighbours." if n_wrong else "No suspicious labels."
            )
        return " ".join(said)


def curate(
    embeddings: Path | pd.DataFrame, *, labels: str | None = None, groups: str | None = None, seed: int = 0
) -> Curated:
    """Look through a file of embeddings.

    Args:
        embeddings: what `bam embed` wrote, or `Run.embed` returned.
        labels: column of classes. Default: `class` if there is one; "none" for none.
        groups: column of what belongs together, such as persons: their rows do not vote on each other's labels.
            Default: `group` if there is one; "none" for none.
        seed: of clusters and map.

    Raises:
        DataError: no embeddings, or fewer than three rows.
        InputError: no such column, or labels that are no classes.
    """
    known = read_embeddings(embeddings)
    about, n = known.about, len(known.matrix)
    if n < 3:
        raise DataError(f"expected at least three rows to compare; got {n}.")
    notes: list[str] = []
    label_column = _column(about, labels, "labels", "class")
    group_column = _column(about, groups, "groups", "group")
    codes, classes = _codes(about, label_column, notes, chosen=labels is not None)
    group_of = None if group_column is None else _groups(about[group_column])
    graph = neighbour_graph(known.matrix, K)
    found = duplicates(graph)
    judged = None
    if len(codes):
        judged = suspicious_labels(graph, codes, groups=group_of, copies=found.of)
    leaks, shared = _leaks(about, found, group_of, notes)
    tsne = 10 <= n <= MOST_TSNE and np.ptp(known.matrix, axis=0).any()
    positions = (tsne_layout(known.matrix, seed=seed) if tsne else pca_layout(known.matrix)).positions
    return Curated(
        embeddings=known,
        ids=about["id"].astype(str).to_numpy() if "id" in about else np.arange(n).astype(str),
        graph=graph,
        duplicates=found,
        leaks=leaks,
        shared_groups=shared,
        outliers=outliers(known.matrix, found),
        clusters=clusters(known.matrix, seed=seed),
        labels=judged,
        classes=classes,
        codes=codes,
        positions=np.asarray(positions, np.float64),
        layout="t-SNE" if tsne else "PCA",
        notes=notes,
    )


def _rows(count: int) -> str:
    return f"{count:,} row is" if count == 1 else f"{count:,} rows are"


def _column(about: pd.DataFrame, chosen: str | None, option: str, usual: str) -> str | None:
    """The column that an option means.

    Raises:
        InputError: there is none of that name.
    """
    if chosen == NONE:
        return None
    if chosen is None:
        return usual if usual in about else None
    if chosen not in about:
        raise InputError(f"--{option} expected a column of the file ({', '.join(map(str, about))}); got {chosen!r}.")
    return chosen


def _codes(
    about: pd.DataFrame, column: str | None, notes: list[str], *, chosen: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as numbers and the names of the classes; both empty if there is nothing to be judged.

    Raises:
        InputError: a column that was named holds no classes.
    """
    if column is None:
        return np.array([], int), ()
    values = about[column]
    problem = ""
    if values.map(lambda value: np.ndim(value) > 0).any():
        problem = "holds several labels a row"
    elif pd.api.types.is_float_dtype(values) and values.nunique() > MOST_CLASSES:
        problem = "holds numbers, not classes"
    elif values.nunique() < 2:
        problem = "holds fewer than two classes"
    if problem and chosen:
        raise InputError(f"--labels expected a column of classes, one a row; {column!r} {problem}.")
    if problem:
        notes.append(f"Labels are not judged: the column {column!r} {problem}.")
        return np.array([], int), ()
    codes, names = pd.factorize(values, sort=True)
    return codes.astype(np.int64), tuple(map(str, names))


def _groups(values: pd.Series) -> np.ndarray:
    """(n,) names of groups; a row without one is a group of its own, which no other row shares."""
    alone = [f"row {place} without a group" for place in range(len(values))]
    return np.where(values.isna(), alone, values.astype(object).map(str)).astype(str)


def _leaks(
    about: pd.DataFrame, found: Duplicates, groups: np.ndarray | None, notes: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Rows of sets of near-duplicates, and names of groups, that train shares with test or validation."""
    if "split" not in about or about["split"].isna().all():
        notes.append("Leaks are not looked for: no column `split` says which rows are in train.")
        return np.zeros(len(about), bool), []
    in_train = (about["split"] == "train").to_numpy()
    held_out = about["split"].isin(["test", "validation"]).to_numpy()

    def shared(keys: np.ndarray) -> np.ndarray:
        return np.intersect1d(keys[in_train], keys[held_out])

    leaks = np.isin(found.of, shared(found.of)) & found.flagged
    return leaks, [] if groups is None else shared(groups).tolist()
