"""One trial of a comparison in a process of its own, so that its peak memory is its own: `python -m` this module.

The process reads what to do from standard input, and shows its progress like any run.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from bam_core.benchmarks.machine import describe_machine, peak_resident, reset_peak
from bam_core.comparison.trial_results import END_OF_TRAINING, TrialResult
from bam_core.config.build import Parts, build
from bam_core.config.recipe import Resolved, check_recipe
from bam_core.errors import BAMError, DataError
from bam_core.probes.result_table import Cost
from bam_core.probes.results import Results
from bam_core.runs.baselines import judge_baseline
from bam_core.runs.environment import PACKAGES
from bam_core.runs.evaluate_run import RAW, UNTRAINED, Function, embed_splits
from bam_core.runs.judge import judge
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import load_encoder
from bam_core.training.checkpoints import newest_checkpoint


@dataclass(frozen=True)
class Trial:
    """What one trial is to do.

    Attributes:
        label: row of the table; `RAW`, `UNTRAINED` and baselines are evaluated without training.
        seed: of training; None for what has none.
        recipe: with this trial's objective and seed.
        controls: see `TrialResult`, like the next.
        objective: name and all options.
        command: that started the comparison.
        baseline: whether the label names one of the modality's baselines.
    """

    label: str
    seed: int | None
    recipe: Resolved
    controls: dict[str, Any]
    objective: dict[str, Any]
    command: str
    baseline: bool = False

    @property
    def name(self) -> str:
        """For files."""
        kept = "".join(c if c.isalnum() or c in "._=-" else "_" for c in self.label)
        return kept if self.seed is None else f"{kept}-seed{self.seed}"

    def to_json(self) -> str:
        """Everything, for the process that runs it."""
        return json.dumps({**vars(self), "recipe": self.recipe.recipe.model_dump(mode="json")})

    @classmethod
    def from_json(cls, text: str) -> "Trial":
        """The inverse of `to_json`."""
        content = json.loads(text)
        return cls(**{**content, "recipe": check_recipe(content["recipe"])})


def run_trial(trial: Trial, folder: Path) -> TrialResult:
    """Train if there is something to train, and judge.

    Args:
        trial: what to do.
        folder: for the run.

    Returns:
        What came out. Seconds and memory are those of training, from the prepared data to the saved encoder; memory is
        the growth of this process's resident set meanwhile.

    Raises:
        BAMError: as building, training and evaluating do; data without labels for train and test.
    """
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    parts = build(trial.recipe)
    steps, cost, network = 0, None, _as_it_is(trial, parts)
    if network is None and not trial.baseline:
        parts.objective(1)  # imports and caches before the clock starts
        before, clock, processor = reset_peak(), time.perf_counter(), time.process_time()
        pretrain(trial.recipe, folder)
        seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
        cost = Cost(round(seconds, 2), round(processor_seconds, 2), round(peak_resident() - before, 1))
        checkpoint = newest_checkpoint(folder / "checkpoints")
        steps = checkpoint.step if checkpoint is not None else 0
        network = load_encoder(folder, trusted=True)  # just made
    peak = peak_resident()
    results: Results | None
    if network is None:
        results = judge_baseline(trial.label, parts.modality, parts.data, trial.recipe.evaluate)
    else:
        results = judge({trial.label: embed_splits(network, parts, trial.label)}, parts.data, trial.recipe.evaluate)
    if results is None:
        raise DataError("a comparison expected labels for train and for a test split; these data have none.")
    if cost is not None:
        results = replace(results, costs={trial.label: cost})
    return TrialResult(
        label=trial.label,
        seed=trial.seed,
        controls=trial.controls,
        objective=trial.objective,
        results=results,
        steps=steps,
        peak_mebibytes=round(peak, 1),
        set_aside=len(parts.data.set_aside),
        repairs=dict(parts.data.repairs),
        started=started,
        command=trial.command,
        machine=describe_machine(*(p for p in PACKAGES if p != "torch"), "lightly"),
        metrics=_last_metrics(folder / "metrics.csv"),
    )


def _last_metrics(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    last = pd.read_csv(path).iloc[-1]
    return {name: round(float(last[name]), 5) for name in END_OF_TRAINING if name in last}


def _as_it_is(trial: Trial, parts: Parts) -> nn.Module | None:
    """What is evaluated without training."""
    if trial.label == RAW:
        return Function(parts.modality.raw_features)
    return parts.encoder if trial.label == UNTRAINED else None


def main() -> int:
    """Run the trial on standard input; arguments: folder of the run, file of the result."""
    folder, output = map(Path, sys.argv[1:])
    try:
        run_trial(Trial.from_json(sys.stdin.read()), folder).save(output)
    except BAMError as error:
        print(f"bam compare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
