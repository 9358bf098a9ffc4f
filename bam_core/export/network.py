"""What is exported: preprocessing, network and the scale of the outputs as one module; and what it computed before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bam_core.config.recipe import Resolved, recipe_of_values
from bam_core.config.registry import keyword_parameters
from bam_core.data import SplitDataset
from bam_core.errors import InputError, RecipeError
from bam_core.finetuning.finetune import load_model
from bam_core.finetuning.pretrained import PretrainedClassifier, PretrainedRegressor
from bam_core.protocols import ExportInput
from bam_core.runs.features import embed
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import load_encoder

Output = Literal["embeddings", "probabilities", "predictions"]


class ExportedNetwork(nn.Module):
    """Raw inputs -> embeddings; or probabilities, or numbers in the unit of the labels, of a fine-tuned model.

    Args:
        network: batch -> outputs.
        inputs: arrays -> batch.
        output: what comes out.
        several: probabilities that do not exclude each other.
        offset: added to numbers.
        unit: that numbers are multiplied with.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: nn.Module,
        *,
        output: Output = "embeddings",
        several: bool = False,
        offset: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.network, self.inputs, self.output, self.several = network, inputs, output, several
        self.offset, self.unit = offset, unit

    def forward(self, *arrays: Tensor) -> Tensor:
        """(n, d) embeddings, (n, c) probabilities or (n, 1) numbers."""
        found: Tensor = self.network(self.inputs(*arrays))
        if self.output == "probabilities":
            return found.sigmoid() if self.several else found.softmax(dim=1)
        return found * self.unit + self.offset if self.output == "predictions" else found


class Source(NamedTuple):
    """A trained network that is to be exported.

    Attributes:
        saved: encoder, classifier or regressor.
        resolved: the recipe of its run.
        module: with its preprocessing.
        input: what it takes.
    """

    saved: PretrainedEncoder
    resolved: Resolved
    module: ExportedNetwork
    input: ExportInput

    @property
    def classes(self) -> tuple[str, ...]:
        """Of a classifier, in the order of its outputs."""
        return self.saved.classes if isinstance(self.saved, PretrainedClassifier) else ()


def open_source(folder: Path, *, teacher: bool = False, trusted: bool = False, seed: int = 0) -> Source:
    """Open a run, the folder of a fine-tuning, or a saved encoder or model.

    Args:
        folder: of one of them.
        teacher: of a run, take the teacher's encoder.
        trusted: run the Python files that it names.
        seed: of the random rows that are compared.

    Raises:
        RecipeError: it is none of them, or does not say how its data were read.
        InputError: its modality does not say what a network takes.
    """
    saved = _saved(folder, teacher=teacher, trusted=trusted)
    recipe = saved.source.get("recipe")
    if not isinstance(recipe, Mapping):
        raise RecipeError(f"{str(folder)!r} does not say how its data were read: it has no recipe in its config.json.")
    resolved = recipe_of_values(recipe, trusted=trusted)
    modality = saved.modality
    if modality.export_input is None:
        raise InputError(
            f"the modality {modality.name!r} does not say what an exported network takes: it has no export_input."
        )
    usual = {p.name: p.default for p in keyword_parameters(resolved.reader.factory) if p.default is not p.empty}
    found = modality.export_input(
        dict(saved.facts), reader=resolved.reader.name, options={**usual, **resolved.reader.options}, seed=seed
    )
    if isinstance(saved, PretrainedClassifier | PretrainedRegressor):
        task = saved.task
        output: Output = "predictions" if task.kind == "number" else "probabilities"
        module = ExportedNetwork(
            saved.predictor, found.module, output=output, several=task.kind == "several", offset=task.offset,
            unit=task.unit,
        )  # fmt: skip
    else:
        module = ExportedNetwork(saved.encoder, found.module)
    return Source(saved, resolved, module.eval().cpu(), found)


def _saved(folder: Path, *, teacher: bool, trusted: bool) -> PretrainedEncoder:
    for place in (folder, folder / "model"):
        config = place / "config.json"
        if config.is_file():
            import json

            if "task" in json.loads(config.read_text(encoding="utf-8")):
                return load_model(place, trusted=trusted)
            return PretrainedEncoder.from_pretrained(place, trusted=trusted, local_files_only=True)
    if not (folder / "recipe.yaml").is_file():
        raise RecipeError(
            f"{str(folder)!r} expected the folder of a run, of a fine-tuning, or of a saved encoder or model."
        )
    return load_encoder(folder, teacher=teacher, trusted=trusted)


def as_before(source: Source, n: int) -> np.ndarray:
    """What the saved network says of the first n example rows, read in the usual way where these can be."""
    saved, given = source.saved, source.input
    read = saved.modality.from_memory
    if given.rows is None or read is None:
        arrays = [values[:n] for values in given.examples.values()]
        with torch.no_grad():
            return _scored(source, saved(given.module(*arrays)))
    data = read(given.rows[:n], **given.options, fitted=dict(saved.facts))
    rows = SplitDataset(data.splits["train"], saved.modality.collate, data.facts)
    return _scored(source, embed(saved, rows, what="comparing"))


def _scored(source: Source, outputs: Tensor) -> np.ndarray:
    saved: Any = source.saved
    if isinstance(saved, PretrainedClassifier | PretrainedRegressor):
        return np.asarray(saved.task.scores(outputs))
    return np.asarray(outputs.numpy())
