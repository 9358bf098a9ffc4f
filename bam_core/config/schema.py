"""The schema of a recipe: its sections, and for every value whether it may be another one when a run goes on."""

from enum import Enum
from html import escape
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bam_core.probes.protocol import EvaluationProtocol

_STRICT = ConfigDict(extra="forbid", frozen=True)


class OnResume(Enum):
    """What a value may do when a run that was stopped goes on; every field of the schema bears one of them."""

    SAME = "is as it was: with another value it is another run"
    MAY_CHANGE = "may be another one: it says where it runs, how often it is saved, or what is done afterwards"


SAME, MAY_CHANGE = OnResume.SAME, OnResume.MAY_CHANGE
LoggerName = Literal["csv", "tensorboard", "wandb", "mlflow"]
_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]


class TrainSettings(BaseModel):
    """How long, how fast and on what to train; Lightning does the rest."""

    model_config = _STRICT

    epochs: Annotated[_Count, SAME] = 20
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=2), SAME] = 256
    """Samples per optimiser step, over all devices."""
    groups_per_batch: Annotated[_Count | None, SAME] = None
    """Draw every batch from about so many groups (people, machines, speakers) only. Few make the encoder tell apart
    what one of them shows, many also who it is. None: all mixed."""
    micro_batch: Annotated[_Count | None, MAY_CHANGE] = None
    """Rows (views) that the encoder sees at a time, per device, for batches that do not fit into memory; the gradient
    stays that of the whole batch. None: all."""
    view_shards: Annotated[_Count, SAME] = 4
    """Parts of the global batch whose views are drawn apart: any number of processes that divides it sees the same."""
    learning_rate: Annotated[_Positive, SAME] = 2e-3
    """Peak of the learning rate (AdamW): linear warm-up, then half a cosine, set at every step."""
    final_learning_rate: Annotated[_NotNegative, SAME] = 0.0
    """Learning rate at the end."""
    warmup_epochs: Annotated[_NotNegative, SAME] = 1.0
    """Length of the linear warm-up."""
    weight_decay: Annotated[_NotNegative, SAME] = 1e-4
    """At the start; only tensors with two or more dimensions decay."""
    final_weight_decay: Annotated[_NotNegative | None, SAME] = None
    """At the end, on a cosine; none: constant."""
    gradient_clip: Annotated[_Positive | None, SAME] = None
    """Largest global norm of the gradient."""
    seed: Annotated[int, SAME] = 0
    """Of weights, order of samples and views."""
    accelerator: Annotated[str, MAY_CHANGE] = "auto"
    """Lightning's accelerator: auto, cpu, gpu, ..."""
    devices: Annotated[int | str | list[int], MAY_CHANGE] = 1
    """Lightning's devices: a number, a list of indices, or auto."""
    num_nodes: Annotated[_Count, MAY_CHANGE] = 1
    """Machines."""
    strategy: Annotated[str, MAY_CHANGE] = "auto"
    """Lightning's strategy: auto, ddp, fsdp, ..."""
    precision: Annotated[Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"], SAME] = "32-true"
    """Lightning's precision; the loss itself is always computed in float32 or better."""
    num_workers: Annotated[int, Field(ge=0), MAY_CHANGE] = 0
    """Processes that read data, per device."""
    checkpoint_every: Annotated[_Count, MAY_CHANGE] = 1000
    """Optimiser steps between checkpoints; there is one about every ten minutes besides."""
    keep: Annotated[_Count, MAY_CHANGE] = 1
    """Encoders to keep, evenly spaced over the run, for bam select; the last is that of the end."""
    on_nan: Annotated[Literal["stop", "skip"], SAME] = "stop"
    """After a step with NaN or infinity was saved for `bam replay`: stop, or leave the step out and go on."""
    log_every: Annotated[_Count, MAY_CHANGE] = 10
    """Optimiser steps between rows of metrics.csv."""
    logger: Annotated[Literal["auto"] | tuple[LoggerName, ...], MAY_CHANGE] = "auto"
    """Where curves, hyper-parameters and the report go: a list of csv, tensorboard, wandb and mlflow. metrics.csv is
    always written. auto: csv, and tensorboard if it is installed."""
    knn_every: Annotated[_Count | None, MAY_CHANGE] = None
    """Passes between looks at the kNN accuracy on labelled rows of train or validation, in knn.csv; none: no look."""

    @model_validator(mode="after")
    def _the_rate_falls(self) -> "TrainSettings":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate expected at most learning_rate, {self.learning_rate:g}, to fall to; got "
                f"{self.final_learning_rate:g}. Neither is scaled with batch_size: scale both"
            )
        return self


class Recipe(BaseModel):
    """One pretraining run with its evaluation."""

    model_config = _STRICT

    modality: Annotated[str, SAME]
    """Name of a modality, or path/to/file.py:NAME; {name: ...} is the same."""
    data: Annotated[dict[str, Any], SAME]
    """`reader` and its options."""
    views: Annotated[dict[str, Any], SAME]
    """`name` and its options."""
    encoder: Annotated[dict[str, Any], SAME]
    """`name` and its options."""
    objective: Annotated[dict[str, Any], SAME] = Field(default_factory=lambda: {"name": "bam"})
    """`name` and its options."""
    train: TrainSettings = TrainSettings()
    """How long, how fast and on what."""
    evaluate: Annotated[EvaluationProtocol, MAY_CHANGE] = EvaluationProtocol()
    """Probes on the frozen embeddings."""

    def to_yaml(self) -> str:
        """The whole recipe, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return f"<pre>{escape(self.to_yaml())}</pre>"


def may_change(model: type[BaseModel]) -> set[str]:
    """Fields of a model that may have another value when a run goes on."""
    return {name for name, field in model.model_fields.items() if OnResume.MAY_CHANGE in field.metadata}


def other_run(old: Recipe, new: Recipe) -> list[str]:
    """Keys whose values make of one recipe's run another run, such as `train.epochs`; empty if it may go on."""
    before, now = old.model_dump(mode="json"), new.model_dump(mode="json")
    found = []
    for section in (name for name in before if name not in may_change(Recipe)):
        a, b = before[section], now[section]
        if not isinstance(a, dict):
            found += [section] * (a != b)
            continue
        free = may_change(TrainSettings) if section == "train" else set()
        found += [f"{section}.{key}" for key in {**a, **b} if key not in free and a.get(key) != b.get(key)]
    return found
