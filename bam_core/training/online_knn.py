"""How good the embeddings are while they are learnt: nearest neighbours in train every few passes, in `knn.csv`."""

import csv
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch

from bam_core.config.build import Parts
from bam_core.config.schema import TrainSettings
from bam_core.data.holdout import hold_out
from bam_core.errors import RecipeError
from bam_core.labels.strata import is_real
from bam_core.probes.fractions import balanced_rows
from bam_core.probes.inputs import labelled
from bam_core.probes.knn import knn_probe
from bam_core.training.adaptive_views import outputs_of_rows

BANK_FRACTION = 0.1
APART = 0.2  # of train, for queries where there is no validation split


class OnlineKNN(lightning.Callback):
    """kNN accuracy after every `train.knn_every` passes and at the end: a row of `knn.csv` each, and on the console.

    The bank is a class-balanced tenth of the labelled rows of train, the queries are those of the validation split.
    Where there is none, a fifth of train is kept out of the bank and asked about, whole groups if there are such. Never
    those of test. k = 20, weights exp(cosine / 0.07), embeddings of the student's encoder, of unit length. The labels
    teach the network nothing.

    Args:
        parts: with the data.
        settings: the recipe's `train` section.
        path: of the file.

    Raises:
        RecipeError: there are no labels of one class a row in train.

    Source: ECCV 2024, arXiv 2408.02014, section 4.1, whose queries are the validation images.
    """

    def __init__(self, parts: Parts, settings: TrainSettings, path: Path) -> None:
        self.settings, self.path = settings, path
        labels = parts.data.labels("train")
        if labels is None or labels.ndim != 1 or is_real(labels) or not labelled(labels).any():
            raise RecipeError("train.knn_every expected labels of train, one class a row; these data have none.")
        self.queries_of, of_split = "train", labels
        validation = parts.data.labels("validation") if "validation" in parts.data.splits else None
        if validation is not None and labelled(validation).any():
            self.queries_of, of_split = "validation", validation
        else:
            apart = hold_out(len(labels), APART, seed=settings.seed, labels=labels, groups=parts.data.groups("train"))
            labels, of_split = np.where(apart, -1, labels), np.where(apart, labels, -1)
        if not (labelled(labels).any() and labelled(of_split).any()):
            raise RecipeError("train.knn_every expected more labelled rows; a fifth of train has none, or the rest.")
        self.bank = balanced_rows(labels, BANK_FRACTION, seed=settings.seed)
        self.queries = np.flatnonzero(labelled(of_split))
        self.bank_labels, self.query_labels = labels[self.bank], of_split[self.queries]
        self.n_classes = int(max(labels.max(), of_split.max())) + 1
        self.dataset, self.query_set = parts.dataset("train"), parts.dataset(self.queries_of)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look if it is time."""
        passes = trainer.current_epoch + 1
        every = self.settings.knn_every
        due = every is not None and (passes % every == 0 or passes == self.settings.epochs)
        if due and trainer.is_last_batch:
            objective: Any = pl_module.objective
            bank, queries = (
                outputs_of_rows(rows.tolist(), dataset, objective.encoder, _embed, trainer, pl_module, self.settings)
                for rows, dataset in ((self.bank, self.dataset), (self.queries, self.query_set))
            )
            if trainer.is_global_zero:
                self._write(trainer.global_step, passes, self._accuracy(bank, queries))

    def _accuracy(self, bank: torch.Tensor, queries: torch.Tensor) -> float:
        if not (bank.isfinite().all() and queries.isfinite().all()):
            warnings.warn("kNN: the embeddings hold NaN or infinity; the accuracy counts as 0.", stacklevel=2)
            return 0.0
        scores = knn_probe(bank, self.bank_labels, queries, n_classes=self.n_classes)
        return float((scores.argmax(axis=1) == self.query_labels).mean())

    def _write(self, step: int, passes: int, accuracy: float) -> None:
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("step", "epoch", "accuracy", "bank", "queries", "queries_of"))
            writer.writerow((step, passes, round(accuracy, 5), len(self.bank), len(self.queries), self.queries_of))
        print(
            f"\nepoch {passes}: kNN accuracy {accuracy:.4f} ({len(self.queries)} rows of {self.queries_of})", flush=True
        )


def _embed(encoder: torch.nn.Module, batch: Any) -> torch.Tensor:
    embeddings: torch.Tensor = encoder(batch)
    return embeddings
