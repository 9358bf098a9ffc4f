"""Two real steps of a recipe on stand-in data, and what the whole run will cost.

Everything is built as in a run: encoder, views, objective, optimiser, schedules. The data are the modality's synthetic
example, in the recipe's size where it can be told; two and four samples are trained on, and what a sample costs is the
difference. Operations are counted by torch's `FlopCounterMode`, bytes are those that autograd keeps.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bam_core.config.build import Parts, assemble
from bam_core.config.recipe import Resolved
from bam_core.config.registry import keyword_parameters
from bam_core.data import PreparedData
from bam_core.errors import InputError
from bam_core.planning.estimate import Counted, Size, communicated_bytes, hours, memory_bytes, step_flops
from bam_core.planning.step_counter import StepCounter
from bam_core.terms import Comparison
from bam_core.training.adaptive_views import refresh_callbacks
from bam_core.training.batches import batch_loader
from bam_core.training.module import PretrainModule
from bam_core.training.trainer import make_trainer, quiet_lightning

BATCHES = ([0, 1], [0, 1, 2, 3])  # rows of the two steps
ASSUMED_SAMPLES = 1_000_000
PEAK_TFLOPS = 312.0  # of an A100 in half precision
USUAL_EFFICIENCY = 0.35


@dataclass(frozen=True)
class DryRun:
    """What a run will be.

    Attributes:
        recipe: that was looked at.
        counted: what a sample costs.
        size: of the run.
        losses: of the two steps.
        stand_ins: what was trained on, in words.
        device: that the steps ran on, and their precision.
        download: what the run would download.
        assumed: what neither recipe nor caller said, in words.
        tflops: assumed peak of a device.
        efficiency: assumed part of it.
    """

    recipe: Resolved
    counted: Counted
    size: Size
    losses: list[float]
    stand_ins: str
    device: str
    download: str
    assumed: list[str]
    tflops: float
    efficiency: float

    def table(self) -> str:
        """What it says to a reader."""
        c, s, train = self.counted, self.size, self.recipe.train
        flops, memory = step_flops(c, s), memory_bytes(c, s)
        sent = communicated_bytes(c, s)
        took = hours(c, s, tflops=self.tflops, efficiency=self.efficiency)
        lines = {
            "two steps": f"losses {self.losses[0]:.4f}, {self.losses[1]:.4f}; {self.stand_ins}; {self.device}",
            "parameters": f"encoder {c.encoder_parameters:,}, projector {c.parameters - c.encoder_parameters:,}, "
            f"teacher {c.teacher_parameters:,}; frozen {c.parameters - c.trained:,}",
            "a step": f"{s.batch_size:,} samples x {c.n_views} views on {s.devices} device(s), {s.per_device:g} each"
            + ("" if c.tokens is None else f"; {c.tokens * s.batch_size:,} tokens"),
            "operations a step": f"{flops:.3g} FLOP, {c.flops:.3g} a sample (counted) and "
            f"{flops - c.flops * s.batch_size:.3g} to compare (calculated)",
            "received a step": f"{_size(sum(sent.values()))} a device ({_parts(sent)})",
            "memory": f"about {_size(sum(memory.values()))} a device at {train.precision} ({_parts(memory)})",
            "the run": f"{s.steps:,} steps: {s.epochs} passes over {s.samples:,} samples",
            **({"assumed": "; ".join(self.assumed)} if self.assumed else {}),
            "time": f"{_duration(took)} on {s.devices} device(s), {took * s.devices:,.4g} device hours, if each "
            f"reaches {self.efficiency:.0%} of {self.tflops:g} TFLOP/s and data come as fast: "
            f"{s.samples * s.epochs / took / 3600 / s.devices:,.0f} samples/s a device; "
            "bam bench train measures what this machine does",
            "download": self.download,
        }
        width = max(map(len, lines))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def dry_run(
    recipe: Resolved,
    *,
    samples: int | None = None,
    tflops: float = PEAK_TFLOPS,
    efficiency: float = USUAL_EFFICIENCY,
) -> DryRun:
    """Build everything that a recipe names, train for two steps on stand-in data, and say what the run will cost.

    Args:
        recipe: what to look at; its data are not read.
        samples: of the training split; default: a million.
        tflops: peak of a device, in 10^12 operations a second.
        efficiency: part of the peak that training reaches, in (0, 1].

    Returns:
        Counts and estimates.

    Raises:
        InputError: samples, peak or efficiency out of range.
        BAMError: as `build`.
    """
    if (samples is not None and samples < 2) or tflops <= 0 or not 0 < efficiency <= 1:
        raise InputError(
            "a dry run expected samples >= 2, tflops > 0 and efficiency in (0, 1]; got "
            f"{samples}, {tflops:g}, {efficiency:g}."
        )
    train = recipe.train
    each = _devices_of_a_node(train.devices)
    assumed = []
    if samples is None:
        assumed.append(f"{ASSUMED_SAMPLES:,} samples, as --samples says nothing and the data are not read")
    if each is None:
        assumed.append(f"one device a machine for train.devices={train.devices}, which is found out on the spot")
    if train.strategy == "fsdp":
        assumed.append("memory and traffic as with ddp; fsdp holds less and sends half as much again")
    size = Size(train.batch_size, (each or 1) * train.num_nodes, samples or ASSUMED_SAMPLES, train.epochs,
                train.micro_batch)  # fmt: skip
    with _temporary_cache() as folder:
        data = _stand_ins(recipe)
        on_gpu = torch.cuda.is_available()
        precision = train.precision if on_gpu or train.precision != "16-mixed" else "bf16-mixed"
        changed = {"batch_size": 4, "view_shards": 1, "num_workers": 0, "micro_batch": None, "log_every": 1,
                   "on_nan": "stop", "groups_per_batch": None, "accelerator": "gpu" if on_gpu else "cpu", "devices": 1,
                   "num_nodes": 1, "strategy": "auto", "precision": precision}  # fmt: skip
        small = recipe.changed(train=changed)
        parts = assemble(small, data)
        looks = refresh_callbacks(parts, train)
        objective: Any = parts.objective(total_steps=size.steps)
        counter = StepCounter(objective)
        module = PretrainModule(
            objective,
            small.train,
            total_steps=size.steps,
            steps_per_epoch=max(1, size.steps // train.epochs),
            folder=folder,
        )
        trainer = make_trainer(
            small.train,
            [counter, *looks],
            progress=False,
            max_steps=len(BATCHES),
            logger=False,
            default_root_dir=folder,
        )
        with quiet_lightning():
            trainer.fit(module, batch_loader(parts.training_set(lambda: (train.seed, 0)), list(BATCHES), 0))
    options = recipe.reader.options
    return DryRun(
        recipe=recipe,
        counted=_counted(objective, parts, counter),
        size=size,
        losses=counter.losses,
        stand_ins=f"{' and '.join(str(len(b)) for b in BATCHES)} synthetic samples, {_shape(data)}",
        device=f"{'GPU' if on_gpu else 'CPU'}, {precision}",
        assumed=assumed,
        download=f"the data set {options.get('path')!r}" if options.get("download") else "nothing",
        tflops=tflops,
        efficiency=efficiency,
    )


def _counted(objective: Any, parts: Parts, counter: StepCounter) -> Counted:
    few, many = (len(b) for b in BATCHES)

    def slope(values: list[int]) -> float:
        return (values[1] - values[0]) / (many - few)

    student: Any = getattr(objective, "student", objective)
    teacher = getattr(objective, "teacher", None)
    encoder = list(objective.encoder.parameters())
    views = parts.view_fn
    n_views = counter.rows[-1] // many if counter.rows else getattr(views, "n_views", 2)
    n_global = getattr(views, "n_views", n_views)
    compared = objective.cost(n_global) if hasattr(objective, "cost") else Comparison()
    return Counted(
        parameters=sum(p.numel() for p in student.parameters()),
        trained=sum(p.numel() for p in student.parameters() if p.requires_grad),
        encoder_parameters=sum(p.numel() for p in encoder),
        teacher_parameters=0 if teacher is None else sum(p.numel() for p in teacher.parameters()),
        n_views=n_views,
        n_columns=compared.n_columns,
        width=counter.width,
        iterations=compared.iterations,
        tokens=round(slope(counter.tokens)) if any(counter.tokens) else None,
        flops=slope(counter.flops),
        forward_flops=slope(counter.forward_flops),
        activation_bytes=slope(counter.kept),
        constant_bytes=counter.kept[0] - few * slope(counter.kept),
        view_bytes=slope(counter.view_bytes),
        largest_view=counter.largest_view / slope(counter.view_bytes),
    )


def _stand_ins(recipe: Resolved) -> PreparedData:
    """The modality's example, with those of the reader's options that it knows too, such as the size of images."""
    example = recipe.modality.example
    known = {p.name for p in keyword_parameters(example)}
    data: PreparedData = example(**{k: v for k, v in recipe.reader.options.items() if k in known and v is not None})
    return data


@contextmanager
def _temporary_cache() -> Iterator[Path]:
    """Prepared stand-ins leave nothing behind."""
    before = os.environ.get("BAM_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BAM_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["BAM_CACHE"]
            else:
                os.environ["BAM_CACHE"] = before


def _shape(data: PreparedData) -> str:
    facts = {k: data.facts[k] for k in ("in_channels", "image_size", "shape", "sampling_rate_hz") if k in data.facts}
    return ", ".join(f"{name} {value}" for name, value in facts.items()) or "as the example has them"


def _devices_of_a_node(devices: int | str | list[int]) -> int | None:
    """How many, if `train.devices` says so: a number, also as text, or a list of them."""
    if isinstance(devices, list):
        return len(devices)
    known = str(devices).removeprefix("+")
    return len(known.split(",")) if "," in known else int(known) if known.isdigit() else None


def _duration(hours: float) -> str:
    return f"{hours:,.3g} hours" if hours >= 1 else f"{60 * hours:,.2g} minutes"


def _size(n: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.3g} {unit}" if n < 1000 else f"{n:,.0f} {unit}"
        n /= 1024
    raise AssertionError


def _parts(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {_size(value)}" for name, value in values.items() if value)
