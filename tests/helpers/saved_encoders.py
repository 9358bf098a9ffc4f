"""Small saved encoders of every domain, as a run would leave them."""

import torch
from rows import TINY, rows_of

from bam_core import PretrainedEncoder
from bam_core.config.recipe import recipe_of_values
from bam_core.config.registry import load_modality
from bam_core.data import SplitDataset

READERS = {"timeseries": "arrays", "ecg": "arrays", "tabular": "table", "image": "arrays", "audio": "manifest"}
ENCODERS = {
    "timeseries": {"name": "resnet1d", "width": 4, "n_blocks": 1},
    "ecg": {"name": "resnet1d", "width": 4, "n_blocks": 1},
    "tabular": {"name": "mlp", "width": 8, "depth": 1},
    "image": {"name": "patches", "n_patches": 4, "d": 8},
    "audio": {"name": "cnn", "width": 2, "d": 8},
}


def make(name, folder, *, options=None, encoder=None):
    """A saved encoder of a domain whose normalisations have seen a batch."""
    modality, options = load_modality(name), {**TINY[name].get("data", {}), **(options or {})}
    rows = rows_of(name, 16)
    rows = rows.drop(columns="since") if name == "tabular" else rows  # dates stay outside of what is exported
    data = modality.from_memory(rows, **options)
    recipe = recipe_of_values(
        {
            "modality": name,
            "data": {"reader": READERS[name], "path": "FILE", **options},
            "views": {"name": next(iter(modality.views))},
            "encoder": encoder or ENCODERS[name],
        }
    )
    torch.manual_seed(0)
    made = PretrainedEncoder(
        modality=name,
        encoder={"name": recipe.encoder.name, **recipe.encoder.with_facts(data.facts)},
        facts=dict(data.facts),
        source={"recipe": recipe.recipe.model_dump(mode="json")},
    )
    batch = SplitDataset(data.splits["train"], modality.collate, data.facts).__getitems__(range(16))
    if hasattr(made.encoder, "calibrate"):
        made.encoder.calibrate(batch)
    made.encoder.train()(batch)
    made.eval().save_pretrained(folder)
    return made
