"""What a model said of test: what is confused with what, and whether its probabilities can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.labels.strata import is_real
from bam_core.probes.metrics import class_metric_of_weights
from bam_core.probes.table_view import Cell, Column, TableView
from bam_core.reports.figures import Drawing, _drawing, _figure
from bam_core.reports.palette import COLOURS

MOST_CURVES = len(COLOURS)
MOST_NAMED = 24
BINS = 10


@dataclass(frozen=True)
class Predictions:
    """Truth and scores of the rows of test.

    Attributes:
        labels: (n,) class indices, (n, c) 0/1, or (n,) real numbers.
        scores: (n, c) probabilities, or (n, 1) numbers.
        classes: names.

    Raises:
        InputError: another number of rows or classes.
    """

    labels: np.ndarray
    scores: np.ndarray
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        wanted = (len(self.labels), 1 if self.is_number else len(self.classes))
        if self.scores.shape != wanted:
            raise InputError(f"Predictions expected scores of shape {wanted}; got {self.scores.shape}.")

    @property
    def is_number(self) -> bool:
        """Whether numbers are predicted."""
        return is_real(self.labels)

    @property
    def several(self) -> bool:
        """Whether a row can carry several labels."""
        return self.labels.ndim == 2

    @property
    def truth(self) -> np.ndarray:
        """(n, c) 0/1."""
        if self.several:
            return np.asarray(self.labels == 1)
        found: np.ndarray = self.labels[:, None] == np.arange(len(self.classes))
        return found


class Calibration(NamedTuple):
    """How often what is said to be likely is so.

    Attributes:
        said: (k,) mean probability of each bin that has rows.
        found: (k,) share of rows that are so.
        counts: (k,) rows.
        error: expected calibration error: the mean distance of the two, weighted by rows.
    """

    said: np.ndarray
    found: np.ndarray
    counts: np.ndarray
    error: float


def calibration(predictions: Predictions, bins: int = BINS) -> Calibration:
    """Of the likeliest class of each row; of several labels, of all of them.

    Example:
        >>> calibration(Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.9, 0.1]]), "ab")).error
        0.4

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599, equation 3.
    """
    if predictions.several:
        said, right = predictions.scores.ravel(), predictions.truth.ravel()
    else:
        said = predictions.scores.max(axis=1)
        right = predictions.scores.argmax(axis=1) == predictions.labels
    place = np.minimum((said * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    there = counts > 0
    sums = (np.bincount(place, values.astype(float), minlength=bins)[there] / counts[there] for values in (said, right))
    mean_said, mean_right = sums
    error = float((np.abs(mean_said - mean_right) * counts[there]).sum() / counts.sum())
    return Calibration(mean_said, mean_right, counts[there], round(error, 12))


def confusion(predictions: Predictions) -> np.ndarray:
    """(c, c) rows of test of each true class by predicted class."""
    c = len(predictions.classes)
    cells = predictions.labels * c + predictions.scores.argmax(axis=1)
    return np.bincount(cells, minlength=c * c).reshape(c, c)


def prediction_drawings(predictions: Predictions) -> list[Drawing]:
    """Pictures for a page: confusion, ROC curves and calibration; of numbers, what was said against what is."""
    if predictions.is_number:
        return [_scatter(predictions)]
    first = [] if predictions.several or len(predictions.classes) > MOST_NAMED else [_confusion(predictions)]
    return [*first, _roc(predictions), _calibration(predictions)]


def class_table(predictions: Predictions) -> TableView | None:
    """Precision, recall, F1 and AUC of every class, the most frequent first; None for numbers."""
    if predictions.is_number:
        return None
    truth = predictions.truth
    best = predictions.scores.argmax(axis=1)[:, None] == np.arange(len(predictions.classes))
    said = predictions.scores > 0.5 if predictions.several else best
    hits, n_said, n_true = (truth & said).sum(axis=0), said.sum(axis=0), truth.sum(axis=0)
    auc = class_metric_of_weights("auc", truth.astype(int), predictions.scores)(np.ones(len(truth)))
    rows = {}
    for c in np.argsort(-n_true, kind="stable"):
        figures = (_ratio(hits[c], n_said[c]), _ratio(hits[c], n_true[c]), _ratio(2 * hits[c], n_said[c] + n_true[c]))
        area = "-" if not np.isfinite(auc[c]) else f"{auc[c]:.3f}"
        rows[str(predictions.classes[c])] = [Cell(text) for text in (f"{n_true[c]:,}", *figures, area)]
    heads = [Column(name) for name in ("rows of test", "precision", "recall", "F1", "AUC")]
    note = "A label is said where its probability is above a half." if predictions.several else ""
    return TableView("Class by class, the fine-tuned model", heads, rows, [note] if note else [])


def _ratio(part: Any, whole: Any) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def _confusion(predictions: Predictions) -> Drawing:
    counts = confusion(predictions)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    c = len(counts)
    size = max(3.2, min(8.0, 0.52 * c + 1.6))
    with _figure(size, size) as figure:
        axes = figure.subplots()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.grid(False)
        for i in range(c):
            for j in range(c):
                if counts[i, j]:
                    colour = "white" if share[i, j] > 0.6 else "#1b1f24"
                    axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=colour, fontsize=8)
        names = [str(name) for name in predictions.classes]
        axes.set_xticks(range(c), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=8)
        axes.set_yticks(range(c), names, fontsize=8)
        axes.set(xlabel="said", ylabel="true")
        right = int(np.trace(counts))
        alt = f"Confusion matrix of {counts.sum():,} rows of test, {right:,} of them right."
        return _drawing(figure, alt, "What is taken for what (rows of test)", vector=True)


def _roc(predictions: Predictions) -> Drawing:
    from sklearn.metrics import roc_curve

    truth = predictions.truth
    known = [c for c in np.argsort(-truth.sum(axis=0), kind="stable") if 0 < truth[:, c].sum() < len(truth)]
    if len(predictions.classes) == 2 and not predictions.several:
        known = [c for c in known if c == 1]
    areas = class_metric_of_weights("auc", truth.astype(int), predictions.scores)(np.ones(len(truth)))
    with _figure(4.4, 4.0) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#777777", linestyle="--", linewidth=1)
        for c, colour in zip(known, COLOURS, strict=False):
            false, true, _ = roc_curve(truth[:, c], predictions.scores[:, c])
            axes.plot(false, true, color=colour, label=f"{predictions.classes[c]}, AUC {areas[c]:.3f}")
        axes.set(xlabel="false alarms", ylabel="found", aspect="equal")
        axes.legend(fontsize=8, loc="lower right")
        left = len(known) - MOST_CURVES
        title = "ROC of each class against the rest" + (f" ({left} rarer ones left out)" if left > 0 else "")
        named = ", ".join(f"{predictions.classes[c]} {areas[c]:.3f}" for c in known[:MOST_CURVES])
        return _drawing(figure, f"ROC curves; areas under them: {named}.", title, vector=True)


def _calibration(predictions: Predictions) -> Drawing:
    found = calibration(predictions)
    with _figure(4.4, 4.0) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#777777", linestyle="--", linewidth=1)
        axes.plot(found.said, found.found, color=COLOURS[0], linewidth=1)
        axes.scatter(found.said, found.found, s=12 + 120 * found.counts / found.counts.max(), color=COLOURS[0])
        axes.set(
            xlabel="probability that was said", ylabel="share that is so", aspect="equal", xlim=(0, 1), ylim=(0, 1)
        )
        title = f"Calibration, expected error {found.error:.3f}"
        return _drawing(figure, f"{title}: on the diagonal, probabilities mean what they say.", title, vector=True)


def _scatter(predictions: Predictions) -> Drawing:
    said = predictions.scores[:, 0]
    both = np.concatenate([predictions.labels, said])
    low, high = float(both.min()), float(both.max())
    with _figure(4.4, 4.0) as figure:
        axes = figure.subplots()
        axes.plot([low, high], [low, high], color="#777777", linestyle="--", linewidth=1)
        axes.scatter(predictions.labels, said, s=8, alpha=0.5, color=COLOURS[0], linewidths=0)
        axes.set(xlabel="true", ylabel="said")
        error = float(np.abs(said - predictions.labels).mean())
        return _drawing(figure, f"Said against true numbers; mean absolute error {error:.4g}.", "Said against true")
