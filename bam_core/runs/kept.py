"""Encoders of earlier steps, kept in a run folder beside the last one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

from bam_core.outputs import make_folder

FOLDER = "kept"


class Keep(lightning.Callback):
    """Saves the encoder at evenly spaced steps; the last of `count` is the one that the run ends with.

    Args:
        folder: of the run.
        count: `train.keep`.
        total_steps: of the run.
        save: (folder, objective, step) -> None: writes the networks; called by all processes together.
    """

    def __init__(self, folder: Path, count: int, total_steps: int, save: Callable[[Path, Any, int], None]) -> None:
        self.folder, self.save = folder, save
        self.steps = {round(total_steps * part / count) for part in range(1, count)} - {0, total_steps}

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *args: Any) -> None:
        """Save at the steps."""
        step = trainer.global_step
        if step in self.steps:
            self.save(make_folder(self.folder / FOLDER / f"step={step:08d}"), pl_module.objective, step)


def kept_encoders(folder: Path) -> list[tuple[int, Path]]:
    """Step and folder of each encoder that was kept, the earliest first; for `PretrainedEncoder.from_pretrained`."""
    found = (folder / FOLDER).glob("step=*/encoder/config.json")
    return sorted((int(path.parents[1].name.removeprefix("step=")), path.parent) for path in found)
