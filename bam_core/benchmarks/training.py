"""Where the time of a training step goes: real steps of a recipe under Lightning, clocked from inside.

The hooks of Lightning and of the modules put marks in time; a part of the step is what lies between two marks. On a
GPU every mark waits for the device, which costs a little overlap.
"""

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from bam_core.benchmarks.machine import describe_machine, peak_resident, reset_peak
from bam_core.benchmarks.timing import Spread, measure, spread
from bam_core.config.build import build
from bam_core.config.recipe import Resolved
from bam_core.errors import InputError
from bam_core.training.batches import GlobalBatches, batch_loader
from bam_core.training.module import PretrainModule
from bam_core.training.trainer import quiet_lightning

PARTS = {
    "data": "reading and collating the batch",
    "views": "augmentations",
    "encoder": "forward and backward pass of the student's encoder",
    "objective": "projector, teacher and loss, forward and backward",
    "optimiser": "clipping, step, teacher's update",
    "rest": "Lightning and logging",
}


@dataclass(frozen=True)
class TrainingBenchmark:
    """Times of a recipe's training steps.

    Attributes:
        recipe: what was run.
        steps: how many were measured, after those that warm up.
        machine: what on.
        others: share of the machine that other processes took meanwhile.
        samples_per_second: of whole steps.
        seconds: of a whole step.
        parts: seconds of each of `PARTS` in a step.
        fractions: each part over its own step's time.
        peak_mib: most memory that was held above what was held before the first step, in MiB: on a GPU the device's,
            else the process's resident set.
    """

    recipe: dict[str, Any]
    steps: int
    machine: dict[str, str]
    others: float
    samples_per_second: Spread
    seconds: Spread
    parts: dict[str, Spread]
    fractions: dict[str, Spread]
    peak_mib: float

    def table(self) -> str:
        """Markdown: one row a part, and the machine below."""
        lines = ["| part of a step | ms, median (quartiles) | share of the step |", "|---|---|---|"]
        for name, seconds in self.parts.items():
            milliseconds = Spread(*(1000 * x for x in seconds))
            lines.append(f"| {name}: {PARTS[name]} | {milliseconds:.1f} | {self.fractions[name].median:.1%} |")
        lines.append(f"| whole step | {Spread(*(1000 * x for x in self.seconds)):.1f} | |")
        encoder, train = self.recipe["encoder"]["name"], self.recipe["train"]
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        about = (
            f"at most {self.peak_mib:.0f} MiB of memory; "
            f"{self.samples_per_second:.0f} samples/s; {encoder}, batches of {train['batch_size']}, "
            f"{train['precision']}, {self.steps} steps; other processes took {self.others:.0%} of the machine"
        )
        return "\n".join([*lines, "", f"{about}; {facts}."])

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)


def benchmark_training(recipe: Resolved, *, steps: int = 50, warmup: int = 5) -> TrainingBenchmark:
    """Train for some steps and time their parts.

    Args:
        recipe: what to run, on one device; its epochs do not matter.
        steps: steps to measure.
        warmup: steps before that.

    Returns:
        Times with their spread.

    Raises:
        InputError: no step to measure.
        BAMError: data that cannot be read.
    """
    if steps < 1:
        raise InputError(f"the benchmark expected at least one step to measure; got {steps}.")
    settings = recipe.train
    parts = build(recipe)
    batches = GlobalBatches(len(parts.data.splits["train"]), batch_size=settings.batch_size, seed=settings.seed)
    total_steps = steps + warmup
    objective = parts.objective(total_steps)
    clock = _Clock(objective)
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        module = PretrainModule(
            objective, settings, total_steps=total_steps, steps_per_epoch=len(batches), folder=Path(folder)
        )
        trainer = lightning.Trainer(
            accelerator=settings.accelerator,
            devices=1,
            precision=settings.precision,
            max_steps=total_steps,
            gradient_clip_val=settings.gradient_clip,
            log_every_n_steps=settings.log_every,
            logger=False,
            callbacks=[clock],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        machine = describe_machine("lightning")
        loader = batch_loader(parts.training_set(batches.draw_seed), batches, settings.num_workers)
        on_gpu = trainer.strategy.root_device.type == "cuda"
        before = reset_peak()
        timing = measure(lambda: trainer.fit(module, loader))
        peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else max(0.0, peak_resident() - before)
    measured = clock.steps[warmup:]
    whole = [sum(step.values()) for step in measured]
    return TrainingBenchmark(
        recipe=recipe.recipe.model_dump(mode="json"),
        steps=len(measured),
        machine=machine,
        others=timing.others,
        samples_per_second=spread([batches.batch_size / seconds for seconds in whole]),
        seconds=spread(whole),
        parts={name: spread([step[name] for step in measured]) for name in PARTS},
        fractions={name: spread([s[name] / t for s, t in zip(measured, whole, strict=True)]) for name in PARTS},
        peak_mib=peak,
    )


class _Clock(lightning.Callback):
    """Adds the time since the last mark to the part that it belongs to."""

    def __init__(self, objective: Any) -> None:
        self.steps: list[dict[str, float]] = []
        self._current = dict.fromkeys(PARTS, 0.0)
        self._device = torch.device("cpu")
        self._last = time.perf_counter()
        self._objective_is_back = False
        objective.register_forward_pre_hook(lambda *_: self._mark("rest"))
        objective.register_forward_hook(lambda *_: self._mark("objective"))
        self._first_view = True
        objective.encoder.register_forward_pre_hook(self._before_encoder)
        objective.encoder.register_forward_hook(self._after_encoder)

    def _mark(self, part: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self._current[part] += now - self._last
        self._last = now

    def _before_encoder(self, module: nn.Module, inputs: Any) -> None:
        again = self._objective_is_back  # a micro-batch is computed a second time
        self._mark("views" if self._first_view else "encoder" if again else "objective")
        self._first_view = False

    def _after_encoder(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._mark("encoder")
        if output.requires_grad:
            output.register_hook(self._gradient_arrives)

    def _gradient_arrives(self, gradient: Tensor) -> None:
        if not self._objective_is_back:
            self._mark("objective")
            self._objective_is_back = True

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        self._device = trainer.strategy.root_device
        self._mark("data")
        self._first_view, self._objective_is_back = True, False

    def on_before_backward(self, *_: Any) -> None:
        self._mark("rest")

    def on_after_backward(self, *_: Any) -> None:
        self._mark("encoder")

    def on_train_batch_end(self, *_: Any) -> None:
        self._mark("optimiser")
        self.steps.append(self._current)
        self._current = dict.fromkeys(PARTS, 0.0)
