"""Scores of test in, rows of a table out: every metric with its spread."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from bam_core.probes.classes import ClassResult, class_results
from bam_core.probes.metrics import metric_of_weights, spread_of_values
from bam_core.probes.result_table import Result
from bam_core.probes.task import Task, resamplings_of


class Judged(NamedTuple):
    """A row for each metric; and, of several labels with all labels of train, one for each class."""

    rows: list[Result]
    by_class: list[ClassResult]


def judge_scores(
    task: Task,
    name: str,
    probe: str,
    fraction: float,
    scores: Sequence[np.ndarray],
    *,
    n_labels: int,
    seconds: float,
) -> Judged:
    """Evaluate what was said of test.

    Below fraction 1 the spread is the standard deviation over the draws; at fraction 1 a bootstrap interval over the
    groups of test, or over its rows; of several trainings their mean is resampled.

    Args:
        task: holds labels, metrics and resamplings.
        name: of what made the scores.
        probe: column of the table.
        fraction: part of the labels that it saw.
        scores: one (m, c) array a draw of labels, or a training with all of them, of the rows `task.test_rows`.
        n_labels: labelled rows that it saw.
        seconds: that it took.
    """
    ones = np.ones(len(task.test))
    found = Judged([], [])
    if fraction == 1 and task.test.ndim == 2:
        found.by_class.extend(
            class_results(name, probe, task.metrics, task.test, scores[0], task.classes, partial(resamplings_of, task))
        )
    for metric in task.metrics:
        functions = [metric_of_weights(metric, task.test, one, subset=task.subset) for one in scores]
        at_ones = [function(ones) for function in functions]
        if fraction == 1:
            values = [float(np.mean([f(weights) for f in functions])) for weights in resamplings_of(task)]
            unit = "rows" if task.test_groups is None else f"{len(np.unique(task.test_groups))} groups"
            spread_of = f"95 % interval, {len(values)} bootstrap resamplings of the {unit} of test"
        else:
            values, spread_of = at_ones, f"standard deviation over {len(at_ones)} draws of labels"
        found.rows.append(
            Result(
                features=name,
                probe=probe,
                fraction=fraction,
                metric=metric,
                mean=float(np.mean(at_ones)),
                spread=spread_of_values(values, fraction == 1),
                spread_of=spread_of,
                n_labels=n_labels,
                seconds=round(seconds, 3),
                values=tuple(values),
            )
        )
    return found
