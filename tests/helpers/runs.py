"""What a run folder holds, for comparisons."""

import csv

import torch

from bam_core.training.checkpoints import checkpoints


def state_of(folder):
    """State of the module and of the optimiser in the newest checkpoint."""
    saved = torch.load(checkpoints(folder / "checkpoints")[-1], weights_only=True)
    return saved["state_dict"], saved["optimizer_states"][0]["state"]


def rows_of(folder):
    """Rows of metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
