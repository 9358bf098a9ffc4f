"""Pretraining on data in memory: no run folder, no files, nothing on the console unless asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import lightning.pytorch as lightning
import numpy as np
import torch

from bam_core.config.build import Parts, assemble
from bam_core.config.recipe import Resolved, check_recipe
from bam_core.config.registry import keyword_parameters
from bam_core.data import PreparedData
from bam_core.errors import InputError
from bam_core.protocols import Modality, Objective
from bam_core.training.adaptive_views import refresh_callbacks
from bam_core.training.batches import GlobalBatches, batch_loader
from bam_core.training.callbacks import CleanStop, Watch
from bam_core.training.data_workers import deaths_explained
from bam_core.training.history import Lines
from bam_core.training.module import PretrainModule
from bam_core.training.trainer import make_trainer, quiet_lightning


def recipe_in_memory(
    modality: Modality,
    *,
    data: Mapping[str, Any],
    views: Mapping[str, Any],
    encoder: Mapping[str, Any],
    objective: Mapping[str, Any],
    train: Mapping[str, Any],
) -> Resolved:
    """A checked recipe for data in memory.

    Args:
        modality: of the data; where `views` or `encoder` has no name, its first is taken.
        data: options of `Modality.from_memory`.
        views: as in a recipe, like the following.
        encoder: as there.
        objective: as there.
        train: as there.

    Raises:
        InputError: the modality takes no data in memory, or needs to know more about them.
        RecipeError: names every option that does not exist, and every value out of range.
    """
    if modality.from_memory is None:
        raise InputError(f"the modality {modality.name!r} does not take rows in memory: it has no from_memory.")
    for option in keyword_parameters(modality.from_memory):
        if option.default is option.empty and option.name not in data:
            raise InputError(f"rows for {modality.name!r} need {option.name}: pass data={{{option.name!r}: ...}}.")
    raw = {
        "modality": modality.name,
        "data": {"reader": "memory", **data},
        "views": {"name": next(iter(modality.views)), **views},
        "encoder": {"name": next(iter(modality.encoders)), **encoder},
        "objective": dict(objective),
        "train": dict(train),
    }
    known = replace(modality, readers={"memory": modality.from_memory})
    return check_recipe(raw, where="BAMEmbedder", modality=known)


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        parts: what it was made of.
        objective: trained.
        n_steps: that were made.
    """

    parts: Parts
    objective: Objective
    n_steps: int


def pretrain_in_memory(
    recipe: Resolved,
    data: PreparedData,
    *,
    total_steps: int,
    groups: np.ndarray | None = None,
    callbacks: Sequence[lightning.Callback] = (),
    progress: bool = False,
) -> Trained:
    """Pretrain on data that have been read.

    Torch's global random state is as before afterwards; what is random here follows from `train.seed`. The learning
    rate warms up for a pass, and for a tenth of the steps at most.

    Args:
        recipe: how; its own `data` and `train.epochs` are not used.
        data: with the split "train".
        total_steps: optimiser steps; the run may end within a pass over the rows.
        groups: (n,) what each row belongs to, for `train.groups_per_batch`.
        callbacks: further ones of Lightning.
        progress: print an estimate of the time, and lines with what has been reached.

    Raises:
        NonFiniteError: NaN or infinity in a step.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    stop = CleanStop("Stopping after this step. Press Ctrl-C again to stop at once.")
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        parts = assemble(recipe, data)
        batches = GlobalBatches(
            len(data.splits["train"]),
            batch_size=recipe.train.batch_size,
            seed=recipe.train.seed,
            groups=groups,
            groups_per_batch=recipe.train.groups_per_batch,
        )
        passes = math.ceil(total_steps / len(batches))
        settings = recipe.train.model_copy(update={"epochs": passes, "batch_size": batches.batch_size})
        module = PretrainModule(
            parts.objective(total_steps),
            settings,
            total_steps=total_steps,
            steps_per_epoch=min(len(batches), max(1, total_steps // 10)),
            folder=None,
            view_shards=batches.view_shards(settings.view_shards),
        )
        rows = parts.training_set(batches.draw_seed)
        lines = Lines(
            lambda: rows.__getitems__(next(iter(batches))), batches.n_samples, batches.batch_size, total_steps
        )
        trainer = make_trainer(
            settings,
            [stop, Watch(batches), *refresh_callbacks(parts, settings), *callbacks, *([lines] if progress else [])],
            progress=False,
            logger=False,
            max_steps=total_steps,
        )
        with quiet_lightning(), deaths_explained("train.num_workers=0"):
            trainer.fit(module, batch_loader(rows, batches, settings.num_workers))
    if stop.requested:
        raise KeyboardInterrupt
    return Trained(parts, module.objective, trainer.global_step)
