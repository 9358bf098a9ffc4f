"""From a checked recipe to the parts of a run: data, views, encoder, objective."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from bam_core.config.recipe import Recipe
from bam_core.config.registry import choose, complete, load_modality, load_objective
from bam_core.data import DrawnDataset, PreparedData, SplitDataset
from bam_core.data.row_budget import rows_at_a_time
from bam_core.errors import RecipeError
from bam_core.protocols import Loader, Modality, Objective, ViewFn
from bam_core.views import accepts_keyword

N_FIRST = 1024  # samples that tell a new objective the scale of the embeddings, at most


@dataclass(frozen=True)
class Parts:
    """What a recipe names, built.

    Attributes:
        modality: the adapter of the domain, with the facts of the data.
        data: prepared by the reader.
        encoder_config: name and all options of the encoder, facts of the data filled in.
        encoder: fresh, with weights from the recipe's seed.
        view_fn: makes views.
    """

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
        if self.loader is None:
            return self.dataset("train")
        return DrawnDataset(self.data.splits["train"], self.loader, self.data.facts, seed)

    def objective(self, recipe: Recipe, total_steps: int) -> Objective:
        """The recipe's objective around encoder and views, with every parameter made.

        Raises:
            RecipeError: `train.micro_batch` for an objective that cannot do it.
        """
        name, options = _named(recipe.objective)
        if recipe.train.micro_batch is not None:
            if not accepts_keyword(load_objective(name), "micro_batch"):
                raise RecipeError(f"train.micro_batch: the objective {name!r} needs the whole batch at once.")
            options["micro_batch"] = recipe.train.micro_batch
        objective: Objective = load_objective(name)(self.encoder, self.view_fn, total_steps=total_steps, **options)
        n = len(self.data.splits["train"])
        n_first = N_FIRST if options.get("projector_standardize", True) else 2  # only the width is asked for
        rows = np.random.default_rng(recipe.train.seed).permutation(n)[: min(recipe.train.batch_size, n_first)]
        objective.initialize(self.training_set(lambda: (recipe.train.seed, 0)).__getitems__(rows.tolist()))
        return objective


def read_data(recipe: Recipe, overrides: Mapping[str, Any] | None = None) -> PreparedData:
    """Run the recipe's reader, or open what it prepared before."""
    reader, options = _named({**recipe.data, **(overrides or {})}, "reader")
    modality = load_modality(recipe.modality)
    data: PreparedData = choose("data.reader", reader, modality.readers)(**options)
    return data


def build(recipe: Recipe) -> Parts:
    """Read the data and make the parts; the weights follow from `train.seed`.

    Raises:
        BAMError: unknown names, options that neither recipe nor data give, or unusable data.
    """
    return assemble(recipe, load_modality(recipe.modality), read_data(recipe))


def assemble(recipe: Recipe, modality: Modality, data: PreparedData) -> Parts:
    """Make the parts for data that have been read; the recipe's own `modality` and `data` are not looked at.

    Raises:
        BAMError: as in `build`.
    """
    name, options = _named(recipe.encoder)
    factory = choose("encoder.name", name, modality.encoders)
    encoder_options = complete(f"encoder {name!r}", factory, options, data.facts)
    torch.manual_seed(recipe.train.seed)
    encoder = factory(**encoder_options)
    view_name, view_options = _named(recipe.views)
    view_factory = choose("views.name", view_name, modality.views)
    view_fn = view_factory(**complete(f"views {view_name!r}", view_factory, view_options, data.facts))
    parts = Parts(modality.with_facts(data.facts), data, {"name": name, **encoder_options}, encoder, view_fn)
    _calibrate(parts, recipe.train.seed)
    return parts


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


def _named(section: Mapping[str, Any], key: str = "name") -> tuple[str, dict[str, Any]]:
    options = dict(section)
    return options.pop(key), options
