"""The Lightning module of a pretraining run: one objective, one optimiser, values that are functions of the step."""

import math
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

from bam_core.batch_norm import with_global_batch_norm
from bam_core.collectives import any_rank, hosts_exchange, texts_of_ranks, world_size
from bam_core.config.schema import TrainSettings
from bam_core.diagnostics import embedding_spread, projections_rankme, rankme
from bam_core.errors import InputError, NonFiniteError
from bam_core.protocols import Objective
from bam_core.schedules import CosineSchedule, WarmupCosineSchedule
from bam_core.sharding import shard, to_full
from bam_core.training.batches import mixed_seed
from bam_core.training.nonfinite import broken_weight, first_nonfinite, save_step

N_RANKME_ROWS = 1024


class PretrainModule(lightning.LightningModule):
    """Trains any `Objective`.

    Args:
        objective: initialised, so that every parameter exists.
        settings: the recipe's `train` section.
        total_steps: optimiser steps of the whole run.
        steps_per_epoch: for the length of the warm-up.
        folder: of the run, to save steps that are not finite; None to save nothing.
        view_shards: of the global batch that this rank has, see `GlobalBatches.view_shards`.
    """

    def __init__(
        self,
        objective: Objective,
        settings: TrainSettings,
        *,
        total_steps: int,
        steps_per_epoch: int,
        folder: Path | None,
        view_shards: range = range(1),
    ) -> None:
        super().__init__()
        self.objective = objective
        self.settings = settings
        self.folder = folder
        self.view_shards = view_shards
        self._sharded = False
        self._part = 0  # of the optimiser step: its micro-batches under Lightning's gradient accumulation
        self._unseen: tuple[Flag, Any, int] | None = None
        self._left_out = False
        self._statistics: dict[str, Tensor] = {}
        warmup = min(round(settings.warmup_epochs * steps_per_epoch), total_steps - 1)
        self.learning_rate = WarmupCosineSchedule(
            settings.learning_rate, settings.final_learning_rate, warmup, total_steps
        )
        start, end = settings.weight_decay, settings.final_weight_decay
        self.weight_decay = CosineSchedule(start, start if end is None else end, total_steps)
        self._step_ended = time.perf_counter()

    def configure_model(self) -> None:
        """Share batch normalisation among the ranks, and under `train.strategy=fsdp` the parameters."""
        if self.trainer.world_size > 1:
            with_global_batch_norm(self.objective)  # type: ignore[arg-type]
        if isinstance(self.trainer.strategy, ModelParallelStrategy) and not self._sharded:
            shard(self.objective, self.trainer.strategy.root_device.type)  # type: ignore[arg-type]
            self._sharded = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; only tensors with two or more dimensions decay."""
        return torch.optim.AdamW(decay_groups(self), lr=self.settings.learning_rate)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        self._look_at_last()
        if self._part == 0 and self.settings.on_nan == "skip":  # running statistics change in the forward pass
            self._statistics = {name: buffer.clone() for name, buffer in self.named_buffers()}
        part, self._part = self._part, self._part + 1
        try:
            output = self.step_output(batch, self.global_step, part)
        except InputError as error:
            if world_size() > 1 and not hosts_exchange():
                raise  # the other ranks do not know of it
            self._report(batch, part, error)
            return torch.zeros((), device=self.device, requires_grad=True)  # no gradient: AdamW leaves all as it is
        self._unseen = Flag(any_rank(~output.loss.detach().isfinite())), batch, part
        self._log_step(output)
        loss: Tensor = output.loss
        return loss

    def step_output(self, batch: Any, step: int, part: int = 0) -> Any:
        """What the objective returns for a batch at an optimiser step.

        What is random follows from the seed, the step, its part, and the place in the global batch.
        """
        seed, shards = self.settings.seed, self.view_shards
        later = (part,) if part else ()
        torch.manual_seed(mixed_seed(seed, step, shards.start, *(0 for _ in later), *later))  # dropout and the like
        generators = [torch.Generator(self.device).manual_seed(mixed_seed(seed, step, k, 1, *later)) for k in shards]
        return self.objective(batch, generator=generators)  # type: ignore[operator]

    def first_nonfinite(self, batch: Any, step: int, part: int = 0) -> str | None:
        """Where NaN or infinity begins in a step on this rank, in words; called by all ranks together."""
        return first_nonfinite(self, batch, lambda: self.step_output(batch, step, part))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether the loss was finite; if any part of the step was not, leave all of it out."""
        self._look_at_last()
        self._part = 0
        if self._left_out:
            self._left_out = False
            for name, buffer in self.named_buffers():
                buffer.copy_(self._statistics[name])
            for parameter in self.parameters():
                parameter.grad = None

    def _look_at_last(self) -> None:
        """Ask for the flag of the last part; its forward pass is over, and the device still has its backward pass."""
        if self._unseen is None:
            return
        flag, batch, part = self._unseen
        self._unseen = None
        if flag.is_set():
            self._report(batch, part)

    def _report(self, batch: Any, part: int, error: InputError | None = None) -> None:
        """Save a step that is not finite, and stop or leave it out; all ranks do the same."""
        step = self.global_step
        texts = texts_of_ranks(self.first_nonfinite(batch, step, part) or "", self.device)
        first = next((k for k, text in enumerate(texts) if text), 0)
        if error is not None and not texts[first]:
            raise error
        where = texts[first] or "a place that does not show when the step is run again"
        message = (
            f"step {step} is not finite{f' on rank {first}' * (len(texts) > 1)}: NaN or infinity begins in {where}."
        )
        if self.folder is not None:
            weights = {name: to_full(value) for name, value in self.state_dict().items()}
            shards = [self.view_shards.start, self.view_shards.stop]
            content = {"batch": batch, "state_dict": weights, "view_shards": shards, "part": part}
            message += save_step(content if first == self.global_rank else None, where, self.folder, step)
        if self.settings.on_nan == "stop":
            raise NonFiniteError(message)
        if broken_weight(self):
            raise NonFiniteError(f"{message} Leaving out steps does not mend weights: start from an older checkpoint.")
        self._left_out = True
        if self.global_rank == 0:
            warnings.warn(f"{message} The step is left out.", stacklevel=2)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Set the values of this step, step, and move the teacher: once per optimiser step."""
        step = self.global_step
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
            group["weight_decay"] = self.weight_decay(step) if group["decays"] else 0.0
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.objective.update_teacher()

    def _log_step(self, output: Any) -> None:
        now = time.perf_counter()
        seconds, self._step_ended = now - self._step_ended, now
        scalars = {k: v for k, v in output._asdict().items() if isinstance(v, Tensor) and v.ndim == 0}
        self.log_dict({k: v.detach() for k, v in scalars.items() if k in _ON_BAR}, prog_bar=True)
        self.log_dict({k: v.detach() for k, v in scalars.items() if k not in _ON_BAR})
        self.log("samples/s", self.settings.batch_size / seconds, prog_bar=True)
        if (self.global_step + 1) % self.settings.log_every == 0:
            rows = output.embeddings[:N_RANKME_ROWS].float().cpu()
            rows = rows[rows.isfinite().all(dim=1) & rows.any(dim=1)]  # others are no matter of these figures
            self.log("rankme", rankme(rows) if len(rows) > 1 else math.nan)
            self.log("embedding_spread", embedding_spread(rows) if len(rows) > 1 else math.nan)
            if hasattr(output, "projections"):
                self.log("projections_rankme", projections_rankme(output.projections))
            self.log("learning_rate", self.learning_rate(self.global_step))


class Flag:
    """A truth value on its way from the device; asking for it waits for what was queued before it, and nothing behind.

    So the host knows of a bad loss while the device is busy with the backward pass, and never runs dry for it.

    Args:
        value: one boolean.
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value.to("cpu", non_blocking=value.is_cuda)
        self._arrived: Any = None
        if value.is_cuda:
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def is_set(self) -> bool:
        """The value."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._value)


_ON_BAR = ("loss", "kl", "target_entropy")


def decay_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: tensors with two or more dimensions decay, biases and norms do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if (p.ndim >= 2) == decays], "decays": decays} for decays in (True, False)
    ]
