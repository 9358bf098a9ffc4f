"""The Lightning module of a pretraining run: one objective, one optimiser, values that are functions of the step."""

import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from bam_core.diagnostics import embedding_spread, rankme
from bam_core.errors import InputError, NonFiniteError
from bam_core.protocols import Objective
from bam_core.schedules import CosineSchedule, WarmupCosineSchedule
from bam_core.training.batches import mixed_seed
from bam_core.training.nonfinite import first_nonfinite, save_step
from bam_core.training.recipe import TrainSettings

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
        self._finite: Flag | None = None
        self._batch: Any = None
        self._statistics: dict[str, Tensor] = {}
        warmup = min(round(settings.warmup_epochs * steps_per_epoch), total_steps - 1)
        self.learning_rate = WarmupCosineSchedule(
            settings.learning_rate, settings.final_learning_rate, warmup, total_steps
        )
        start, end = settings.weight_decay, settings.final_weight_decay
        self.weight_decay = CosineSchedule(start, start if end is None else end, total_steps)
        self._step_ended = time.perf_counter()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; only tensors with two or more dimensions decay."""
        return torch.optim.AdamW(decay_groups(self), lr=self.settings.learning_rate)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        if self.settings.on_nan == "skip":  # running statistics are changed by the forward pass already
            self._statistics = {name: buffer.clone() for name, buffer in self.named_buffers()}
        try:
            output = self.step_output(batch, self.global_step)
        except InputError:
            where = self.first_nonfinite(batch, self.global_step)
            if where is None:
                raise
            self._report(batch, where)
            return torch.zeros((), device=self.device, requires_grad=True)  # no gradient: AdamW leaves all as it is
        self._finite = Flag(output.loss.detach().isfinite())
        self._batch = batch
        self._log_step(output)
        loss: Tensor = output.loss
        return loss

    def step_output(self, batch: Any, step: int) -> Any:
        """What the objective returns for a batch at an optimiser step.

        What is random follows from the seed, the step and the place in the global batch.
        """
        seed, shards = self.settings.seed, self.view_shards
        torch.manual_seed(mixed_seed(seed, step, shards.start))  # dropout and the like
        generators = [torch.Generator(self.device).manual_seed(mixed_seed(seed, step, k, 1)) for k in shards]
        return self.objective(batch, generator=generators)  # type: ignore[operator]

    def first_nonfinite(self, batch: Any, step: int) -> str | None:
        """Where NaN or infinity begins in a step, in words."""
        return first_nonfinite(self, batch, lambda: self.step_output(batch, step))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether the loss was finite."""
        if self._finite is None or self._finite.is_set():
            return
        where = self.first_nonfinite(self._batch, self.global_step)
        self._report(self._batch, where or "the gradient: the forward pass is finite")
        for parameter in self.parameters():
            parameter.grad = None

    def _report(self, batch: Any, where: str) -> None:
        message = f"step {self.global_step} is not finite: NaN or infinity begins in {where}."
        if self.folder is not None:
            message += save_step(self, batch, self.global_step, where, self.folder, self.view_shards)
        if self.settings.on_nan == "stop":
            raise NonFiniteError(message)
        for name, buffer in self.named_buffers():
            buffer.copy_(self._statistics[name])
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
            rows = output.embeddings[:N_RANKME_ROWS].float()
            self.log("rankme", rankme(rows))
            self.log("embedding_spread", embedding_spread(rows))
            self.log("learning_rate", self.learning_rate(self.global_step))


class Flag:
    """A truth value on its way from the device; asking for it waits for what was queued before it, and nothing behind.

    So the host knows of a bad loss while the device is busy with the backward pass, and never runs dry for it.

    Args:
        value: one boolean.
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value.to("cpu", non_blocking=True)
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
