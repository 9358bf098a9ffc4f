"""`train.strategy=fsdp`: parameters, gradients and optimiser state spread over the ranks, checkpoints as ever.

Lightning's own strategy of that name needs GPUs and PyTorch's first FSDP; this is the second, which runs everywhere.
Lightning numbers the optimiser's states in another order than torch does without it; here every checkpoint is what one
process would write, so that a run can go on anywhere.
"""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from torch.utils._pytree import tree_map

from bam_core.config.schema import TrainSettings
from bam_core.sharding import shard_like, to_full
from bam_core.training.checkpoints import CheckpointFile


def strategy_options(settings: TrainSettings) -> dict[str, Any]:
    """Keywords of Lightning's Trainer for `train.strategy` and `train.precision`: strategy, precision, plugins."""
    if settings.strategy != "fsdp":
        return {"strategy": settings.strategy, "precision": settings.precision, "plugins": [CheckpointFile()]}
    if settings.precision == "64-true":  # not among the names that Lightning accepts here
        return {"strategy": ShardedStrategy(), "precision": None, "plugins": [DoublePrecision()]}
    return {"strategy": ShardedStrategy(), "precision": settings.precision, "plugins": []}


class ShardedStrategy(ModelParallelStrategy):
    """FSDP2 over all ranks, set up by `PretrainModule.configure_model`; reads and writes checkpoints of one file."""

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Let Lightning call `load_optimizer_state_dict`."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole tensors."""
        module: Any = self.lightning_module
        return {name: to_full(value) for name, value in module.state_dict().items()}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """Whole tensors, numbered as torch does."""
        state: dict[str, Any] = tree_map(to_full, optimizer.state_dict())
        return state

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """One file, from the first process."""
        if self.is_global_zero:
            CheckpointFile().save_checkpoint(checkpoint, filepath)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read the file; the states are loaded later, as without this strategy."""
        return ParallelStrategy.load_checkpoint(self, checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Spread the tensors like the parameters that they are for."""
        module: Any = self.lightning_module
        own = module.state_dict()
        state = {name: shard_like(value, own.get(name)) for name, value in checkpoint["state_dict"].items()}
        module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Spread the moments like their parameters."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                k: {name: shard_like(value, parameters[k]) for name, value in moments.items()}
                for k, moments in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})
