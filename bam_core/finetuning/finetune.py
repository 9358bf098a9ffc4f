"""Fine-tune the encoder of a run, and evaluate it beside what one would have without."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.finetuning.data import labelled_data
from bam_core.finetuning.judged import bench_of, judged_folds, judged_trials, on_all_rows
from bam_core.finetuning.layers import learning
from bam_core.finetuning.pretrained import PretrainedClassifier, PretrainedRegressor
from bam_core.finetuning.settings import FinetuneSettings, checked_settings
from bam_core.finetuning.train import Fitted
from bam_core.finetuning.trials import OURS, Bench
from bam_core.finetuning.words import verdict
from bam_core.outputs import make_folder, write_text, written_folder
from bam_core.probes.results import Results
from bam_core.probes.tables import html_table
from bam_core.reports.label_curve import save_label_curve
from bam_core.reports.predictions import Predictions
from bam_core.reports.report import ReportContent, write_report
from bam_core.runs.environment import environment
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
    bench = bench_of(recipe, encoder, data, settings, target / f"trials-{identity}")
    task = bench.task

    def keep(fitted: Fitted) -> None:
        kind = PretrainedRegressor if task.kind == "number" else PretrainedClassifier
        source = {**encoder.source, "finetuned": settings.model_dump(mode="json"), "labels": bench.labels.hash()}
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

    if settings.cross_validation is None:
        judged = judged_trials(bench, encoder, keep, say)
    else:
        judged = judged_folds(bench, encoder, say)
        if not (target / "model" / "config.json").is_file():
            say("The model that is kept learns from all labelled rows.")
            keep(on_all_rows(bench))
    results = judged.results
    results.save(target / "results.json")
    load_model(target / "model", trusted=True).add_evaluation(target / "model", results, OURS)
    save_label_curve(results, target / "score_by_labels.png", ours=OURS)
    write_text(target / "settings.json", json.dumps(settings.model_dump(mode="json"), indent=1))
    _write_page(target, bench, results, judged.predictions)
    return Finetuned(target, results)


def _write_page(target: Path, bench: Bench, results: Results, predictions: Predictions) -> None:
    data = bench.data
    about = environment(bench.recipe.recipe, data)
    write_report(
        target / "report.html",
        ReportContent(
            title=f"Fine-tuned: {target.parent.name}",
            verdict=verdict(results),
            results=results,
            ours=OURS,
            predictions=predictions,
            cross_validation=results if results.folds else None,
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
