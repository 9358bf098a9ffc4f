"""The Lightning module of a pretraining run: one objective, one optimiser, values that are functions of the step."""

import time
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from bam_core.diagnostics import embedding_spread, rankme
from bam_core.distributed import rank
from bam_core.protocols import Objective
from bam_core.schedules import CosineSchedule, WarmupCosineSchedule
from bam_core.training.batches import mixed_seed
from bam_core.training.recipe import TrainSettings

N_RANKME_ROWS = 1024


class PretrainModule(lightning.LightningModule):
    """Trains any `Objective`.

    Args:
        objective: initialised, so that every parameter exists.
        settings: the recipe's `train` section.
        total_steps: optimiser steps of the whole run.
        steps_per_epoch: for the length of the warm-up.
    """

    def __init__(
        self, objective: Objective, settings: TrainSettings, *, total_steps: int, steps_per_epoch: int
    ) -> None:
        super().__init__()
        self.objective = objective
        self.settings = settings
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
        """The loss of one batch; what is random in it depends on the seed, the step and the rank only."""
        torch.manual_seed(mixed_seed(self.settings.seed, self.global_step, rank()))  # dropout and the like
        generator = torch.Generator(self.device).manual_seed(
            mixed_seed(self.settings.seed, self.global_step, rank(), 1)
        )
        output = self.objective(batch, generator=generator)  # type: ignore[operator]
        self._log_step(output)
        loss: Tensor = output.loss
        return loss

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


_ON_BAR = ("loss", "kl", "target_entropy")


def decay_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: tensors with two or more dimensions decay, biases and norms do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if (p.ndim >= 2) == decays], "decays": decays} for decays in (True, False)
    ]
