"""The trainings behind a curve: fine-tuned and from scratch, for every part of the labels and seed; one file each."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

import numpy as np
from torch import nn

from bam_core.config.build import assemble
from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData, SplitDataset
from bam_core.finetuning.settings import FinetuneSettings
from bam_core.finetuning.task import Task
from bam_core.finetuning.train import Fitted, Rows, train_predictor
from bam_core.outputs import make_folder, written
from bam_core.probes.inputs import SplitLabels
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.task import Task as Shared
from bam_core.probes.task import keep_labels
from bam_core.runs.features import embed

OURS, SCRATCH = "fine-tuned", "from scratch"


class Trial(NamedTuple):
    """One training: which kind, which part of the labels, which draw of them and seed."""

    kind: str
    fraction: float
    draw: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.kind.replace(' ', '-')}-{self.fraction:g}-{self.draw}"


@dataclass(frozen=True)
class Outcome:
    """What a training said of test.

    Attributes:
        scores: (m, c) of the rows of test in use.
        n_labels: labelled rows that it saw.
        stopped_on: what decided when to stop, see `Fitted`.
        steps: optimiser steps of the weights that were taken.
        seconds: that it took.
    """

    scores: np.ndarray
    n_labels: int
    stopped_on: str
    steps: int
    seconds: float

    def save(self, path: Path) -> None:
        """Write it as arrays."""
        with written(path) as partial, partial.open("wb") as file:
            np.savez(
                file, scores=self.scores, n_labels=self.n_labels, stopped_on=self.stopped_on, steps=self.steps,
                seconds=self.seconds,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> "Outcome":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(
                found["scores"], int(found["n_labels"]), str(found["stopped_on"]), int(found["steps"]),
                float(found["seconds"]),
            )  # fmt: skip


def plan(settings: FinetuneSettings) -> list[Trial]:
    """All trainings; first the model itself, then few labels before many.

    Example:
        >>> [trial.name for trial in plan(FinetuneSettings(fractions=(1.0,), seeds=2, scratch=False))]
        ['fine-tuned-1-0', 'fine-tuned-1-1']
    """
    kinds = [OURS, SCRATCH] if settings.scratch else [OURS]
    trials = [
        Trial(kind, fraction, draw)
        for fraction in reversed(settings.curve)
        for draw in range(settings.seeds if fraction == 1 else max(2, settings.seeds))
        for kind in kinds
    ]
    first = Trial(OURS, settings.fraction, 0)
    return [first, *(trial for trial in trials if trial != first)]


@dataclass(frozen=True)
class Bench:
    """What all trainings share.

    Attributes:
        recipe: of the run.
        data: labelled, with a test split.
        encoder: pretrained.
        labels: of the splits.
        shared: labels, draws and metrics as the probes beside them have them.
        protocol: of these.
        task: kind of labels.
        settings: how to train.
        folder: for the files.
    """

    recipe: Resolved
    data: PreparedData
    encoder: nn.Module
    labels: SplitLabels
    shared: Shared
    protocol: EvaluationProtocol
    task: Task
    settings: FinetuneSettings
    folder: Path

    def dataset(self, split: str) -> SplitDataset:
        """The rows of a split, in batches."""
        return SplitDataset(self.data.splits[split], self.recipe.modality.collate, self.data.facts)

    def train(self, trial: Trial) -> Fitted:
        """Train; one that was interrupted goes on."""
        seed = self.settings.seed + trial.draw
        of_split = {"train": self.shared.train, "validation": self.shared.validation}
        rows = {
            split: Rows(
                self.dataset(split),
                keep_labels(known, trial.fraction, trial.draw, self.protocol),
                self.labels.train_groups if split == "train" else None,
            )
            for split, known in of_split.items()
            if known is not None
        }
        pretrained = trial.kind == OURS
        if not pretrained:
            fresh = assemble(self.recipe.changed(train={"seed": seed}), self.data).encoder
        checkpoints = self.folder / f"{trial.name}.checkpoints"
        fitted = train_predictor(
            self.encoder if pretrained else fresh,
            self.task,
            rows["train"],
            self.settings,
            self.recipe.train,
            pretrained=pretrained,
            metric=self.shared.metrics[0],
            seed=seed,
            validation=rows.get("validation"),
            folder=checkpoints,
        )
        rmtree(checkpoints, ignore_errors=True)
        return fitted

    def run(self, trial: Trial, keep: Callable[[Fitted], None] | None) -> Outcome:
        """The outcome of a training, from its file if it was made before.

        Args:
            trial: which.
            keep: called with what was trained, before the file is written.
        """
        path = self.folder / f"{trial.name}.npz"
        if path.is_file():
            return Outcome.load(path)
        make_folder(self.folder)
        start = time.perf_counter()
        fitted = self.train(trial)
        test = self.dataset("test")
        test.rows = test.rows.select(self.shared.test_rows)
        scores = self.task.scores(embed(fitted.predictor, test, what="predicting test"))
        if keep is not None:
            keep(fitted)
        outcome = Outcome(scores, fitted.n_labels, fitted.stopped_on, fitted.steps, time.perf_counter() - start)
        outcome.save(path)
        return outcome


def run_trials(
    bench: Bench, trials: Sequence[Trial], keep: Callable[[Fitted], None]
) -> Iterator[tuple[Trial, Outcome]]:
    """Run the trainings one after the other; the first is kept."""
    for place, trial in enumerate(trials):
        yield trial, bench.run(trial, keep if place == 0 else None)
