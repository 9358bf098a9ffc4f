"""Multi-label data class by class: how well each label is found, beside the averages over all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bam_core.evaluation.metrics import (
    OF_EACH_CLASS,
    PROBE_TITLES,
    UNDEFINED,
    class_metric_of_weights,
    figure,
    metric_title,
    spread_of_values,
)

if TYPE_CHECKING:
    from bam_core.evaluation.results import Results
    from bam_core.evaluation.tables import TableView


@dataclass(frozen=True)
class ClassResult:
    """One metric of one class, with all labels of train.

    Attributes:
        features: name of the set of features.
        probe: "knn" or "linear".
        metric: "auc" or "average_precision".
        name: of the class.
        n_test: rows of test that carry it.
        mean: the value on all of test; NaN if no row carries the class, or all do.
        spread: half of the 95 % bootstrap interval; of several runs, their standard deviation.
    """

    features: str
    probe: str
    metric: str
    name: str
    n_test: int
    mean: float
    spread: float


def class_results(
    features: str,
    probe: str,
    metrics: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    weights: Callable[[], Iterable[np.ndarray]],
) -> list[ClassResult]:
    """A result for every class and every metric that is one of single classes.

    Args:
        features: name of the set of features.
        probe: that made the scores.
        metrics: others than those of `OF_EACH_CLASS` are passed over.
        labels: (n, c) 0/1 of test.
        scores: (n, c).
        classes: names.
        weights: makes the bootstrap weights, see `resamplings`.
    """
    found = []
    for metric in metrics:
        if metric not in OF_EACH_CLASS:
            continue
        each = class_metric_of_weights(metric, labels, scores)
        at_ones, resampled = each(np.ones(len(labels))), np.array([each(part) for part in weights()])
        for place, name in enumerate(classes):
            n_test = int(labels[:, place].sum())
            spread = spread_of_values(resampled[:, place], True)
            found.append(ClassResult(features, probe, metric, str(name), n_test, float(at_ones[place]), spread))
    return found


def mean_over_runs(runs: Sequence[Sequence[ClassResult]]) -> tuple[ClassResult, ...]:
    """Means and standard deviations over runs that were judged alike."""
    joined = []
    for same in zip(*runs, strict=True):
        values = [one.mean for one in same]
        joined.append(replace(same[0], mean=float(np.mean(values)), spread=spread_of_values(values, False)))
    return tuple(joined)


def class_views(results: "Results", most: int | None = None) -> "list[TableView]":
    """A table for each metric: classes down, the most frequent first, sets of features across.

    Args:
        results: of an evaluation; without results by class there are no tables.
        most: classes to show.
    """
    from bam_core.evaluation.tables import Cell, Column, TableView

    if not results.by_class:
        return []
    probe = results.by_class[-1].probe
    rows = [row for row in results.by_class if row.probe == probe]
    features = list(dict.fromkeys(row.features for row in rows))
    counts = sorted({row.name: row.n_test for row in rows}.items(), key=lambda item: -item[1])
    shown = counts[:most]
    views = []
    for metric in dict.fromkeys(row.metric for row in rows):
        of = {(row.name, row.features): row for row in rows if row.metric == metric}
        cells: dict[str, list[Cell]] = {}
        for name, n_test in shown:
            values = [of[name, one] for one in features if (name, one) in of]
            top = max((round(row.mean, 3) for row in values if np.isfinite(row.mean)), default=None)
            cells[name] = [Cell(f"{n_test:,}")]
            for row in values:
                value, spread = figure(row.mean, metric), f"±{figure(row.spread, metric)}"
                spread = "" if value == UNDEFINED else spread
                cells[name].append(Cell(value, spread, spread.replace("0.", "."), round(row.mean, 3) == top))
        left = f" {len(counts) - len(shown)} rarer classes are left out here." if len(counts) > len(shown) else ""
        title = f"{metric_title(metric)} by class, {PROBE_TITLES[probe]}, all labels"
        columns = [Column("rows of test"), *map(Column, features)]
        what = (
            "half of a 95 % bootstrap interval"
            if results.n_runs == 1
            else f"standard deviation over {results.n_runs} runs"
        )
        views.append(TableView(title, columns, cells, [f"±: {what}.{left}"]))
    return views
