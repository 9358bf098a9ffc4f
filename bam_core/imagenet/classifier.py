"""A linear classifier on top of an encoder, trained with labels: frozen for the linear probe, or fine-tuned with it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from bam_core.collectives import all_gather
from bam_core.config.schema import TrainSettings
from bam_core.outputs import make_folder
from bam_core.training.batches import GlobalBatches, batch_loader, mixed_seed
from bam_core.training.callbacks import CleanStop, Watch
from bam_core.training.checkpoints import Checkpoints, newest_checkpoint
from bam_core.training.data_workers import deaths_explained
from bam_core.training.trainer import make_trainer, quiet_lightning
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


class Labelled(torch.utils.data.Dataset[Any]):
    """Some rows of a split, such as those of a `SplitDataset`, with their labels."""

    def __init__(self, dataset: torch.utils.data.Dataset[Any], rows: np.ndarray, labels: np.ndarray) -> None:
        self.dataset: Any = dataset
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Any, Tensor]:
        rows = self.rows[list(indices)]
        return self.dataset.__getitems__(rows.tolist()), torch.from_numpy(self.labels[rows])

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        return self.__getitems__([index])


def fit_classifier(
    make: Callable[[int], Classifier],
    train: Callable[[Callable[[], Sequence[int]]], Labelled],
    held_out: Labelled,
    settings: TrainSettings,
    folder: Path,
    *,
    progress: bool = True,
) -> list[Accuracy]:
    """Train with a pass over the held-out rows after every epoch; a training that was stopped goes on.

    Args:
        make: number of steps -> the classifier.
        train: seed of what is drawn where data are read -> the rows to train on.
        held_out: the rows to judge on.
        settings: epochs, batch_size, seed, and where to run.
        folder: for checkpoints.
        progress: show a bar.

    Returns:
        The accuracy after every epoch.

    Raises:
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    stop = _CleanStop()
    trainer = make_trainer(
        settings,
        [stop, Checkpoints(folder, settings.checkpoint_every)],
        progress=progress,
        logger=False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
    )
    batches = GlobalBatches(
        len(train(lambda: (0, 0))),
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    classifier = make(len(batches) * settings.epochs).train()
    checkpoint = newest_checkpoint(folder)
    if checkpoint is not None:
        batches.start_at(*divmod(checkpoint.step, len(batches)))
    trainer.callbacks.append(Watch(batches))  # type: ignore[attr-defined]
    each = max(1, settings.batch_size // trainer.world_size)
    own = list(range(trainer.global_rank, len(held_out), trainer.world_size))
    shares = [own[i : i + each] for i in range(0, len(own), each)]
    make_folder(folder)
    with quiet_lightning(), deaths_explained("num_workers=0 behind the same command"):
        trainer.fit(
            classifier,
            batch_loader(train(batches.draw_seed), batches, settings.num_workers),
            batch_loader(held_out, shares, settings.num_workers),
            ckpt_path=checkpoint and checkpoint.path,
            weights_only=True,
        )
    if trainer.global_step < classifier.steps:  # whichever rank was asked to stop
        raise KeyboardInterrupt
    return classifier.history


class _CleanStop(CleanStop):
    """Leaves out the look at the held-out rows that Lightning takes before it stops."""

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Stop if asked to."""
        super().on_train_batch_end(trainer, *args)
        if trainer.should_stop and not trainer.is_last_batch:
            trainer.limit_val_batches = 0
