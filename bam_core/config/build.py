"""From a checked recipe to the parts of a run: data, views, encoder, objective."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from bam_core.changed_views import ChangedViews
from bam_core.config.options import Named
from bam_core.config.recipe import Resolved
from bam_core.config.weights import load_weights
from bam_core.data import DrawnDataset, PreparedData, SplitDataset
from bam_core.data.row_budget import rows_at_a_time
from bam_core.errors import RecipeError
from bam_core.labelled_views import LabelledViews
from bam_core.protocols import Loader, Modality, Objective, ViewFn

N_FIRST = 1024  # samples that tell a new objective the scale of the embeddings, at most


@dataclass(frozen=True)
class Parts:
    """What a recipe names, built.

    Attributes:
        resolved: the recipe.
        modality: the adapter of the domain, with the facts of the data.
        data: prepared by the reader.
        encoder_config: name and all options of the encoder, facts of the data filled in.
        encoder: fresh, with weights from the recipe's seed.
        view_fn: makes views.
    """

    resolved: Resolved
    modality: Modality
    data: PreparedData
    encoder_config: dict[str, Any]
    encoder: nn.Module
    view_fn: ViewFn

    def dataset(self, split: str) -> SplitDataset:
        """The rows of a split, in batches."""
        return SplitDataset(self.data.splits[split], self.modality.collate, self.data.facts)

    @property
    def loader(self) -> Loader | None:
        """What draws where data are read, if the views do."""
        loader: Loader | None = getattr(self.view_fn, "loader", None)
        return loader

    def training_set(self, seed: Callable[[], Sequence[int]]) -> SplitDataset:
        """The rows of train as the views want them.

        Args:
            seed: gives the numbers that draws follow from where data are read.
        """
        rows, facts = self.data.splits["train"], self.data.facts
        labels = self._labels() if self.resolved.needs_labels else None
        if self.loader is None:
            return SplitDataset(rows, self.modality.collate, facts, labels)
        return DrawnDataset(rows, self.loader, facts, seed, labels)

    def _labels(self) -> np.ndarray:
        labels = self.data.labels("train")
        if labels is None or labels.ndim != 1 or labels.dtype.kind == "f" or not (labels >= 0).any():
            raise RecipeError(
                f"objective {self.resolved.objective.name!r} learns from the labels of train and expected one class a "
                "row; these data have none. Name the column of the labels in `data`, or take another objective."
            )
        return labels

    def objective(self, total_steps: int, *, state_follows: bool = False) -> Objective:
        """The recipe's objective around encoder and views, with every parameter made.

        Args:
            total_steps: of the run.
            state_follows: its state is loaded next, so that the weights that the run began with are not needed.

        Raises:
            DataError: weights to start from that do not fit.
            RecipeError: terms for an objective that is not made of terms, or no labels for one that needs some.
        """
        if self.resolved.weights is not None and not state_follows:
            load_weights(self.resolved.weights, self.encoder)
        name, train = self.resolved.objective, self.resolved.train
        options = dict(name.options) | ({} if train.micro_batch is None else {"micro_batch": train.micro_batch})
        objective: Objective = name.factory(self.encoder, self.view_fn, total_steps=total_steps, **options)
        self._add_terms(objective, total_steps)
        n = len(self.data.splits["train"])
        n_first = N_FIRST if options.get("projector_standardize", True) else 2  # only the width is asked for
        rows = np.random.default_rng(train.seed).permutation(n)[: min(train.batch_size, n_first)]
        objective.initialize(self.training_set(lambda: (train.seed, 0)).__getitems__(rows.tolist()))
        return objective

    def _add_terms(self, objective: Any, total_steps: int) -> None:
        if not self.resolved.terms:
            return
        if not hasattr(objective, "add_terms"):
            name = self.resolved.objective.name
            raise RecipeError(
                f"objective.terms: the objective {name!r} is not made of terms, and takes no further ones."
            )
        terms: dict[str, nn.Module] = {}
        weights: dict[str, Any] = {}
        for added in self.resolved.terms:
            word = added.word
            while word in terms or word in objective.terms:
                word += "_2"
            terms[word] = added.term.factory(**added.term.with_facts(self.data.facts))
            weights[word] = added.weight
        objective.add_terms(terms, weights=weights, total_steps=total_steps)


def read_data(resolved: Resolved) -> PreparedData:
    """Run the recipe's reader, or open what it prepared before."""
    data: PreparedData = resolved.reader.factory(**resolved.reader.options)
    return data


def build(resolved: Resolved) -> Parts:
    """Read the data and make the parts; the weights follow from `train.seed`.

    Raises:
        BAMError: options that neither recipe nor data give, or unusable data.
    """
    return assemble(resolved, read_data(resolved))


def assemble(resolved: Resolved, data: PreparedData) -> Parts:
    """Make the parts for data that have been read; the recipe's own `data` is not read.

    Raises:
        BAMError: as in `build`.
    """
    encoder_options = resolved.encoder.with_facts(data.facts)
    torch.manual_seed(resolved.train.seed)
    encoder = resolved.encoder.factory(**encoder_options)
    view_fn = resolved.views.factory(**resolved.views.with_facts(data.facts))
    if resolved.changes:
        view_fn = ChangedViews(view_fn, [_with_options(change, data.facts) for change in resolved.changes])
    if resolved.needs_labels:
        view_fn = LabelledViews(view_fn)
    config = {"name": resolved.encoder.name, **encoder_options}
    parts = Parts(resolved, resolved.modality.with_facts(data.facts), data, config, encoder, view_fn)
    _calibrate(parts, resolved.train.seed)
    return parts


def _with_options(change: Named, facts: Mapping[str, Any]) -> Callable[..., Any]:
    known = change._replace(options={**change.options, "generator": None})
    return partial(change.factory, **{k: v for k, v in known.with_facts(facts).items() if k != "generator"})


def _calibrate(parts: Parts, seed: int) -> None:
    """Show rows of train, as many as are embedded at a time, to encoder and views that have `calibrate(batch)`."""
    shown: list[Any] = [part for part in (parts.encoder, parts.view_fn) if hasattr(part, "calibrate")]
    if not shown:
        return
    rows = np.random.default_rng(seed).permutation(len(parts.data.splits["train"]))
    rows = rows[: rows_at_a_time(parts.data.facts)]
    batch = parts.dataset("train").__getitems__(rows.tolist())
    for part in shown:
        part.calibrate(batch)
