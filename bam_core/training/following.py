"""Views that follow the network: after some passes over the data they look at every sample through it."""

import warnings
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.utilities import move_data_to_device

from bam_core.data import PreparedData, SplitDataset
from bam_core.distributed import gather
from bam_core.protocols import Loader
from bam_core.training.batches import batch_loader
from bam_core.training.build import Parts
from bam_core.training.recipe import TrainSettings


def following(parts: Parts, settings: TrainSettings) -> list[lightning.Callback]:
    """The callback that views need which draw where data are read; none for others."""
    return [] if parts.loader is None else [FollowNetwork(parts.loader, parts.data, settings)]


class FollowNetwork(lightning.Callback):
    """Asks a `bam_core.protocols.Loader` at the end of every pass whether it is time to look, and does it.

    The ranks share the samples out. What was found goes into checkpoints; this callback therefore has to come before
    the one that writes them.

    Args:
        loader: of the views.
        data: whose split train it looks at.
        settings: the recipe's `train` section.
    """

    def __init__(self, loader: Loader, data: PreparedData, settings: TrainSettings) -> None:
        self.loader = loader
        self.dataset = SplitDataset(data.splits["train"], loader.read, data.facts)
        self.settings = settings

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look if it is time, unless the run ends here."""
        passes = trainer.current_epoch + 1
        if self.loader.due(passes) and passes < self.settings.epochs and trainer.is_last_batch:
            self.loader.table = self._look(trainer, pl_module)

    @torch.no_grad()
    def _look(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> torch.Tensor:
        objective: Any = pl_module.objective
        teacher = getattr(objective, "teacher", None)
        encoder = objective.encoder if teacher is None else teacher.module.encoder
        n, ranks, size = len(self.dataset), trainer.world_size, max(1, self.settings.batch_size // trainer.world_size)
        each = -(-n // ranks)
        own = [min(trainer.global_rank + ranks * i, n - 1) for i in range(each)]  # equally many, as gather wants
        shares = [own[i : i + size] for i in range(0, each, size)]
        batches = batch_loader(self.dataset, shares, self.settings.num_workers)
        modes = [(m, m.training) for m in encoder.modules()]
        encoder.eval()
        found = []
        with trainer.precision_plugin.forward_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
            for batch in batches:
                found.append(self.loader.look(encoder, move_data_to_device(batch, pl_module.device)).float())
        for module, training in modes:
            module.training = training
        table: torch.Tensor = gather(torch.cat(found)).transpose(0, 1).flatten(0, 1)[:n].cpu().share_memory_()
        return table

    def state_dict(self) -> dict[str, Any]:
        """What was found."""
        return {} if self.loader.table is None else {"table": self.loader.table}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.loader.table = state_dict["table"].share_memory_() if "table" in state_dict else None
