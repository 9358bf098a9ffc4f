"""A linear classifier on top of an encoder, trained with labels: frozen for the linear probe, or fine-tuned with it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from bam_core.collectives import all_gather
from bam_core.training.batches import mixed_seed
from bam_core.views import make_views


class Accuracy(NamedTuple):
    """On the held-out split after an epoch: the right class is the first guess, or among the first five."""

    epoch: int
    top1: float
    top5: float


class Classifier(lightning.LightningModule):
    """Encoder, batch normalisation without parameters, linear layer; SGD with momentum, rates on a cosine to zero.

    Args:
        encoder: to be trained further, or frozen.
        features: batch -> (b, d), through the encoder.
        view_fn: batch -> views, the first of which is trained on.
        width: d.
        n_classes: outputs.
        steps: of the whole training.
        learning_rate: of the linear layer.
        encoder_learning_rate: of the encoder; None to freeze it.
        batch_norm: whether features are normalised over the batch.
        seed: of the views.
    """

    def __init__(
        self,
        encoder: nn.Module,
        features: Callable[[Any], Tensor],
        view_fn: Callable[..., Any],
        *,
        width: int,
        n_classes: int,
        steps: int,
        learning_rate: float,
        encoder_learning_rate: float | None,
        batch_norm: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.encoder, self.features, self.view_fn = encoder, features, view_fn
        self.norm = nn.BatchNorm1d(width, affine=False) if batch_norm else nn.Identity()
        self.head = nn.Linear(width, n_classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.rates = learning_rate, encoder_learning_rate
        self.steps, self.seed = steps, seed
        self.history: list[Accuracy] = []
        self.finished = False
        self._right = torch.zeros(3)
        if encoder_learning_rate is None:
            encoder.requires_grad_(False)

    @property
    def frozen(self) -> bool:
        """Whether only the linear layer learns."""
        return self.rates[1] is None

    def train(self, mode: bool = True) -> "Classifier":
        """Keep a frozen encoder in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, view: Any) -> Tensor:
        """Logits, (b, n_classes)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.features(view)
        logits: Tensor = self.head(self.norm(features))
        return logits

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD without weight decay, set at every step."""
        rate, encoder_rate = self.rates
        groups = [{"params": list(self.head.parameters()), "lr": rate}]
        if encoder_rate is not None:
            learning = [p for p in self.encoder.parameters() if p.requires_grad]
            groups.append({"params": learning, "lr": encoder_rate})
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1, step / self.steps)))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: tuple[Any, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy on one random view."""
        samples, labels = batch
        seed = mixed_seed(self.seed, self.global_step, self.global_rank)
        generator = torch.Generator(self.device).manual_seed(seed)
        torch.manual_seed(seed)  # dropout and the like
        view = make_views(self.view_fn, samples, generator).global_views[0]
        loss = nn.functional.cross_entropy(self(view).float(), labels)
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Any, Tensor], batch_idx: int) -> None:
        """Count the right guesses on untouched samples."""
        samples, labels = batch
        guesses = self(samples).topk(min(5, self.head.out_features), dim=1).indices
        right = guesses == labels[:, None]
        self._right = self._right.to(right.device) + torch.stack(
            [right[:, 0].sum(), right.sum(), torch.tensor(len(labels), device=right.device)]
        )

    def on_validation_epoch_end(self) -> None:
        """Keep the accuracy over all ranks."""
        first, five, n = all_gather(self._right).sum(dim=0).tolist()
        self.history.append(Accuracy(self.current_epoch + 1, first / n, five / n))
        self._right = torch.zeros(3)
        self.log("top-1", first / n, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history."""
        checkpoint["history"] = [list(accuracy) for accuracy in self.history]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it."""
        self.history = [Accuracy(int(e), top1, top5) for e, top1, top5 in checkpoint["history"]]
