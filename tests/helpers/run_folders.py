"""What a run folder holds, for comparisons; and the folder of a run of no steps."""

import csv

import torch

from bam_core.config.build import build
from bam_core.config.recipe import check_recipe
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.training.checkpoints import checkpoints


def state_of(folder):
    """State of the module and of the optimiser in the newest checkpoint."""
    saved = torch.load(checkpoints(folder / "checkpoints")[-1], weights_only=True)
    return saved["state_dict"], saved["optimizer_states"][0]["state"]


def rows_of(folder):
    """Rows of metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def untrained_run(folder, recipe):
    """Recipe and encoder of a run that did not train; the encoder."""
    checked = check_recipe(recipe)
    parts = build(checked)
    encoder = PretrainedEncoder(
        modality=checked.recipe.modality, encoder=parts.encoder_config, facts=dict(parts.data.facts)
    )
    encoder.save_pretrained(folder / "encoder")
    (folder / "recipe.yaml").write_text(checked.recipe.to_yaml(), encoding="utf-8")
    return PretrainedEncoder.from_pretrained(folder / "encoder")
