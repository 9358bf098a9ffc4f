"""An encoder with a linear layer on top, trained with labels: rates by layer, and the best weights on held-out rows."""

import copy
import math
from typing import Any, NamedTuple

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from bam_core.finetuning.layers import Layer, parameter_groups
from bam_core.finetuning.task import Task
from bam_core.probes.metrics import LOWER_IS_BETTER, metric_of_weights
from bam_core.training.batches import mixed_seed

LEAST_DEVIATION = 0.1  # of the root mean square of all columns' deviations
RISE = 0.05  # part of the steps in which a rate rises from zero


class Predictor(nn.Module):
    """Encoder, standardisation of its embeddings by fixed numbers, linear layer.

    Args:
        encoder: batch -> (b, d).
        width: d.
        n_outputs: of the linear layer, which starts at zero.

    Shape:
        What the encoder takes, (b, ...) -> (b, n_outputs).
    """

    def __init__(self, encoder: nn.Module, *, width: int, n_outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.head = nn.Linear(width, n_outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def standardise_by(self, embeddings: Tensor) -> None:
        """Mean and deviation of (n, d) embeddings of train, labelled or not.

        Constant columns are only centred. A column that hardly varies is divided by a tenth of the usual deviation: its
        own would make the outputs leap as soon as the encoder moves.
        """
        scale = embeddings.std(dim=0, correction=0)
        least = LEAST_DEVIATION * float(scale.square().mean().sqrt())
        self.mean.copy_(embeddings.mean(dim=0))  # type: ignore[operator]
        self.scale.copy_(torch.where(scale > 1e-6, scale.clamp_min(least), 1.0))  # type: ignore[operator]

    def forward(self, batch: Any) -> Tensor:
        """Outputs before softmax or sigmoid."""
        outputs: Tensor = self.head((self.encoder(batch) - self.mean) / self.scale)
        return outputs


class Look(NamedTuple):
    """A look at the held-out rows."""

    step: int
    score: float
    loss: float

    @property
    def quality(self) -> tuple[float, float]:
        """Larger is better: first the metric, then the loss."""
        return (self.score if math.isfinite(self.score) else -math.inf, -self.loss)


class Finetuner(lightning.LightningModule):
    """AdamW with a rate for each layer; first the linear layer alone, then all that learns.

    Dropout and the statistics of batch normalisation are those of training from the first step.

    Args:
        predictor: what is trained.
        task: kind of labels.
        layers: of the encoder that learn, from the input on.
        steps: of the whole training.
        learning_rate: of the last of these layers.
        head_learning_rate: of the linear layer.
        layer_decay: see `FinetuneSettings`, as for the next ones.
        head_warmup: as there.
        weight_decay: as there.
        patience: as there.
        weights: of the classes.
        metric: that the held-out rows are evaluated by.
        seed: of dropout and the like.
        until: part of the steps after which training ends; rates run as if it went on.
    """

    def __init__(
        self,
        predictor: Predictor,
        task: Task,
        layers: list[Layer],
        *,
        steps: int,
        learning_rate: float,
        head_learning_rate: float,
        layer_decay: float,
        head_warmup: float,
        weight_decay: float,
        patience: int,
        weights: Tensor | None,
        metric: str,
        seed: int,
        until: float = 1.0,
    ) -> None:
        super().__init__()
        self.last_step = max(1, round(until * steps))
        self.predictor, self.task, self.layers, self.steps = predictor, task, layers, steps
        self.rates = (learning_rate, head_learning_rate, layer_decay, weight_decay)
        self.warmup = round(head_warmup * steps) if layers else 0
        self.patience, self.metric, self.seed = patience, metric, seed
        self.register_buffer("weights", weights, persistent=False)
        self.finished = False
        self.history: list[Look] = []
        self.best: dict[str, Tensor] | None = None
        self._seen: list[tuple[Tensor, Tensor]] = []

    def train(self, mode: bool = True) -> "Finetuner":
        """Keep what is frozen in evaluation mode, its normalisations included."""
        super().train(mode)
        for module in self.predictor.encoder.modules():
            own = list(module.parameters())
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()
        return self

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW; rates are set at every step."""
        rate, head_rate, decay, weight_decay = self.rates
        head = [Layer("head", list(self.predictor.head.parameters()))]
        of_head = parameter_groups(head, rate=head_rate, decay=1.0, weight_decay=weight_decay)
        of_encoder = parameter_groups(self.layers, rate=rate, decay=decay, weight_decay=weight_decay)
        optimizer = torch.optim.AdamW([*of_head, *of_encoder])
        courses = [_course(0, self.steps)] * len(of_head) + [_course(self.warmup, self.steps)] * len(of_encoder)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, courses)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: tuple[Any, Tensor], batch_idx: int) -> Tensor:
        """The task's loss on a batch."""
        samples, labels = batch
        torch.manual_seed(mixed_seed(self.seed, self.global_step, self.global_rank))  # dropout and the like
        loss = self.task.loss(self.predictor(samples).float(), labels, self.weights)  # type: ignore[arg-type]
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def on_train_batch_end(self, *args: Any) -> None:
        """End where `until` says."""
        if self.last_step <= self.global_step < self.steps:
            self.finished = self.trainer.should_stop = True

    def validation_step(self, batch: tuple[Any, Tensor], batch_idx: int) -> None:
        """Keep what is said of held-out rows."""
        samples, labels = batch
        self._seen.append((self.predictor(samples).float(), labels))

    def on_validation_epoch_end(self) -> None:
        """Evaluate it, keep the best weights, and stop when nothing has become better for long."""
        outputs, labels = (torch.cat(parts).cpu() for parts in zip(*self._seen, strict=True))
        self._seen = []
        truth = labels.numpy()
        metric = metric_of_weights(self.metric, truth, self.task.scores(outputs))(np.ones(len(truth)))
        score = -metric if self.metric in LOWER_IS_BETTER else metric
        look = Look(self.global_step, score, float(self.task.loss(outputs, labels)))
        if self.best is None or look.quality > max(known.quality for known in self.history):
            self.best = copy.deepcopy({name: value.cpu() for name, value in self.predictor.state_dict().items()})
        self.history.append(look)
        self.log("held out", metric, prog_bar=True)
        best = max(range(len(self.history)), key=lambda i: self.history[i].quality)
        if len(self.history) - 1 - best >= self.patience and self.global_step > self.warmup:
            self.finished = self.trainer.should_stop = True

    def take_best(self) -> Predictor:
        """The predictor with the weights that were best on the held-out rows, or the last ones if there were none."""
        if self.best is not None:
            self.predictor.load_state_dict(self.best)
        return self.predictor.eval()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the looks and the best weights."""
        checkpoint["history"] = [list(look) for look in self.history]
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore them."""
        self.history = [Look(int(step), score, loss) for step, score, loss in checkpoint["history"]]
        self.best = checkpoint["best"]


def _course(start: int, steps: int) -> Any:
    """Factor of a rate at a step: zero before `start`, a linear rise, half a cosine to zero."""
    rise = max(1, round(RISE * steps))

    def factor(step: int) -> float:
        if step < start:
            return 0.0
        risen = min(1.0, (step - start + 1) / rise)
        return risen * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - start) / max(1, steps - start))))

    return factor
