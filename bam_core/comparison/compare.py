"""Objectives on equal terms: every objective with every seed on one recipe, a small result file each, one table.

What is held equal are the `controls` of a comparison: prepared data, views, encoder, training and protocol. They are
hashed into every result file, so tables of other days and machines can be compared.
"""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bam_core.comparison.trial import Trial
from bam_core.comparison.trial_results import (
    LEFT_OUT,
    TrialResult,
    differences,
    first_objective,
    load_table,
    load_trials,
    trials_markdown,
)
from bam_core.config.build import read_data
from bam_core.config.recipe import Resolved, load_recipe
from bam_core.config.registry import keyword_parameters, load_objective
from bam_core.config.schema import TrainSettings, may_change
from bam_core.data import PreparedData
from bam_core.errors import DataError, RecipeError
from bam_core.outputs import make_folder, write_text
from bam_core.probes.results import Results
from bam_core.reports.report import ReportContent, write_report
from bam_core.runs.baselines import choose_baselines
from bam_core.runs.evaluate_run import RAW, UNTRAINED
from bam_core.runs.lock import only_here


def compare(
    path: Path,
    objectives: Sequence[str],
    folder: Path,
    *,
    n_seeds: int = 3,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = print,
    trusted: bool = False,
) -> Results:
    """Run the trials that are not finished yet, each in a process of its own, and write the table.

    Args:
        path: of the recipe. Its objective's options are those of the objective of that name; the others of the list
            share only the `projector_...` ones.
        objectives: names, or names with options such as "bam:epsilon=0.05:temperature=0.2" or
            "bam:terms=[{name: koleo, weight: 0.1}]".
        folder: of the comparison: `results/` with a file a trial, `runs/`, `table.md` and `report.html`.
        n_seeds: training seeds, counted from the recipe's.
        overrides: of the recipe's values.
        say: called with what was read, guessed and left out of the data, and with a line before every trial.
        trusted: run the Python files that the recipe names, see `load_recipe`.

    Returns:
        The table: raw features, baselines and the untrained encoder first, then the objectives.

    Raises:
        RecipeError: mistakes in recipe or objectives; a folder of a comparison on other terms, or in which another
            process is at work.
        DataError: no labels for train and test; trials that failed, after all others were run.
    """
    return compare_on(load_recipe(path, overrides, trusted=trusted), objectives, folder, n_seeds=n_seeds, say=say)


def compare_on(
    recipe: Resolved,
    objectives: Sequence[str],
    folder: Path,
    *,
    n_seeds: int = 3,
    say: Callable[[str], None] = print,
) -> Results:
    """The same for a recipe that has been checked; see `compare`."""
    if recipe.train.devices != 1 or recipe.train.num_nodes != 1:
        raise RecipeError("a comparison expected trials on one device: train.devices=1, train.num_nodes=1.")
    data = read_data(recipe)  # prepared here, so that no trial pays for it
    if "test" not in data.splits or any(data.labels(split) is None for split in ("train", "test")):
        raise DataError("a comparison expected labels for train and for a test split; these data have none.")
    say(data.account())
    choice = choose_baselines(recipe.modality, data, recipe.evaluate)
    trials = plan(recipe, objectives, n_seeds, data, baselines=choice.chosen)
    with only_here(folder):
        return _run(trials, choice.notes, folder, say)


def _run(trials: Sequence[Trial], notes: Sequence[str], folder: Path, say: Callable[[str], None]) -> Results:
    """The trials that are not finished yet, and the table."""
    results = folder / "results"
    make_folder(results)
    done = {trial.name for trial in trials if _is_done(trial, results / f"{trial.name}.json")}
    _check_controls(load_trials(folder), trials[0].controls, folder)
    write_text(folder / LEFT_OUT, json.dumps(notes))
    failed = []
    for number, trial in enumerate(trials, start=1):
        if trial.name not in done:
            seed = "" if trial.seed is None else f", seed {trial.seed}"
            say(f"[{number}/{len(trials)}] {trial.label}{seed}")
            if not start_trial(trial, folder):
                failed.append(f"{trial.label}{seed}")
    table = write_table(folder, command=trials[0].command)
    if failed:
        raise DataError(
            f"{len(failed)} of {len(trials)} trials failed, see their messages above: {'; '.join(failed)}. The table "
            f"in "
            f"{folder} holds the others; the same command runs only what is missing."
        )
    return table


def plan(
    recipe: Resolved, objectives: Sequence[str], n_seeds: int, data: PreparedData, *, baselines: Sequence[str] = ()
) -> list[Trial]:
    """The trials of a comparison, seed by seed, so that one that is stopped has whole seeds.

    Raises:
        RecipeError: no objectives or seeds, or mistakes in an objective.
    """
    if not objectives or n_seeds < 1:
        raise RecipeError(f"a comparison expected objectives and at least one seed; got {list(objectives)}, {n_seeds}.")
    controls = controls_of(recipe, data)
    command = shlex.join(["bam", *sys.argv[1:]])
    sections = {label: objective_section(label, recipe) for label in dict.fromkeys(objectives)}
    trials = [Trial(RAW, None, recipe, controls, {}, command)]
    trials += [Trial(name, None, recipe, controls, {}, command, baseline=True) for name in baselines]
    for seed in range(recipe.train.seed, recipe.train.seed + n_seeds):
        trials.append(Trial(UNTRAINED, seed, recipe.changed(train={"seed": seed}), controls, {}, command))
        for label, section in sections.items():
            chosen = recipe.changed(f"objective {label!r}", train={"seed": seed}, objective=section)
            trials.append(Trial(label, seed, chosen, controls, chosen.objective_with_defaults(), command))
    return trials


def _split(label: str) -> list[str]:
    """The parts between colons, but for colons in brackets, as in "bam:terms=[{name: koleo, weight: 0.1}]"."""
    parts, depth = [""], 0
    for letter in label:
        depth += (letter in "[{") - (letter in "]}")
        if letter == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def objective_section(label: str, recipe: Resolved) -> dict[str, Any]:
    """What "NAME:key=value:..." means as a recipe's section `objective`.

    Raises:
        RecipeError: no such objective, or a value that is not YAML.
    """
    parts = _split(label)
    options = [part for part in parts if "=" in part]
    name = ":".join(part for part in parts if "=" not in part)  # path/to/file.py:NAME has a colon of its own
    section = dict(recipe.recipe.objective)
    if name != section["name"]:
        known = {parameter.name for parameter in keyword_parameters(load_objective(name))}
        section = {k: v for k, v in section.items() if k.startswith("projector_") and k in known}
    for option in options:
        key, _, text = option.partition("=")
        try:
            section[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"objective {label!r}: the value of {key!r} is not valid YAML: {text!r}.") from error
    return {**section, "name": name}


def controls_of(recipe: Resolved, data: PreparedData) -> dict[str, Any]:
    """What all trials share, as plain values, defaults included; the data by their content, wherever they lie."""
    return {
        "modality": recipe.recipe.modality,
        "data": data.content_hash(),
        "views": recipe.views.with_defaults(),
        "encoder": recipe.encoder.with_defaults(),
        "train": recipe.train.model_dump(mode="json", exclude=may_change(TrainSettings) | {"seed"}),
        "evaluate": {**recipe.evaluate.model_dump(mode="json", exclude={"baselines"}), "hash": recipe.evaluate.hash()},
    }


def start_trial(trial: Trial, folder: Path) -> bool:
    """Run a trial in a new process, from its beginning; messages and bars go where ours go. Says if it went well."""
    run = folder / "runs" / trial.name
    shutil.rmtree(run, ignore_errors=True)  # of a trial that was stopped: it is to be timed as a whole
    command = [
        sys.executable,
        "-P",  # nothing of the current folder
        "-m",
        "bam_core.comparison.trial",
        str(run),
        str(folder / "results" / f"{trial.name}.json"),
    ]
    return subprocess.run(command, input=trial.to_json(), text=True, check=False).returncode == 0


def _is_done(trial: Trial, path: Path) -> bool:
    """Whether a trial has its result.

    Raises:
        RecipeError: the result is that of an objective with other options.
    """
    if not path.is_file():
        return False
    changed = differences(TrialResult.load(path).objective, trial.objective)
    if changed:
        raise RecipeError(
            f"{path} holds {trial.label!r} with other options: {'; '.join(changed)}. Delete it to run the trial again, "
            "or take another folder with --run."
        )
    return True


def _check_controls(results: Sequence[TrialResult], controls: Mapping[str, Any], folder: Path) -> None:
    for result in results:
        changed = differences(result.controls, controls)
        if changed:
            raise RecipeError(
                f"{folder} holds a comparison on other terms; changed: {'; '.join(changed)}. Take another folder with "
                "--run, or the recipe as it was."
            )


def write_table(folder: Path, *, command: str = "") -> Results:
    """Write `table.md` and `report.html` from the result files in a folder, and return the table."""
    trials, results = load_table(folder)
    write_text(folder / "table.md", trials_markdown(results, trials))
    first = trials[0]
    set_aside = max(trial.set_aside for trial in trials)
    write_report(
        folder / "report.html",
        ReportContent(
            title=folder.name,
            results=results,
            ours=first_objective(trials),
            set_aside=[(f"{set_aside} input(s)", "named in set_aside.csv of every run")] if set_aside else [],
            repairs=first.repairs or {},
            recipe=yaml.safe_dump({"terms": dict(first.controls), **_objectives(trials)}, sort_keys=False),
            versions=first.machine or {},
            seeds={
                "training": ", ".join(
                    str(seed) for seed in sorted({trial.seed for trial in trials if trial.seed is not None})
                )
            },
            command=command or first.command,
        ),
    )
    return results


def _objectives(trials: Sequence[TrialResult]) -> dict[str, Any]:
    return {"objectives": {trial.label: dict(trial.objective) for trial in trials if trial.objective}}
