"""What is wrong with a run, or with the files of one, after a kill: in words, "" for nothing."""

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils._pytree import tree_leaves

from bam_core.errors import BAMError
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.training.checkpoints import checkpoints, newest_checkpoint, read_checkpoint


def damage(folder: Path) -> str:
    """What is not whole in a run folder, in words."""
    for path in checkpoints(folder / "checkpoints"):
        try:
            read_checkpoint(path)
        except BAMError as error:
            return str(error)
    if (folder / "encoder").exists():
        try:
            PretrainedEncoder.from_pretrained(folder / "encoder", local_files_only=True)
        except (BAMError, OSError) as error:
            return str(error)
    return ""


def difference(alone: Path, other: Path) -> str:
    """What differs between two runs, in words: weights, moments of the optimiser, figures, encoder."""
    states = [newest_checkpoint(folder / "checkpoints") for folder in (alone, other)]
    if None in states:
        return "there is no checkpoint"
    for part in ("global_step", "state_dict", "optimizer_states"):
        one, two = (tree_leaves(state.state[part]) for state in states if state is not None)
        if len(one) != len(two) or not all(_same(a, b) for a, b in zip(one, two, strict=True)):
            return f"{part} of the last checkpoint differs from that of a run left alone"
    if _figures(alone) != _figures(other):
        return "metrics.csv differs from that of a run left alone"
    for name in ("encoder", "teacher"):
        files = [folder / name / "model.safetensors" for folder in (alone, other)]
        with suppress(OSError):
            if files[0].read_bytes() == files[1].read_bytes():
                continue
        return f"{name} differs from that of a run left alone"
    return ""


def _same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b


def _figures(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "samples/s"} for row in csv.DictReader(file)]


def other_table(found: Path, expected: Path) -> str:
    """What is wrong with a parquet file, in words, against the one that is expected."""
    try:
        same = pd.read_parquet(found).equals(pd.read_parquet(expected))
    except (OSError, ValueError) as error:
        return f"{found.name} cannot be read: {error}"
    return "" if same else f"{found.name} differs from that of a call left alone"
