"""Lightning's trainer as runs use it: writing nothing by itself, and saying nothing that does not apply."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from bam_core.config.schema import TrainSettings
from bam_core.training.callbacks import Bar
from bam_core.training.data_workers import EndReaders
from bam_core.training.fsdp import strategy_options

_ADVICE = (
    ".*does not have many workers.*",
    ".*your dataloader is not resumable.*",  # `GlobalBatches.start_at` does it
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*smaller than the logging interval.*",  # ours counts steps, whatever the epoch
    ".*but have no `val_dataloader`.*",  # few labels: none are held out
    ".*module\\(s\\) in eval mode at the start of training.*",  # frozen encoders are, on purpose
)


def make_trainer(
    settings: TrainSettings, callbacks: Sequence[lightning.Callback], *, progress: bool, **options: Any
) -> lightning.Trainer:
    """Lightning's trainer for a pretraining run, which writes nothing by itself; `options` are its own."""
    chosen = strategy_options(settings)
    chosen["plugins"] += _environment()
    with quiet_lightning():
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            **chosen,
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip,
            log_every_n_steps=settings.log_every,
            callbacks=[EndReaders(), *callbacks, *([Bar()] if progress else [])],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            use_distributed_sampler=False,
            sync_batchnorm=torch.cuda.is_available() and settings.accelerator in ("auto", "gpu", "cuda"),
            **options,
        )


def _environment() -> list[SLURMEnvironment]:
    """Under SLURM, without Lightning's own saving and queueing again, whose checkpoints would come before ours."""
    under_slurm = SLURMEnvironment.detect() and not torch.distributed.is_torchelastic_launched()  # torchrun in a job
    return [SLURMEnvironment(auto_requeue=False)] if under_slurm else []


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice that does not apply: our loader is cheap on purpose, and steps are logged by us."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for text in _ADVICE:
            warnings.filterwarnings("ignore", text)
        try:
            yield
        finally:
            logger.setLevel(level)
