"""What a run keeps while it trains: metrics, checkpoints, a clean stop; all of it in the run folder."""

import csv
import io
import signal
import threading
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import RichProgressBar

from bam_core.errors import CollapseWarning
from bam_core.outputs import explained, write_text
from bam_core.training.batches import STOPPING, GlobalBatches
from bam_core.training.checkpoints import some_process

COLLAPSED_SPREAD = 0.02


class MetricsFile(lightning.Callback):
    """`metrics.csv`, one row every `every` steps; a resumed run goes on in the same file.

    A logger of Lightning writes a step after its checkpoint, so a kill between them would lose the row.

    Args:
        path: of the file.
        every: optimiser steps between rows.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self._columns: list[str] = []

    def keep_until(self, step: int) -> None:
        """Drop rows after a step, when a run is resumed from there, and a last row that was cut off."""
        self._columns = keep_rows(self.path, step)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Append a row."""
        if trainer.global_step % self.every or not trainer.is_global_zero:
            return
        row = {"step": trainer.global_step, **{k: float(v) for k, v in trainer.callback_metrics.items()}}
        with explained(self.path):
            if not self._columns:
                self._columns = list(row)
                with self.path.open("w", newline="") as file:
                    csv.writer(file).writerow(self._columns)
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns, extrasaction="ignore").writerow(row)


def keep_rows(path: Path, step: int) -> list[str]:
    """Drop rows of a CSV file whose `step` is later, and a last row that was cut off.

    Returns:
        The columns; none if there is no such file, or no row in it.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    if not rows:
        return []
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, list(rows[0]))
    writer.writeheader()
    writer.writerows(row for row in rows if int(row["step"]) <= step)
    write_text(path, lines.getvalue())
    return list(rows[0])


class CleanStop(lightning.Callback):
    """Ctrl-C or SIGTERM ends the run after the current step, with a checkpoint; a further Ctrl-C ends it at once.

    SIGTERM comes from SLURM at the time limit, from `docker stop`, from `kill`; often it comes twice. SIGUSR1, which
    jobs on SLURM ask for some time before (`--signal=USR1@120`), does the same. Outside the main thread, where Python
    tells nobody of signals, they are left to the main thread.

    Args:
        notice: what to print; default: that a checkpoint comes.
    """

    def __init__(
        self, notice: str = "Stopping after this step, with a checkpoint. Press Ctrl-C again to stop at once."
    ) -> None:
        self.notice = notice
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Listen, from now on in place of Lightning, which at SIGTERM ends a run without a checkpoint."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._request) for s in STOPPING}

    def _request(self, signum: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        signal.signal(signal.SIGINT, self._previous[signal.SIGINT] or signal.SIG_DFL)
        if first:
            print(f"\n{self.notice}", flush=True)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Stop if asked to."""
        trainer.should_stop |= some_process(trainer, self.requested)

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Stop listening."""
        self._restore()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Stop listening."""
        self._restore()

    def _restore(self) -> None:
        for signum, previous in self._previous.items():
            if signal.getsignal(signum) == self._request:
                signal.signal(signum, previous or signal.SIG_DFL)


class Bar(RichProgressBar):
    """The progress bar: steps of the epoch, loss, kl, target entropy and samples per second."""

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        """What is shown behind the bar."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


class Watch(lightning.Callback):
    """Gives every epoch its own order of samples, and says when embeddings collapse, if the objective does not itself.

    Args:
        batches: the order of samples.
    """

    def __init__(self, batches: GlobalBatches) -> None:
        self.batches = batches
        self._warned = False

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Choose the order of samples; Lightning leaves this out for an epoch that is continued."""
        self.batches.set_epoch(trainer.global_step // len(self.batches))

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Warn once; look only at steps that have just been measured, since a look waits for the device."""
        step = trainer.global_step
        if getattr(getattr(trainer.lightning_module, "objective", None), "advises", False) is True:
            return  # it looks itself, at what its terms compare
        if self._warned or step <= len(self.batches) or step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        spread = trainer.callback_metrics.get("embedding_spread")
        if spread is not None and float(spread) < COLLAPSED_SPREAD:
            self._warned = True
            warnings.warn(
                f"step {step}: all embeddings point the same way (mean cosine {1 - float(spread):.3f}): "
                "the encoder has collapsed, and what it saves is useless. Lower train.learning_rate, or make the views "
                "milder.",
                CollapseWarning,
                stacklevel=1,
            )
