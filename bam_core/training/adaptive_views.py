"""Views that follow the network: after some passes over the data they look at every sample through it."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import nn

from bam_core.collectives import all_gather
from bam_core.config.build import Parts
from bam_core.config.schema import TrainSettings
from bam_core.data import PreparedData, SplitDataset
from bam_core.protocols import Loader
from bam_core.sharding import unsharded
from bam_core.student import evaluating
from bam_core.training.batches import batch_loader


def refresh_callbacks(parts: Parts, settings: TrainSettings) -> list[lightning.Callback]:
    """The callback that views need which draw where data are read; none for others.

    Raises:
        InputError: the views want to look through the network and cannot; found out now, not after days.
    """
    if parts.loader is None:
        return []
    refresher = RefreshViews(parts.loader, parts.data, settings)
    if any(parts.loader.should_refresh(passes) for passes in range(1, settings.epochs)):
        with evaluating(parts.encoder), torch.no_grad():
            parts.loader.compute(parts.encoder, refresher.dataset.__getitems__([0]))
    return [refresher]


class RefreshViews(lightning.Callback):
    """Asks a `bam_core.protocols.Loader` at the end of every pass whether to refresh its state, and does it.

    The ranks share the samples out. What was found goes into checkpoints; this callback therefore has to come before
    the one that writes them.

    Args:
        loader: of the views.
        data: whose split train it looks at.
        settings: the recipe's `train` section.
    """

    def __init__(self, loader: Loader, data: PreparedData, settings: TrainSettings) -> None:
        self.loader = loader
        self.dataset = SplitDataset(data.splits["train"], loader.load, data.facts)
        self.settings = settings

    @property
    def state_key(self) -> str:
        """Where checkpoints keep what was found; it stays the same whatever this class is called."""
        return "FollowNetwork"

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look if it is time, unless the run ends here."""
        passes = trainer.current_epoch + 1
        if self.loader.should_refresh(passes) and passes < self.settings.epochs and trainer.is_last_batch:
            self.loader.state = self._computed(trainer, pl_module)

    def _computed(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> torch.Tensor:
        objective: Any = pl_module.objective
        teacher = getattr(objective, "teacher", None)
        encoder = objective.encoder if teacher is None else teacher.module.encoder
        rows = range(len(self.dataset))
        table = outputs_of_rows(rows, self.dataset, encoder, self.loader.compute, trainer, pl_module, self.settings)
        table.share_memory_()
        return table

    def state_dict(self) -> dict[str, Any]:
        """What was found."""
        return {} if self.loader.state is None else {"table": self.loader.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.loader.state = state_dict["table"].share_memory_() if "table" in state_dict else None


@torch.no_grad()
def outputs_of_rows(
    rows: Sequence[int],
    dataset: SplitDataset,
    encoder: nn.Module,
    function: Callable[[nn.Module, Any], torch.Tensor],
    trainer: lightning.Trainer,
    pl_module: lightning.LightningModule,
    settings: TrainSettings,
) -> torch.Tensor:
    """What a network in training makes of some rows; the ranks share them out, and each has all in the end.

    Args:
        rows: of the data set.
        dataset: that they are rows of.
        encoder: a part of what is trained; in evaluation mode meanwhile.
        function: (encoder, batch) -> (b, k).
        trainer: in the middle of a run.
        pl_module: that it trains, around an objective.
        settings: the recipe's `train` section.

    Returns:
        (len(rows), k) float32 on the CPU.
    """
    n, ranks, size = len(rows), trainer.world_size, max(1, settings.batch_size // trainer.world_size)
    each = -(-n // ranks)
    own = [rows[min(trainer.global_rank + ranks * i, n - 1)] for i in range(each)]  # equally many, as gather wants
    batches = batch_loader(dataset, [own[i : i + size] for i in range(0, each, size)], settings.num_workers)
    found = []
    objective: Any = pl_module.objective
    precision = trainer.precision_plugin.forward_context()
    with unsharded(objective), evaluating(encoder), precision, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
        for batch in batches:
            batch = trainer.precision_plugin.convert_input(move_data_to_device(batch, pl_module.device))
            found.append(function(encoder, batch).float())
    return all_gather(torch.cat(found)).transpose(0, 1).flatten(0, 1)[:n].cpu()
