"""A pretraining run: recipe in, folder out.

The folder holds `recipe.yaml` (resolved), `environment.json`, `metrics.csv`, `checkpoints/`, `encoder/` (what the run
is for), with `train.keep` earlier encoders in `kept/`, `knn.csv` with `train.knn_every`, `set_aside.csv` if inputs were
left out, and after evaluation `results.json` and `report.html`.
"""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.collectives import rank
from bam_core.config.build import Parts, build
from bam_core.config.recipe import ROWS, Resolved
from bam_core.config.schema import other_run
from bam_core.config.trust import files_in, remember
from bam_core.data import PreparedData
from bam_core.data.drift import FACT, ranges
from bam_core.errors import RecipeError
from bam_core.outputs import explained, make_folder, write_text, written_folder
from bam_core.runs.environment import environment
from bam_core.runs.kept import Keep
from bam_core.runs.lock import LOCK, only_here
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import check_data, load_run, steps_of_encoder, write_set_aside
from bam_core.sharding import to_full
from bam_core.training.adaptive_views import refresh_callbacks
from bam_core.training.batches import GlobalBatches, batch_loader
from bam_core.training.callbacks import CleanStop, MetricsFile, Watch, keep_rows
from bam_core.training.checkpoints import Checkpoint, Checkpoints, newest_checkpoint
from bam_core.training.data_workers import deaths_explained
from bam_core.training.loggers import make_loggers, remember_records
from bam_core.training.module import PretrainModule
from bam_core.training.online_knn import OnlineKNN
from bam_core.training.trainer import make_trainer, quiet_lightning

FEW_STEPS = 300  # below, a run says so before it starts


def pretrain(recipe: Resolved, folder: Path, *, resume: bool = False, progress: bool = True) -> Path:
    """Pretrain an encoder and leave everything in a folder.

    A folder that holds an unfinished run of the same recipe is continued, to the bit; a finished one is left alone. The
    Python files that the recipe names are remembered as trusted, see `bam_core.config.trust`.

    Args:
        recipe: what to run.
        folder: of the run.
        resume: insist that there is something to continue.
        progress: show a bar.

    Returns:
        The folder.

    Raises:
        RecipeError: the folder holds something else, or nothing to resume; or another process is at work in it.
        DataError: no checkpoint in the folder can be read; the data are not those that the run was begun with; or a
            process that reads them was killed.
        OutputError: a full disk, or a folder that cannot be written to; the checkpoint before is as it was.
        NonFiniteError: NaN or infinity in a step, unless `train.on_nan` is "skip".
        KeyboardInterrupt: Ctrl-C or SIGTERM; checkpoint and encoder of that moment are in the folder.
    """
    remember(files_in(recipe.recipe.model_dump(mode="json")))
    with only_here(folder):
        return _pretrain(recipe, folder, resume=resume, progress=progress)


def _pretrain(recipe: Resolved, folder: Path, *, resume: bool, progress: bool) -> Path:
    checkpoint = _open_folder(folder, recipe, resume)
    parts = build(recipe)
    if checkpoint is not None:
        check_data(folder, parts.data)
    settings = recipe.train
    metrics = MetricsFile(folder / "metrics.csv", settings.log_every)
    stop = CleanStop()
    knn = folder / "knn.csv"
    loggers = make_loggers(settings, folder, recipe.recipe.model_dump(mode="json"))
    trainer = make_trainer(
        settings,
        [
            metrics,
            stop,
            *refresh_callbacks(parts, settings),
            *([] if settings.knn_every is None else [OnlineKNN(parts, settings, knn)]),
            Checkpoints(folder / "checkpoints", settings.checkpoint_every),
        ],
        progress=progress,
        logger=loggers,
        default_root_dir=folder,
    )
    batches = GlobalBatches(
        len(parts.data.splits["train"]),
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        groups=_groups(parts.data, settings.groups_per_batch),
        groups_per_batch=settings.groups_per_batch,
    )
    total_steps = len(batches) * settings.epochs
    if checkpoint is not None and checkpoint.step >= total_steps and steps_of_encoder(folder) == total_steps:
        return folder
    if trainer.is_global_zero:
        _describe(folder, recipe, parts.data, checkpoint)
        remember_records(folder, loggers)
        print(parts.data.account(), flush=True)
    if trainer.is_global_zero:
        keep_rows(knn, 0 if checkpoint is None else checkpoint.step)
    if checkpoint is not None:
        if trainer.is_global_zero:
            metrics.keep_until(checkpoint.step)
        batches.start_at(*divmod(checkpoint.step, len(batches)))
    trainer.callbacks.append(Watch(batches))  # type: ignore[attr-defined]
    if total_steps < FEW_STEPS and trainer.is_global_zero:
        print(
            f"This run takes {total_steps} optimiser steps. In fewer than some hundred an encoder learns little: raise "
            "train.epochs, or lower train.batch_size.",
            flush=True,
        )
    if settings.keep > 1:
        keep = Keep(folder, settings.keep, total_steps, partial(_keep, recipe, parts))
        trainer.callbacks.append(keep)  # type: ignore[attr-defined]
    objective = parts.objective(total_steps, state_follows=checkpoint is not None)
    module = PretrainModule(
        objective,
        settings,
        total_steps=total_steps,
        steps_per_epoch=len(batches),
        folder=folder,
        view_shards=batches.view_shards(settings.view_shards),
    )
    started = time.perf_counter()
    go_on = f"bam pretrain {folder / 'recipe.yaml'} run={folder} train.num_workers=0"
    with quiet_lightning(), explained(folder, also_reads=True), deaths_explained(go_on):
        loader = batch_loader(parts.training_set(batches.draw_seed), batches, settings.num_workers)
        trainer.fit(module, loader, ckpt_path=checkpoint and checkpoint.path, weights_only=True)
    trained = networks(objective)
    if trainer.is_global_zero:
        minutes = round((time.perf_counter() - started) / 60, 2)
        save_encoders(folder, parts, trained, {**_source(recipe, parts, trainer.global_step), "minutes": minutes})
    trainer.strategy.barrier()  # when the first process ends after an interrupt, Lightning ends the others
    if stop.requested or trainer.global_step < total_steps:  # whichever rank was asked to stop
        raise KeyboardInterrupt
    return folder


def _source(recipe: Resolved, parts: Parts, steps: int) -> dict[str, Any]:
    rows = {split: len(found) for split, found in parts.data.splits.items()}
    return {
        "recipe": recipe.recipe.model_dump(mode="json"),
        "data": parts.data.fingerprint,
        "rows": rows,
        "steps": steps,
    }


def _keep(recipe: Resolved, parts: Parts, folder: Path, objective: Any, step: int) -> None:
    """Write the networks of a step; every rank has to call this together."""
    trained = networks(objective)
    if rank() == 0:
        save_encoders(folder, parts, trained, _source(recipe, parts, step))


def _groups(data: PreparedData, wanted: int | None) -> np.ndarray | None:
    if wanted is None:
        return None
    groups = data.groups("train")
    if groups is None:
        raise RecipeError("train.groups_per_batch expected data with groups; the reader found none (option groups).")
    return groups


def networks(objective: Any) -> dict[str, dict[str, Any]]:
    """Weights of `encoder`, and of `teacher` if there is one; every rank has to call this together."""
    found = {"encoder": objective.encoder}
    teacher = getattr(objective, "teacher", None)
    if teacher is not None:
        found["teacher"] = teacher.module.encoder
    return {k: {name: to_full(value) for name, value in v.state_dict().items()} for k, v in found.items()}


def save_encoders(folder: Path, parts: Parts, trained: dict[str, dict[str, Any]], source: dict[str, Any]) -> None:
    """Write `encoder/`, and `teacher/` if there is a teacher, for `PretrainedEncoder.from_pretrained`."""
    facts = {**parts.data.facts, FACT: ranges(parts.data, parts.modality)}
    for name, weights in reversed(trained.items()):  # the encoder is last: with it the run is finished
        saved = PretrainedEncoder(
            modality=source["recipe"]["modality"],
            encoder=parts.encoder_config,
            facts=facts,
            source={**source, "network": name},
            trusted=True,
        )
        saved.encoder.load_state_dict(weights)
        with written_folder(folder / name) as partial:
            saved.save_pretrained(partial)


def _open_folder(folder: Path, recipe: Resolved, resume: bool) -> Checkpoint | None:
    """What to continue from, if the folder holds a run of this recipe."""
    checkpoint = newest_checkpoint(folder / "checkpoints")
    if resume and checkpoint is None:
        raise RecipeError(f"resume=true expected a checkpoint in {str(folder / 'checkpoints')!r}; there is none.")
    if (folder / "recipe.yaml").is_file():
        changed = other_run(load_run(folder).recipe, recipe.recipe)
        if changed:
            raise RecipeError(
                f"the run folder {str(folder)!r} holds a run of another recipe; changed: {', '.join(changed)}. Take "
                "another folder with run=NAME, or the recipe.yaml in the folder."
            )
    elif {f.name for f in folder.iterdir() if not f.name.startswith(".partial-")} - {"recipe.yaml.partial", LOCK, ROWS}:
        raise RecipeError(f"the run folder {str(folder)!r} is not empty and no run. Take another with run=NAME.")
    return checkpoint


def _describe(folder: Path, recipe: Resolved, data: PreparedData, checkpoint: Checkpoint | None) -> None:
    """Write what the run is, before it starts."""
    make_folder(folder)
    about = environment(recipe.recipe, data)
    if checkpoint is not None and (folder / "environment.json").exists():
        before = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        again = {"step": checkpoint.step, "started": about["started"], "command": about["command"]}
        about = {**before, "resumed": [*before.get("resumed", []), again]}
    else:
        about["data"]["rows_hash"] = data.rows_hash()
    write_text(folder / "recipe.yaml", recipe.recipe.to_yaml())
    write_text(folder / "environment.json", json.dumps(about, indent=1))
    write_set_aside(folder / "set_aside.csv", data)
