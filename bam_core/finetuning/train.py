"""One model: which rows it learns from, which decide when to stop, and its training."""

import copy
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from bam_core.config.schema import TrainSettings
from bam_core.data import SplitDataset
from bam_core.finetuning.fit import Labelled, fit
from bam_core.finetuning.layers import learning
from bam_core.finetuning.module import Finetuner, Predictor
from bam_core.finetuning.settings import FinetuneSettings
from bam_core.finetuning.task import Task
from bam_core.probes.folds import make_splits
from bam_core.probes.inputs import labelled
from bam_core.runs.features import embed

FEWEST_HELD_OUT = 10
LOOKS = 40


class Rows(NamedTuple):
    """Rows to learn from, with the split that they lie in.

    Attributes:
        dataset: the split's batches.
        labels: (n,) or (n, c) of the whole split; -1 or NaN for rows that are not to be used.
        groups: (n,) whose rows must stay together, or None.
    """

    dataset: SplitDataset
    labels: np.ndarray
    groups: np.ndarray | None = None


class HeldOut(NamedTuple):
    """Rows that decide when to stop: places in the split of train or of validation, and what they were divided by."""

    fit: np.ndarray
    held_out: np.ndarray
    made_of: str


def hold_rows_out(rows: Rows, share: float, seed: int) -> HeldOut:
    """Divide labelled rows of train, by group where that leaves classes on both sides.

    Args:
        rows: of train.
        share: to be held out.
        seed: of the division.

    Returns:
        Places of the rows; none are held out where they would be fewer than ten.
    """
    known = np.flatnonzero(labelled(rows.labels))
    nothing = HeldOut(known, known[:0], "nothing")
    if share * len(known) < FEWEST_HELD_OUT:
        return nothing
    groups = None if rows.groups is None else rows.groups[known]
    found = make_splits(rows.labels[known], groups, folds=max(2, round(1 / share)), seed=seed)
    if not found.splits:
        return nothing
    first = found.splits[0]
    return HeldOut(known[first.fit], known[first.held_out], found.made_of)


class Fitted(NamedTuple):
    """A trained predictor.

    Attributes:
        predictor: with its best weights.
        n_labels: rows that it learnt from, those that decided when to stop included.
        stopped_on: what the held-out rows were made of: "validation split", "groups", "rows", or "nothing".
        steps: of the weights that were taken.
    """

    predictor: Predictor
    n_labels: int
    stopped_on: str
    steps: int


def train_predictor(
    encoder: nn.Module,
    task: Task,
    train: Rows,
    settings: FinetuneSettings,
    of_run: TrainSettings,
    *,
    pretrained: bool,
    metric: str,
    seed: int,
    validation: Rows | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> Fitted:
    """Fine-tune a copy of an encoder, or train it from scratch.

    Args:
        encoder: pretrained, or with random weights; it stays as it is.
        task: kind of labels.
        train: rows to learn from.
        settings: how.
        of_run: where and in which precision to compute.
        pretrained: whether layers learn at different rates, after the linear layer; from scratch all learn alike.
        metric: that held-out rows are evaluated by.
        seed: of order and division.
        validation: rows of a validation split that decide when to stop, in place of held-out rows of train.
        folder: for checkpoints.
        progress: show a bar.

    Raises:
        DataError: fewer than two labelled rows.
        RecipeError: a layer that does not exist.
        KeyboardInterrupt: it was interrupted.
    """
    known = np.flatnonzero(labelled(train.labels))
    if validation is not None and labelled(validation.labels).any():
        places = HeldOut(known, np.flatnonzero(labelled(validation.labels)), "validation split")
        judged: Rows = validation
    else:
        places, judged = hold_rows_out(train, settings.held_out, seed), train

    def trained(fit_on: np.ndarray, judged_on: np.ndarray, where: Path | None, until: float = 1.0) -> Finetuner:
        torch.manual_seed(seed)
        network = copy.deepcopy(encoder)
        layers = learning(network, settings.freeze if pretrained else "none")
        embeddings = embed(network, _some(train.dataset, seed), what="embedding rows of train")
        predictor = Predictor(network, width=embeddings.shape[1], n_outputs=task.n_outputs)
        predictor.standardise_by(embeddings)
        n_batches = max(1, len(fit_on) // min(settings.batch_size, len(fit_on)))
        epochs = max(settings.epochs, math.ceil(settings.min_steps / n_batches))
        training = of_run.model_copy(
            update={
                "epochs": epochs, "batch_size": settings.batch_size, "seed": seed, "gradient_clip": 1.0,
                "log_every": 1, "strategy": "auto", "devices": 1, "num_nodes": 1, "micro_batch": None,
            }
        )  # fmt: skip
        balanced = settings.class_weights == "balanced"
        return fit(
            lambda steps: Finetuner(
                predictor,
                task,
                layers,
                steps=steps,
                learning_rate=settings.learning_rate,
                head_learning_rate=settings.head_learning_rate if pretrained else settings.learning_rate,
                layer_decay=settings.layer_decay if pretrained else 1.0,
                head_warmup=settings.head_warmup if pretrained else 0.0,
                weight_decay=settings.weight_decay,
                patience=settings.patience,
                weights=task.weights(train.labels[fit_on]) if balanced else None,
                metric=metric,
                seed=seed,
                until=until,
            ),
            lambda _: Labelled(train.dataset, fit_on, train.labels),
            None if not len(judged_on) else Labelled(judged.dataset, judged_on, judged.labels),
            training,
            where,
            progress=progress,
            look_every=max(1, epochs // LOOKS),
        )

    model = trained(places.fit, places.held_out, folder)
    best = max(model.history, key=lambda look: look.quality).step if model.history else model.steps
    if settings.refit and len(places.fit) < len(known):
        again = trained(known, known[:0], None if folder is None else folder / "refit", best / model.steps)
        return Fitted(again.take_best().cpu(), len(known), places.made_of, again.last_step)
    return Fitted(model.take_best().cpu(), len(known), places.made_of, best)


def _some(dataset: SplitDataset, seed: int, most: int = 4096) -> SplitDataset:
    """Some rows of a split, labelled or not: the deviations of a handful of labelled ones would say nothing."""
    some = copy.copy(dataset)
    some.rows = dataset.rows.select(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:most]))
    return some
