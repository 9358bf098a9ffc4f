"""Training with labels, with a look at held-out rows after some epochs; a training that was stopped goes on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import lightning.pytorch as lightning
import numpy as np
import torch
from torch import Tensor

from bam_core.config.schema import TrainSettings
from bam_core.outputs import make_folder
from bam_core.training.batches import GlobalBatches, batch_loader
from bam_core.training.callbacks import CleanStop, Watch
from bam_core.training.checkpoints import Checkpoints, newest_checkpoint
from bam_core.training.data_workers import deaths_explained
from bam_core.training.trainer import make_trainer, quiet_lightning


@runtime_checkable
class Supervised(Protocol):
    """A Lightning module that learns from labels."""

    steps: int
    """Of the whole training."""
    finished: bool
    """Whether it ended itself before them."""


Model = TypeVar("Model", bound=Supervised)


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


def fit(
    make: Callable[[int], Model],
    train: Callable[[Callable[[], Sequence[int]]], Labelled],
    held_out: Labelled | None,
    settings: TrainSettings,
    folder: Path | None,
    *,
    progress: bool = True,
    look_every: int = 1,
) -> Model:
    """Train with a pass over the held-out rows after some epochs; a training that was stopped goes on.

    Args:
        make: number of steps -> the module to train.
        train: seed of what is drawn where data are read -> the rows to train on.
        held_out: the rows to evaluate on, if any.
        settings: epochs, batch_size, seed, and where to run.
        folder: for checkpoints; None for none.
        progress: show a bar.
        look_every: epochs between passes over the held-out rows.

    Returns:
        The trained module.

    Raises:
        KeyboardInterrupt: it was interrupted; with a folder, the same call goes on.
    """
    keep = [] if folder is None else [Checkpoints(folder, settings.checkpoint_every)]
    trainer = make_trainer(
        settings,
        [_CleanStop(), *keep],
        progress=progress,
        logger=False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=look_every,
    )
    batches = GlobalBatches(
        len(train(lambda: (0, 0))),
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    model: Any = make(len(batches) * settings.epochs)
    model.train()
    checkpoint = None if folder is None else newest_checkpoint(folder)
    if checkpoint is not None:
        batches.start_at(*divmod(checkpoint.step, len(batches)))
    trainer.callbacks.append(Watch(batches))  # type: ignore[attr-defined]
    if folder is not None:
        make_folder(folder)
    with quiet_lightning(), deaths_explained("num_workers=0 behind the same command"):
        trainer.fit(
            model,
            batch_loader(train(batches.draw_seed), batches, settings.num_workers),
            None if held_out is None else _share(held_out, trainer, settings),
            ckpt_path=checkpoint and checkpoint.path,
            weights_only=True,
        )
    if trainer.global_step < model.steps and not model.finished:  # whichever rank was asked to stop
        raise KeyboardInterrupt
    done: Model = model
    return done


def _share(held_out: Labelled, trainer: lightning.Trainer, settings: TrainSettings) -> Any:
    """This process's part of the held-out rows, in batches."""
    each = max(1, settings.batch_size // trainer.world_size)
    own = list(range(trainer.global_rank, len(held_out), trainer.world_size))
    return batch_loader(held_out, [own[i : i + each] for i in range(0, len(own), each)], settings.num_workers)


class _CleanStop(CleanStop):
    """Leaves out the look at the held-out rows that Lightning takes before it stops."""

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Stop if asked to."""
        super().on_train_batch_end(trainer, *args)
        if trainer.should_stop and not trainer.is_last_batch:
            trainer.limit_val_batches = 0
