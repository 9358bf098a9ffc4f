"""What a run folder says about itself: the data it was begun with, and which encoder lies in it."""

import csv
import hashlib
import json
import os
import time
import warnings
from pathlib import Path

from bam_core.config.recipe import Resolved, load_recipe
from bam_core.data import PreparedData
from bam_core.errors import DataError, RecipeError
from bam_core.loss.collapse import End, end_of_training
from bam_core.outputs import written
from bam_core.runs.pretrained import PretrainedEncoder


def new_run(name: str) -> Path:
    """A folder for a run of the recipe of this name.

    Raises:
        RecipeError: torchrun or SLURM started several processes, each of which would take another folder.
    """
    if any(int(os.environ.get(name, 1)) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS")):
        raise RecipeError("a run of several processes expected the name of its folder: run=runs/NAME.")
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def encoder_folder(folder: Path, *, teacher: bool = False) -> Path:
    """Where a run keeps its encoder, or its teacher's."""
    return folder / ("teacher" if teacher else "encoder")


def steps_of_encoder(folder: Path) -> int | None:
    """Optimiser steps behind the encoder of a run, if there is one; of a run that was stopped they are fewer."""
    config = encoder_folder(folder) / "config.json"
    return json.loads(config.read_text(encoding="utf-8"))["source"].get("steps") if config.is_file() else None


def weights_digest(folder: Path, *, teacher: bool = False) -> bytes:
    """Identifies the weights of an encoder of a run; empty if there is none."""
    return file_digest(encoder_folder(folder, teacher=teacher) / "model.safetensors")


def file_digest(file: Path) -> bytes:
    """SHA-256 of a file; empty if there is none."""
    if not file.is_file():
        return b""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def end_of_run(folder: Path) -> End | None:
    """How the training of a run ended, from `metrics.csv`; None if that says nothing of an attention."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        return end_of_training(list(csv.DictReader(file)))


def check_data(folder: Path, data: PreparedData) -> None:
    """See that data have the rows that a run was begun with, in the same splits; files may have moved.

    A run of before rows were recorded passes; if its files have changed or moved, a warning says so.

    Args:
        folder: of the run.
        data: that its recipe names, as they are now.

    Raises:
        DataError: rows were added or taken away, or have other names, splits, labels or groups.
    """
    about = folder / "environment.json"
    known = json.loads(about.read_text(encoding="utf-8"))["data"] if about.is_file() else None
    if known is None or known["fingerprint"] == data.fingerprint or known.get("rows_hash") == data.rows_hash():
        return
    then, now = (
        ", ".join(f"{n:,} of {split}" for split, n in sorted(rows.items()))
        for rows in (known["rows"], {split: len(rows) for split, rows in data.splits.items()})
    )
    if "rows_hash" not in known:
        warnings.warn(
            f"the files of the data have changed or moved since the run {str(folder)!r} was begun (rows then: {then}; "
            f"now: {now}), and it does not record which rows it had: some of test may have been trained on.",
            stacklevel=2,
        )
        return
    raise DataError(
        f"the run {str(folder)!r} expected the rows that it was begun with; the data have changed since. Then: {then}; "
        f"now: {now}{', with other names, splits, labels or groups' * (then == now)}. Splits are drawn anew, so that "
        "rows of train may now be in test. Bring the data back as they were, or pretrain in another folder with "
        "run=NAME."
    )


def load_run(folder: Path, *, trusted: bool = False) -> Resolved:
    """The recipe of a run folder.

    Args:
        folder: of the run.
        trusted: run the Python files that it names, also those of a run that somebody else made.

    Raises:
        RecipeError: the folder is no run, or names a Python file that is not trusted.
    """
    if not (folder / "recipe.yaml").is_file():
        raise RecipeError(f"{str(folder)!r} is not a run folder: it has no recipe.yaml. bam pretrain makes one.")
    return load_recipe(folder / "recipe.yaml", trusted=trusted)


def load_encoder(folder: Path, *, teacher: bool = False, trusted: bool = False) -> PretrainedEncoder:
    """The encoder of a run.

    Args:
        folder: of the run.
        teacher: the teacher's.
        trusted: run the Python files that it names, also those of a run that somebody else made.

    Raises:
        RecipeError: there is none yet, or no teacher; or it names a Python file that is not trusted.
    """
    saved = encoder_folder(folder, teacher=teacher)
    if not (saved / "config.json").is_file():
        if teacher and steps_of_encoder(folder) is not None:
            raise RecipeError(
                f"the run {str(folder)!r} has no teacher: objective.momentum makes one, from the first step on. Take "
                "its encoder, without --teacher."
            )
        raise RecipeError(
            f"the run {str(folder)!r} has no {saved.name} yet: it has not ended. bam pretrain {folder / 'recipe.yaml'} "
            f"run={folder} goes on."
        )
    loaded: PretrainedEncoder = PretrainedEncoder.from_pretrained(saved, trusted=trusted, local_files_only=True)
    return loaded


def write_set_aside(path: Path, data: PreparedData) -> None:
    """Name the inputs that could not be used in a CSV file, if there are any; a file of before does not stay."""
    path.unlink(missing_ok=True)
    if data.set_aside:
        with written(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("source", "reason"))
            writer.writerows(data.set_aside)
