"""Trainings and what stands beside them as one table: on the test split, or over the folds of a cross-validation."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.errors import InputError
from bam_core.finetuning.data import labels_of
from bam_core.finetuning.settings import FinetuneSettings
from bam_core.finetuning.task import Task
from bam_core.finetuning.train import Fitted
from bam_core.finetuning.trials import OURS, SCRATCH, Bench, Outcome, Trial, plan, run_trials
from bam_core.finetuning.words import COLUMN, LINEAR
from bam_core.probes.cross_validation import over_folds
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features
from bam_core.probes.judge import judge_scores
from bam_core.probes.metrics import figure, metric_of_weights
from bam_core.probes.results import Results
from bam_core.probes.task import Task as Shared
from bam_core.probes.task import make_task
from bam_core.reports.predictions import Predictions
from bam_core.runs.baselines import choose_baselines, judge_baseline
from bam_core.runs.cross_validate import all_rows, check_labels_unseen, data_of_folds
from bam_core.runs.evaluate_run import RAW, Function
from bam_core.runs.features import embed
from bam_core.runs.pretrained import PretrainedEncoder


class Judged(NamedTuple):
    """A table, and what was said of rows that were not learnt from."""

    results: Results
    predictions: Predictions


def bench_of(
    recipe: Resolved, encoder: PretrainedEncoder, data: PreparedData, settings: FinetuneSettings, folder: Path
) -> Bench:
    """What all trainings on some data share.

    Args:
        recipe: of the run.
        encoder: of the run.
        data: labelled, with a test split.
        settings: how to train.
        folder: for the files of the trainings.

    Raises:
        BAMError: no labels in train or test.
    """
    protocol = settings.protocol(recipe.evaluate)
    labels = labels_of(data)
    shared, task = make_task(labels, protocol), Task.of_labels(labels.train, labels.classes)
    return Bench(recipe, data, encoder.encoder, labels, shared, protocol, task, settings, folder)


def judged_trials(
    bench: Bench, encoder: PretrainedEncoder, keep: Callable[[Fitted], None], say: Callable[[str], None]
) -> Judged:
    """Run all trainings and judge them on the test split.

    Args:
        bench: of the data.
        encoder: of the run.
        keep: called with the model itself.
        say: called with a line for each training.
    """
    trials = plan(bench.settings)
    outcomes: dict[Trial, Outcome] = {}
    for number, (trial, outcome) in enumerate(run_trials(bench, trials, keep), start=1):
        outcomes[trial] = outcome
        say(f"[{number}/{len(trials)}] {_line(trial, outcome, bench.shared)}")
    predictions = Predictions(bench.shared.test, outcomes[trials[0]].scores, bench.task.classes)
    return Judged(_table(bench, encoder, outcomes, say), predictions)


def judged_folds(bench: Bench, encoder: PretrainedEncoder, say: Callable[[str], None]) -> Judged:
    """Run all trainings for every fold; predictions are those of the folds that held the rows out.

    Args:
        bench: of the data; its splits are put together and divided anew.
        encoder: of the run.
        say: called with a line for each training.

    Raises:
        InputError: too few groups or rows, a fold with one class only, or an encoder that learnt from labels.
    """
    check_labels_unseen(bench.recipe)
    folds = data_of_folds(all_rows(bench.data), bench.protocol)
    tables, truths, scores = [], [], []
    for number, (fold, data) in enumerate(folds, start=1):
        say(f"Fold {number} of {len(folds)}: {fold.info.name}")
        try:
            one = bench_of(bench.recipe, encoder, data, bench.settings, bench.folder / f"fold-{number}")
        except InputError as error:
            raise InputError(f"fold {fold.info.name!r} cannot be judged: {error}") from error
        found = judged_trials(one, encoder, lambda fitted: None, say)
        tables.append(found.results)
        truths.append(found.predictions.labels)
        scores.append(found.predictions.scores)
    note = (
        "One pretrained encoder for all folds: where these are the data of its run, it has seen rows that are held "
        "out, without their labels."
    )
    results = over_folds(tables, [fold.info for fold, _ in folds], notes=[note])
    return Judged(results, Predictions(np.concatenate(truths), np.concatenate(scores), bench.task.classes))


def on_all_rows(bench: Bench) -> Fitted:
    """The model itself, from all labelled rows of all splits; some of them decide when to stop, see `hold_rows_out`."""
    whole = all_rows(bench.data)
    known = whole.labels("train")
    train = bench.labels.train if known is None else known
    labels = replace(bench.labels, train=train, validation=None, train_groups=whole.groups("train"))
    shared = replace(bench.shared, train=labels.train, train_groups=labels.train_groups, validation=None)
    everything = replace(bench, data=whole, labels=labels, shared=shared, folder=bench.folder / "all")
    return everything.train(Trial(OURS, bench.settings.fraction, 0))


def _line(trial: Trial, outcome: Outcome, shared: Shared) -> str:
    metric = shared.metrics[0]
    value = metric_of_weights(metric, shared.test, outcome.scores, subset=shared.subset)(np.ones(len(shared.test)))
    return (
        f"{trial.kind}, {outcome.n_labels:,} labels ({trial.fraction * 100:g} %), seed {trial.draw}: "
        f"{metric} {figure(value, metric)}, {outcome.steps:,} steps, {outcome.seconds:.0f} s"
    )


def _table(
    bench: Bench, encoder: PretrainedEncoder, outcomes: Mapping[Trial, Outcome], say: Callable[[str], None]
) -> Results:
    """All that is to be compared, in one table."""
    data, protocol = bench.data, bench.protocol
    modality = bench.recipe.modality.with_facts(data.facts)
    networks = {RAW: Function(modality.raw_features), LINEAR: encoder}
    features = {
        name: Features(
            **{split: embed(network, bench.dataset(split), what=f"{name}, {split}") for split in data.splits}
        )
        for name, network in networks.items()
    }
    probes = evaluate(features, bench.labels, protocol, data_fingerprint=data.fingerprint)
    choice = choose_baselines(modality, data, protocol)
    baselines = []
    for name in choice.chosen:
        say(f"baseline {name}")
        judged = judge_baseline(name, modality, data, protocol)
        baselines += [] if judged is None else [judged]
    rows, by_class = [], []
    for kind in (SCRATCH, OURS):
        for fraction in bench.settings.curve:
            of_cell = [outcome for trial, outcome in outcomes.items() if trial[:2] == (kind, fraction)]
            if of_cell:
                made = judge_scores(
                    bench.shared, kind, COLUMN, fraction, [o.scores for o in of_cell],
                    n_labels=round(np.mean([o.n_labels for o in of_cell])), seconds=sum(o.seconds for o in of_cell),
                )  # fmt: skip
                rows += made.rows
                by_class += made.by_class
    trained = replace(probes, rows=tuple(rows), by_class=tuple(by_class), figures={}, notes=())
    joined = probes.restricted([RAW]).joined(
        [*baselines, trained.restricted([SCRATCH]), probes.restricted([LINEAR]), trained.restricted([OURS])]
    )
    notes = (*joined.notes, *choice.notes, *_notes(outcomes, bench))
    return replace(
        joined,
        rows=tuple(replace(row, probe=COLUMN) for row in joined.rows),
        by_class=tuple(replace(row, probe=COLUMN) for row in joined.by_class),
        figures={},
        notes=tuple(dict.fromkeys(notes)),
        baselines=choice.chosen,
    )


def _notes(outcomes: Mapping[Trial, Outcome], bench: Bench) -> list[str]:
    """What decided when to stop, for each part of the labels."""
    said = []
    for fraction in bench.settings.curve:
        kinds = {outcome.stopped_on for trial, outcome in outcomes.items() if trial.fraction == fraction}
        share = f"{fraction * 100:g} % of the labels"
        if kinds == {"nothing"}:
            said.append(f"{share}: too few rows to hold any out; training went to its end.")
        elif "rows" in kinds and bench.labels.train_groups is not None:
            said.append(f"{share}: when to stop was decided on held-out rows, not on held-out groups.")
    return said
