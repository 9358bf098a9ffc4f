"""The evaluation itself: every set of features through every probe at every fraction of the labels."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.labels.strata import is_real
from bam_core.probes.classes import ClassResult, class_results
from bam_core.probes.classifiers import Classifier
from bam_core.probes.embeddings import describe_embeddings
from bam_core.probes.folds import varies
from bam_core.probes.fractions import draw_rows
from bam_core.probes.inputs import Features, SplitLabels, check_features, labelled
from bam_core.probes.knn import knn_probe
from bam_core.probes.linear import linear_probe
from bam_core.probes.metrics import default_metrics, metric_of_weights, resamplings, spread_of_values
from bam_core.probes.notes import task_notes
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.result_table import Result
from bam_core.probes.results import Results
from bam_core.probes.ridge import ridge_probe


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
    """Judge frozen features with kNN and linear probes at several fractions of the labels.

    The linear probe is a logistic regression, or a ridge regression where labels are real numbers.

    All sets of features see the same draws of labels, folds and resamplings of test. Below fraction 1 the spread is
    the standard deviation over the draws; at fraction 1 a bootstrap interval over the groups of test, or over its
    rows where there are no groups. A validation split is drawn at the same fraction as train.

    Args:
        features: name -> features of the splits; the baselines first, what is to be judged last.
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
    task = _task(labels, protocol)
    notes = dict.fromkeys(task_notes(labels, protocol))
    rows: list[Result] = []
    by_class: list[ClassResult] = []
    for name, parts in checked.items():
        classifier = (classifiers or {}).get(name)
        for probe in protocol.probes:
            for fraction in protocol.fractions:
                if probe != "knn" or name not in without_knn:
                    rows += _cell(task, name, parts, probe, fraction, notes, classifier, by_class)
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


class RowsInUse(NamedTuple):
    """Rows of the splits that an evaluation looks at, and their labels: the draws among them are those among all."""

    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray | None
    labels: SplitLabels


def rows_in_use(labels: SplitLabels, protocol: EvaluationProtocol) -> RowsInUse:
    """The rows of which `evaluate` needs features, so that those of dear features can be made for no others.

    Raises:
        InputError: as `evaluate` does.

    Example:
        >>> labels = SplitLabels(train=np.array([0, -1, 1, 0]), test=np.array([1, 0, -1]))
        >>> found = rows_in_use(labels, EvaluationProtocol())
        >>> found.train.tolist(), found.test.tolist(), found.labels.train.tolist()
        ([0, 2, 3], [0, 1], [0, 1, 0])
    """
    task = _task(labels, protocol)
    train = np.flatnonzero(labelled(task.train))
    validation = None if labels.validation is None else np.flatnonzero(labelled(labels.validation))
    taken = replace(
        labels,
        train=labels.train[train],
        test=task.test,
        validation=None if labels.validation is None else labels.validation[validation],
        train_groups=None if labels.train_groups is None else labels.train_groups[train],
        test_groups=None if labels.test_groups is None else labels.test_groups[task.test_rows],
    )
    return RowsInUse(train, task.test_rows, validation, taken)


@dataclass(frozen=True)
class _Task:
    """What all sets of features share. Rows of train and validation that are out of use have the label -1, or NaN."""

    protocol: EvaluationProtocol
    metrics: tuple[str, ...]
    subset: list[int]
    classes: Sequence[str]
    train: np.ndarray
    train_groups: np.ndarray | None
    validation: np.ndarray | None
    test: np.ndarray
    test_rows: np.ndarray
    test_groups: np.ndarray | None


def _task(labels: SplitLabels, protocol: EvaluationProtocol) -> _Task:
    unknown = [name for name in protocol.classes if name not in labels.classes]
    if unknown:
        raise InputError(f"the protocol averages over classes {unknown}; the labels have {list(labels.classes)}.")
    for split in ("train", "test"):
        values = getattr(labels, split)
        if not labelled(values).any() or not varies(values[labelled(values)]):
            what = "two different numbers" if labels.regression else "two classes"
            raise InputError(
                f"evaluate expected labels of at least {what} in {split}; got {int(labelled(values).sum())} "
                f"labelled of {len(values)} rows, without a difference. Evaluate without labels, or split otherwise."
            )
    test_rows = draw_rows(labels.test, _share(labels.test, protocol.max_test_rows), seed=protocol.seed)
    groups = None if labels.test_groups is None else labels.test_groups[test_rows]
    return _Task(
        protocol=protocol,
        metrics=protocol.metrics
        or default_metrics(labels.n_classes, multi_label=labels.multi_label, regression=labels.regression),
        subset=[list(labels.classes).index(name) for name in protocol.classes],
        classes=labels.classes,
        train=_keep(labels.train, _share(labels.train, protocol.max_train_rows), 0, protocol),
        train_groups=labels.train_groups,
        validation=labels.validation,
        test=labels.test[test_rows],
        test_rows=test_rows,
        test_groups=groups if groups is not None and len(np.unique(groups)) > 1 else None,
    )


def _share(labels: np.ndarray, limit: int) -> float:
    return min(1.0, limit / max(int(labelled(labels).sum()), 1))


def _keep(labels: np.ndarray, fraction: float, draw: int, protocol: EvaluationProtocol) -> np.ndarray:
    """The labels of a draw; all others are -1, or NaN."""
    rows = draw_rows(labels, fraction, draw=draw, seed=protocol.seed, min_per_class=protocol.min_per_class)
    kept = np.full_like(labels, np.nan if is_real(labels) else -1)
    kept[rows] = labels[rows]
    return kept


def _cell(
    task: _Task,
    name: str,
    parts: Features,
    probe: str,
    fraction: float,
    notes: dict[str, None],
    classifier: Classifier | None,
    by_class: list[ClassResult],
) -> Iterator[Result]:
    """One set of features, one probe, one fraction: a row a metric; and what is to be said of single classes."""
    start = time.perf_counter()
    draws = range(1 if fraction == 1 else task.protocol.draws)
    given = [_keep(task.train, fraction, draw, task.protocol) for draw in draws]
    all_scores = [_scores(task, name, parts, probe, fraction, draw, given[draw], notes, classifier) for draw in draws]
    seconds = time.perf_counter() - start
    n_labels = round(float(np.mean([labelled(labels).sum() for labels in given])))
    ones = np.ones(len(task.test))
    if fraction == 1 and task.test.ndim == 2:
        by_class += class_results(
            name, probe, task.metrics, task.test, all_scores[0], task.classes, partial(_resamplings, task)
        )
    for metric in task.metrics:
        functions = [metric_of_weights(metric, task.test, scores, subset=task.subset) for scores in all_scores]
        at_ones = [function(ones) for function in functions]
        if fraction == 1:
            values = [functions[0](weights) for weights in _resamplings(task)]
            unit = "rows" if task.test_groups is None else f"{len(np.unique(task.test_groups))} groups"
            spread_of = f"95 % interval, {len(values)} bootstrap resamplings of the {unit} of test"
        else:
            values, spread_of = at_ones, f"standard deviation over {len(at_ones)} draws of labels"
        yield Result(
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


def _resamplings(task: _Task) -> Iterator[np.ndarray]:
    return resamplings(len(task.test), task.test_groups, count=task.protocol.bootstrap, seed=task.protocol.seed)


def _scores(
    task: _Task,
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
        validation = (parts.validation, _keep(task.validation, fraction, draw, protocol))
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
