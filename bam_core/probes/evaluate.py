"""The evaluation itself: every set of features through every probe at every fraction of the labels."""

import time
from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from bam_core.labels.strata import is_real
from bam_core.probes.classes import ClassResult
from bam_core.probes.classifiers import Classifier
from bam_core.probes.embeddings import describe_embeddings
from bam_core.probes.inputs import Features, SplitLabels, check_features, labelled
from bam_core.probes.judge import Judged, judge_scores
from bam_core.probes.knn import knn_probe
from bam_core.probes.linear import linear_probe
from bam_core.probes.notes import task_notes
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.result_table import Result
from bam_core.probes.results import Results
from bam_core.probes.ridge import ridge_probe
from bam_core.probes.task import Task, keep_labels, make_task


def evaluate(
    features: Mapping[str, Features],
    labels: SplitLabels,
    protocol: EvaluationProtocol | None = None,
    *,
    data_fingerprint: str = "",
    classifiers: Mapping[str, Classifier] | None = None,
    without_knn: Collection[str] = (),
    describe: bool = True,
) -> Results:
    """Evaluate frozen features with kNN and linear probes at several fractions of the labels.

    The linear probe is a logistic regression, or a ridge regression where labels are real numbers.

    All sets of features see the same draws of labels, folds and resamplings of test. Below fraction 1 the spread is
    the standard deviation over the draws; at fraction 1 a bootstrap interval over the groups of test, or over its
    rows where there are no groups. A validation split is drawn at the same fraction as train.

    Args:
        features: name -> features of the splits; the baselines first, what is to be evaluated last.
        labels: of the same rows.
        protocol: default: `EvaluationProtocol()`.
        data_fingerprint: of the prepared data, to be kept with the results.
        classifiers: name of features -> what is fitted in place of the linear probe.
        without_knn: names of features whose neighbours mean nothing, such as raw columns.
        describe: whether to add the label-free figures.

    Returns:
        A table with spreads, label-free figures and notes.

    Raises:
        InputError: features that do not fit the labels or are not finite, fewer than two classes, or different
            numbers, in train or test, or class names that the labels do not have.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 3)) + 2 * y[:, None]
        >>> labels = SplitLabels(train=y[:120], test=y[120:])
        >>> results = evaluate({"raw": Features(x[:120], x[120:])}, labels, EvaluationProtocol(fractions=(1.0,)))
        >>> results.row("raw", "linear", 1.0, "accuracy").mean > 0.9
        True
    """
    protocol = EvaluationProtocol() if protocol is None else protocol
    checked = check_features(features, labels)
    task = make_task(labels, protocol)
    notes = dict.fromkeys(task_notes(labels, protocol))
    rows: list[Result] = []
    by_class: list[ClassResult] = []
    for name, parts in checked.items():
        classifier = (classifiers or {}).get(name)
        for probe in protocol.probes:
            for fraction in protocol.fractions:
                if probe != "knn" or name not in without_knn:
                    judged = _cell(task, name, parts, probe, fraction, notes, classifier)
                    rows += judged.rows
                    by_class += judged.by_class
    return Results(
        rows=tuple(rows),
        protocol=protocol,
        labels_hash=labels.hash(),
        data_fingerprint=data_fingerprint,
        classes=tuple(labels.classes),
        figures={n: describe_embeddings(part.test, seed=protocol.seed) for n, part in checked.items() if describe},
        notes=tuple(notes),
        by_class=tuple(by_class),
    )


def _cell(
    task: Task,
    name: str,
    parts: Features,
    probe: str,
    fraction: float,
    notes: dict[str, None],
    classifier: Classifier | None,
) -> Judged:
    """One set of features, one probe, one fraction."""
    start = time.perf_counter()
    draws = range(1 if fraction == 1 else task.protocol.draws)
    given = [keep_labels(task.train, fraction, draw, task.protocol) for draw in draws]
    scores = [_scores(task, name, parts, probe, fraction, draw, given[draw], notes, classifier) for draw in draws]
    seconds = time.perf_counter() - start
    n_labels = round(float(np.mean([labelled(labels).sum() for labels in given])))
    return judge_scores(task, name, probe, fraction, scores, n_labels=n_labels, seconds=seconds)


def _scores(
    task: Task,
    name: str,
    parts: Features,
    probe: str,
    fraction: float,
    draw: int,
    train_labels: np.ndarray,
    notes: dict[str, None],
    classifier: Classifier | None,
) -> np.ndarray:
    protocol = task.protocol
    test = parts.test[task.test_rows]
    n_labels = int(labelled(train_labels).sum())
    if probe == "knn":
        if n_labels < protocol.k:
            notes[f"kNN at {fraction * 100:g} %: {n_labels} labels, fewer than k={protocol.k}; all of them vote."] = (
                None
            )
        return knn_probe(
            parts.train, train_labels, test, n_classes=len(task.classes), k=protocol.k, temperature=protocol.temperature
        )
    if classifier is not None:
        known = labelled(train_labels)
        scored = classifier(
            parts.train[known], train_labels[known], test, n_classes=len(task.classes), seed=protocol.seed
        )
        if scored.note:
            notes[f"{name} at {fraction * 100:g} %: {scored.note}"] = None
        return scored.scores
    validation = None
    if task.validation is not None and labelled(task.validation).any():
        validation = (parts.validation, keep_labels(task.validation, fraction, draw, protocol))
    probe_of = (
        ridge_probe
        if is_real(train_labels)
        else partial(linear_probe, n_classes=len(task.classes), metric=task.metrics[0], subset=task.subset)
    )
    fitted = probe_of(
        parts.train,
        train_labels,
        test,
        groups=task.train_groups,
        validation=validation,
        c_grid=protocol.c_grid,
        folds=protocol.folds,
        max_search_rows=protocol.max_search_rows,
        seed=protocol.seed,
    )
    where = f"Linear probe at {fraction * 100:g} %"
    if fitted.chosen_on == "nothing":
        notes[f"{where}: too few labels to choose C; the middle of the grid, {fitted.c:g}, was taken."] = None
    if fitted.chosen_on == "rows" and task.train_groups is not None:
        notes[f"{where}: C was chosen on folds of rows, for too few classes occur in several groups."] = None
    if not fitted.converged:
        notes[f"{where} on {name}: the fit stopped before it converged."] = None
    return fitted.scores
