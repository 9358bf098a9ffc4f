"""What can be seen of a training in memory: its history, and lines that say how long it will take."""

import copy
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

LINES = 10
_NOW_AND_THEN = ("rankme", "embedding_spread", "projections_rankme", "learning_rate")


class History(lightning.Callback):
    """Keeps what every step logs; values stay on the device until somebody asks for the table."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Keep the values of this step; figures that were not made in it are left out."""
        made = trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        self._rows.append(
            {
                name: value.detach()
                for name, value in trainer.callback_metrics.items()
                if name != "samples/s" and (made or name not in _NOW_AND_THEN)
            }
        )

    def table(self) -> "pd.DataFrame":
        """A row for every step, counted from 1; NaN where a figure was not made."""
        import pandas as pd

        rows = [{name: float(value) for name, value in row.items()} for row in self._rows]
        table = pd.DataFrame(rows)
        table.insert(0, "step", range(1, len(rows) + 1))
        return table


class Lines(lightning.Callback):
    """Prints how many steps there will be and how long they may take, then a line for every tenth of them.

    Args:
        first: the first batch, for a step on a copy that is timed.
        n_rows: of the training data.
        batch_size: rows of a step.
        total_steps: of the run.
    """

    def __init__(self, first: Callable[[], Any], n_rows: int, batch_size: int, total_steps: int) -> None:
        self.first = first
        self.n_rows = n_rows
        self.batch_size = batch_size
        self.total_steps = total_steps
        self._started = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what is about to happen."""
        seconds = seconds_of_a_step(pl_module, self.first()) * self.total_steps
        passes = self.total_steps * self.batch_size / self.n_rows
        print(
            f"Training: {self.total_steps:,} steps of {self.batch_size:,} rows, {passes:.3g} pass(es) over "
            f"{self.n_rows:,} rows; about {duration(seconds)}.",
            flush=True,
        )
        self._started = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Say how far it is, ten times in all."""
        step = trainer.global_step
        if step * LINES // self.total_steps == (step - 1) * LINES // self.total_steps:
            return
        values = trainer.callback_metrics
        shown = [f"{name} {float(values[name]):.3f}" for name in ("loss", "kl") if name in values]
        passed = time.perf_counter() - self._started
        left = passed / step * (self.total_steps - step)
        shown += [f"{step * self.batch_size / passed:,.0f} samples/s", f"{duration(left)} left"]
        print(f"  step {step:,} of {self.total_steps:,}: {', '.join(shown)}", flush=True)


def seconds_of_a_step(module: Any, batch: Any) -> float:
    """How long forward and backward of a batch take, on a copy; the first of two steps only warms up.

    Args:
        module: a `PretrainModule` on its device.
        batch: of the training set.
    """
    objective = copy.deepcopy(module.objective)
    batch = move_data_to_device(batch, module.device)
    seconds = 0.0
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # of a copy that nobody keeps
        for _ in range(2):
            started = time.perf_counter()
            generators = [torch.Generator(module.device).manual_seed(k) for k in module.view_shards]
            objective(batch, generator=generators).loss.backward()
            if module.device.type != "cpu":
                torch.accelerator.synchronize()
            seconds = time.perf_counter() - started
    return seconds


def duration(seconds: float) -> str:
    """A time for people.

    Example:
        >>> duration(3.4), duration(200.0), duration(7300.0)
        ('3 s', '3 min', '2.0 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
