"""The encoders of some runs, each with its label-free criteria."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from bam_core.config.build import Parts, build
from bam_core.diagnostics import embedding_spread, rankme
from bam_core.runs.kept import kept_encoders
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import check_data, load_encoder, load_run, steps_of_encoder
from bam_core.selection.criteria import alpha_req, lidar, view_agreement
from bam_core.training.batches import mixed_seed
from bam_core.views import make_views

N_ROWS = 512  # of train
N_VIEWS = 8  # of each row
AT_A_TIME = 64
LOGGED = ("loss", "kl", "target_entropy", "attention_entropy")

CRITERIA = {
    "rankme": "effective rank of embeddings (uncentred); more is said to be better",
    "lidar": "effective rank of differences between samples, by those between views; more is said to be better",
    "alpha_req": "exponent of the spectrum; near 1 is said to be better",
    "view_agreement": "part of the 10 nearest samples that two views have in common; more is steadier",
    "spread": "one minus the mean cosine of two rows; 0 is collapse",
    "loss": "of the training, at that step",
    "kl": "of target and attention, at that step, in nats",
    "target_entropy": "mean entropy of the targets, at that step, in nats",
    "attention_entropy": "mean entropy of the attention, at that step, in nats",
}
"""What each column of the table is."""

SHOWN_TO_WORK: tuple[str, ...] = ()
"""Criteria that were shown to choose well; see docs/selecting.md."""


class Candidate(NamedTuple):
    """An encoder.

    Attributes:
        run: its run folder.
        step: optimiser steps behind it.
        encoder: the network.
    """

    run: Path
    step: int
    encoder: PretrainedEncoder


def select(run_folders: Sequence[Path], *, seed: int = 0, trusted: bool = False) -> pd.DataFrame:
    """The criteria of every encoder that runs keep, a row each: `run`, `step`, then those of `CRITERIA`.

    Embeddings are those of up to 512 rows of train, and of eight views of each, drawn as in the training. No label is
    looked at.

    Args:
        run_folders: of the runs.
        seed: of the rows and views.
        trusted: run the Python files that the runs name, also if somebody else made them.

    Raises:
        BAMError: a folder is no run, has no encoder yet, or its data have changed.
    """
    rows = []
    for folder in run_folders:
        parts = build(load_run(folder, trusted=trusted))
        check_data(folder, parts.data)
        logged = _log(folder)
        for candidate in candidates(folder, trusted=trusted):
            found: dict[str, Any] = {"run": str(folder), "step": candidate.step}
            found |= criteria(candidate.encoder, parts, seed=seed)
            rows.append(found | _at(logged, candidate.step))
    table = pd.DataFrame(rows)
    return table[["run", "step", *(name for name in CRITERIA if name in table)]]


def candidates(folder: Path, *, trusted: bool = False) -> list[Candidate]:
    """The encoders of a run: those that `train.keep` kept, and the last one.

    Raises:
        RecipeError: there is none yet.
    """
    last = load_encoder(folder, trusted=trusted)
    end = steps_of_encoder(folder) or 0
    kept = [
        Candidate(folder, step, PretrainedEncoder.from_pretrained(path, trusted=trusted, local_files_only=True))
        for step, path in kept_encoders(folder)
        if step != end
    ]
    return [*kept, Candidate(folder, end, last)]


@torch.no_grad()
def criteria(encoder: PretrainedEncoder, parts: Parts, *, seed: int = 0) -> dict[str, float]:
    """The criteria of one encoder that are computed from embeddings.

    Args:
        encoder: trained.
        parts: of its run.
        seed: of the rows and views.
    """
    dataset = parts.dataset("train")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:N_ROWS])
    plain, views = [], []
    for start in range(0, len(chosen), AT_A_TIME):
        batch = parts.dataset("train").__getitems__(chosen[start : start + AT_A_TIME].tolist())
        plain.append(encoder(batch))
        views.append(_views(encoder, parts, batch, mixed_seed(seed, start)))
    embeddings, of_views = torch.cat(plain), torch.cat(views)
    found = dict.fromkeys(("rankme", "lidar", "alpha_req", "view_agreement", "spread"), math.nan)
    some = embeddings[embeddings.isfinite().all(dim=1) & embeddings.any(dim=1)]
    if len(some) > 1:
        found |= {"rankme": rankme(some), "alpha_req": alpha_req(some), "spread": embedding_spread(some)}
    steady = of_views[of_views.flatten(1).isfinite().all(dim=1) & of_views.any(dim=2).all(dim=1)]
    if len(steady) > 1:
        found |= {"lidar": lidar(steady), "view_agreement": view_agreement(steady[:, 0], steady[:, 1])}
    return found


def _views(encoder: PretrainedEncoder, parts: Parts, batch: Any, seed: int) -> torch.Tensor:
    """(b, q, d) embeddings of several views of each row."""
    generator = torch.Generator().manual_seed(seed)
    found: list[torch.Tensor] = []
    while len(found) < N_VIEWS:
        found += [encoder(view) for view in make_views(parts.view_fn, batch, generator).global_views]
    return torch.stack(found[:N_VIEWS], dim=1)


def _log(folder: Path) -> list[dict[str, str]]:
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _at(rows: list[dict[str, str]], step: int) -> dict[str, float]:
    """What was logged last before or at a step."""
    before = [row for row in rows if int(row["step"]) <= step] or rows[:1]
    return {name: float(before[-1][name]) for name in LOGGED if before and before[-1].get(name)}
