"""The state of a run on disk: written atomically, read without unpickling arbitrary objects, the last two kept."""

import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from bam_core.errors import DataError
from bam_core.outputs import make_folder, written

LONGEST_S = 600.0  # between checkpoints, however slow the steps are


class Checkpoint(NamedTuple):
    """A checkpoint that could be read."""

    path: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return int(self.state["global_step"])


class Checkpoints(lightning.Callback):
    """Saves the whole state every `every` steps, at the latest after ten minutes, and at the end; keeps the last two.

    A checkpoint appears under its name only when all of it is on disk; whatever kills the process, the one before it is
    still there.

    Args:
        folder: of the checkpoints.
        every: optimiser steps.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every
        self._saved = -1
        self._saved_at = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Save after every `every`-th step, after ten minutes, and when the run is about to stop.

        Lightning takes an epoch that was stopped for a finished one when it ends; here it is not yet.
        """
        if not trainer.is_last_batch:
            self._save_if_due(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The same for the last step of an epoch, which is finished by now."""
        self._save_if_due(trainer)

    def _save_if_due(self, trainer: lightning.Trainer) -> None:
        if (
            trainer.should_stop
            or trainer.global_step % self.every == 0
            or some_process(trainer, time.monotonic() - self._saved_at > LONGEST_S)
        ):
            self._save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the end."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        if trainer.global_step == self._saved:
            return
        path = self.folder / f"step={trainer.global_step:08d}.ckpt"
        if trainer.is_global_zero:
            make_folder(self.folder)
            with written(path) as partial:  # there may be a damaged one of that step
                trainer.save_checkpoint(partial, weights_only=False)  # the optimiser, too
            for old in checkpoints(self.folder)[:-2]:
                old.unlink()
        else:
            trainer.save_checkpoint(path, weights_only=False)  # its part; the file is written by the first process
        trainer.strategy.barrier()
        self._saved, self._saved_at = trainer.global_step, time.monotonic()


class CheckpointFile(TorchCheckpointIO):
    """Writes straight to the file; Lightning goes through the folder for temporary files, which may be small."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; called on the first process only."""
        with Path(path).open("wb") as file:
            torch.save(checkpoint, file)


def some_process(trainer: lightning.Trainer, wants: bool) -> bool:
    """Whether a process of the run wants something; several ask each other at every `train.log_every`-th step only."""
    if trainer.world_size == 1:
        return wants
    if trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
        return False
    return bool(trainer.strategy.reduce_boolean_decision(wants, all=False))


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step=*.ckpt"))


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; broken ones are named in a warning and passed over.

    Args:
        folder: of the checkpoints.

    Returns:
        The checkpoint, or None if the folder has none at all.

    Raises:
        DataError: there are checkpoints, and none of them can be read.
    """
    problems = []
    for path in reversed(checkpoints(folder)):
        try:
            checkpoint = read_checkpoint(path)
        except DataError as error:
            problems.append(str(error))
            continue
        if problems:
            warnings.warn(f"{problems[0]} The one before it, {path.name}, is taken.", stacklevel=2)
        return checkpoint
    if problems:
        raise DataError(" ".join(problems) + " No other is left: start a new run.")
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of ours; only tensors and plain values are ever unpickled.

    Raises:
        DataError: the file is damaged, or no checkpoint of a run.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever zipfile, pickle or the file system do
        raise DataError(
            f"checkpoint {path} cannot be read ({type(error).__name__}): it is damaged or foreign."
        ) from error
    if not isinstance(state, dict) or not {"state_dict", "global_step", "loops"} <= set(state):
        raise DataError(f"{path} is not a checkpoint of a run.")
    return Checkpoint(path, state)
