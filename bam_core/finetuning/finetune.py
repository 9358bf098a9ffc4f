"""Fine-tune the encoder of a run, and evaluate it beside what one would have without."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.finetuning.data import labelled_data, labels_of
from bam_core.finetuning.layers import learning
from bam_core.finetuning.pretrained import PretrainedClassifier, PretrainedRegressor
from bam_core.finetuning.settings import FinetuneSettings, checked_settings
from bam_core.finetuning.task import Task
from bam_core.finetuning.train import Fitted
from bam_core.finetuning.trials import OURS, SCRATCH, Bench, Outcome, Trial, plan, run_trials
from bam_core.finetuning.words import COLUMN, LINEAR, verdict
from bam_core.outputs import make_folder, write_text, written_folder
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features
from bam_core.probes.judge import judge_scores
from bam_core.probes.metrics import figure, metric_of_weights
from bam_core.probes.results import Results
from bam_core.probes.tables import html_table
from bam_core.probes.task import Task as Shared
from bam_core.probes.task import make_task
from bam_core.reports.label_curve import save_label_curve
from bam_core.reports.predictions import Predictions
from bam_core.reports.report import ReportContent, write_report
from bam_core.runs.baselines import choose_baselines, judge_baseline
from bam_core.runs.environment import environment
from bam_core.runs.evaluate_run import RAW, Function
from bam_core.runs.features import embed
from bam_core.runs.lock import only_here
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import check_data, load_encoder, load_run, weights_digest


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning left behind.

    Attributes:
        folder: with `model/`, `report.html`, `results.json`, `score_by_labels.png`, and a file for each training.
        results: the table: raw features, baselines, the network from scratch, the linear probe, fine-tuned.
    """

    folder: Path
    results: Results

    def model(self, *, trusted: bool = False) -> PretrainedClassifier | PretrainedRegressor:
        """The fine-tuned model, for raw data of the domain."""
        return load_model(self.folder / "model", trusted=trusted)

    def report(self) -> Path:
        """The page with the curve, the table, and what is confused with what."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        words = "<br>".join(map(escape, self.verdict().splitlines()))
        return f"{html_table(self.results)}\n<p>{words}</p>"

    def verdict(self) -> str:
        """A sentence for each number of labels: fine-tuned against the best that needs no pretraining."""
        return verdict(self.results)


def load_model(folder: Path, *, trusted: bool = False) -> PretrainedClassifier | PretrainedRegressor:
    """The classifier or regressor in a folder, whichever it is.

    Raises:
        DataError: there is none.
    """
    config = folder / "config.json"
    known = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    kind = PretrainedRegressor if known.get("task", {}).get("kind") == "number" else PretrainedClassifier
    found: PretrainedClassifier | PretrainedRegressor = kind.from_pretrained(folder, trusted=trusted)
    return found


def finetune(
    folder: Path,
    settings: Mapping[str, Any] | FinetuneSettings,
    data_options: Mapping[str, Any] | None = None,
    *,
    output: Path | None = None,
    teacher: bool = False,
    trusted: bool = False,
    say: Callable[[str], None] = print,
) -> Finetuned:
    """Fine-tune, train from scratch, fit the linear probe and the baselines, and write model, table and page.

    Trainings that are finished in the folder are not run again, and one that was interrupted goes on.

    Args:
        folder: of the run.
        settings: see `FinetuneSettings`.
        data_options: of the reader, see `labelled_data`.
        output: folder to write into. Default: finetune-HASH in the run folder, HASH being that of settings and data.
        teacher: start from the teacher's encoder.
        trusted: run the Python files that the run names, also if somebody else made it.
        say: called with what was read, and a line for each training.

    Raises:
        BAMError: no encoder, wrong settings or options, or no labels.
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    checked = settings if isinstance(settings, FinetuneSettings) else checked_settings(settings)
    recipe = load_run(folder, trusted=trusted)
    encoder = load_encoder(folder, teacher=teacher, trusted=trusted)
    learning(copy.deepcopy(encoder.encoder), checked.freeze)  # a layer that does not exist is said at once
    data = labelled_data(recipe, encoder, data_options or {}, seed=checked.seed)
    if not data_options:
        check_data(folder, data)
    say(data.account())
    identity = _identity(checked, data, weights_digest(folder, teacher=teacher))
    target = folder / f"finetune-{identity}" if output is None else output
    with only_here(make_folder(target)):
        return _finetune(recipe, encoder, data, checked, target, identity, say)


def _finetune(
    recipe: Resolved,
    encoder: PretrainedEncoder,
    data: PreparedData,
    settings: FinetuneSettings,
    target: Path,
    identity: str,
    say: Callable[[str], None],
) -> Finetuned:
    protocol = settings.protocol(recipe.evaluate)
    labels = labels_of(data)
    shared = make_task(labels, protocol)
    task = Task.of_labels(labels.train, labels.classes)
    bench = Bench(
        recipe, data, encoder.encoder, labels, shared, protocol, task, settings, target / f"trials-{identity}"
    )

    def keep(fitted: Fitted) -> None:
        kind = PretrainedRegressor if task.kind == "number" else PretrainedClassifier
        source = {**encoder.source, "finetuned": settings.model_dump(mode="json"), "labels": labels.hash()}
        made = kind.of_predictor(
            fitted.predictor,
            task,
            modality=encoder.config["modality"],
            encoder=encoder.config["encoder"],
            facts={**encoder.facts, "classes": list(task.classes)} if task.classes else dict(encoder.facts),
            source={"recipe": recipe.recipe.model_dump(mode="json"), **source},
        )
        with written_folder(target / "model") as partial:
            made.save_pretrained(partial)

    trials = plan(settings)
    outcomes: dict[Trial, Outcome] = {}
    for number, (trial, outcome) in enumerate(run_trials(bench, trials, keep), start=1):
        outcomes[trial] = outcome
        say(f"[{number}/{len(trials)}] {_line(trial, outcome, shared)}")
    results = _table(bench, encoder, outcomes, say)
    results.save(target / "results.json")
    save_label_curve(results, target / "score_by_labels.png", ours=OURS)
    write_text(target / "settings.json", json.dumps(settings.model_dump(mode="json"), indent=1))
    _write_page(target, bench, results, outcomes[trials[0]])
    return Finetuned(target, results)


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


def _write_page(target: Path, bench: Bench, results: Results, model: Outcome) -> None:
    data = bench.data
    about = environment(bench.recipe.recipe, data)
    write_report(
        target / "report.html",
        ReportContent(
            title=f"Fine-tuned: {target.parent.name}",
            verdict=verdict(results),
            results=results,
            ours=OURS,
            predictions=Predictions(bench.shared.test, model.scores, bench.task.classes),
            set_aside=list(data.set_aside),
            repairs=data.repairs,
            notes=data.notes,
            recipe=json.dumps(bench.settings.model_dump(mode="json"), indent=1),
            versions=about["versions"],
            seeds={"fine-tuning": bench.settings.seed},
            command=about["command"],
        ),
    )


def _identity(settings: FinetuneSettings, data: PreparedData, weights: bytes) -> str:
    """Eight digits of settings, rows, labels and encoder: trainings of others are not taken for these."""
    text = json.dumps([settings.model_dump(mode="json"), data.fingerprint, data.rows_hash()])
    return hashlib.sha256(text.encode() + weights).hexdigest()[:8]
