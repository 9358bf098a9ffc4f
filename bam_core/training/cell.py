"""One cell of a comparison in a process of its own, so that its peak memory is its own: `python -m` this module.

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
from bam_core.errors import BAMError, DataError
from bam_core.evaluation import CellRecord, Cost, Results
from bam_core.evaluation.cells import END_OF_TRAINING
from bam_core.training.assess import RAW, UNTRAINED, Function, embed_splits, judge
from bam_core.training.baselines import judge_baseline
from bam_core.training.build import Parts, build
from bam_core.training.checkpoints import newest_checkpoint
from bam_core.training.recipe import Recipe, check_recipe
from bam_core.training.run import PACKAGES, load_encoder, pretrain


@dataclass(frozen=True)
class Cell:
    """What one cell is to do.

    Attributes:
        label: row of the table; `RAW`, `UNTRAINED` and baselines are judged without training.
        seed: of training; None for what has none.
        recipe: with this cell's objective and seed.
        terms: see `CellRecord`, like the next.
        objective: name and all options.
        command: that started the comparison.
        baseline: whether the label names one of the modality's baselines.
    """

    label: str
    seed: int | None
    recipe: Recipe
    terms: dict[str, Any]
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
        return json.dumps({**vars(self), "recipe": self.recipe.model_dump(mode="json")})

    @classmethod
    def from_json(cls, text: str) -> "Cell":
        """The inverse of `to_json`."""
        content = json.loads(text)
        return cls(**{**content, "recipe": check_recipe(content["recipe"])})


def run_cell(cell: Cell, folder: Path) -> CellRecord:
    """Train if there is something to train, and judge.

    Args:
        cell: what to do.
        folder: for the run.

    Returns:
        What came out. Seconds and memory are those of training, from the prepared data to the saved encoder; memory is
        the growth of this process's resident set meanwhile.

    Raises:
        BAMError: as building, training and judging do; data without labels for train and test.
    """
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    parts = build(cell.recipe)
    steps, cost, network = 0, None, _as_it_is(cell, parts)
    if network is None and not cell.baseline:
        parts.objective(cell.recipe, 1)  # imports and caches before the clock starts
        before, clock, processor = reset_peak(), time.perf_counter(), time.process_time()
        pretrain(cell.recipe, folder)
        seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
        cost = Cost(round(seconds, 2), round(processor_seconds, 2), round(peak_resident() - before, 1))
        checkpoint = newest_checkpoint(folder / "checkpoints")
        steps = checkpoint.step if checkpoint is not None else 0
        network = load_encoder(folder, trusted=True)  # just made
    peak = peak_resident()
    results: Results | None
    if network is None:
        results = judge_baseline(cell.label, parts.modality, parts.data, cell.recipe.evaluate)
    else:
        results = judge({cell.label: embed_splits(network, parts, cell.label)}, parts.data, cell.recipe)
    if results is None:
        raise DataError("a comparison expected labels for train and for a test split; these data have none.")
    if cost is not None:
        results = replace(results, costs={cell.label: cost})
    return CellRecord(
        label=cell.label,
        seed=cell.seed,
        terms=cell.terms,
        objective=cell.objective,
        results=results,
        steps=steps,
        peak_mebibytes=round(peak, 1),
        set_aside=len(parts.data.set_aside),
        repairs=dict(parts.data.repairs),
        started=started,
        command=cell.command,
        machine=describe_machine(*(p for p in PACKAGES if p != "torch"), "lightly"),
        metrics=_last_metrics(folder / "metrics.csv"),
    )


def _last_metrics(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    last = pd.read_csv(path).iloc[-1]
    return {name: round(float(last[name]), 5) for name in END_OF_TRAINING if name in last}


def _as_it_is(cell: Cell, parts: Parts) -> nn.Module | None:
    """What is judged without training."""
    if cell.label == RAW:
        return Function(parts.modality.raw_features)
    return parts.encoder if cell.label == UNTRAINED else None


def main() -> int:
    """Run the cell on standard input; arguments: folder of the run, file of the result."""
    folder, output = map(Path, sys.argv[1:])
    try:
        run_cell(Cell.from_json(sys.stdin.read()), folder).save(output)
    except BAMError as error:
        print(f"bam compare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
