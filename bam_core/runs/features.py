"""Embeddings of all rows of a split."""

import copy

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from bam_core.data import SplitDataset
from bam_core.data.progress import track
from bam_core.data.row_budget import rows_at_a_time


def embed(module: nn.Module, dataset: SplitDataset, *, what: str = "embedding", exact: bool = False) -> Tensor:
    """Embed every row of a split, in order.

    A module with parameters works on an accelerator if there is one; afterwards the module is back where it was.

    Args:
        module: batch -> (b, d); it is put into evaluation mode.
        dataset: the rows.
        what: for the progress bar.
        exact: compute in float64 where that is on the CPU. Sums in float32 depend in the last bit on the other rows of
            a batch, and on the processor; rounded from float64 they do not.

    Returns:
        (n, d) float32 on the CPU.
    """
    parameter = next(module.parameters(), None)
    home = torch.device("cpu") if parameter is None else parameter.device
    use = parameter is not None and torch.accelerator.is_available()
    device = (torch.accelerator.current_accelerator() if use else None) or home
    exact = exact and device.type == "cpu"
    module = copy.deepcopy(module).double() if exact else module
    module.eval().to(device)
    at_a_time = rows_at_a_time(dataset.facts)
    starts = range(0, len(dataset), at_a_time)
    parts = []
    with torch.no_grad():
        for start in track(starts, what):
            batch = dataset.__getitems__(range(start, min(start + at_a_time, len(dataset))))
            batch = apply_to_collection(batch, Tensor, _as_float64) if exact else move_data_to_device(batch, device)
            parts.append(module(batch).float().cpu())
    module.to(home)
    return torch.cat(parts)


def _as_float64(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values
