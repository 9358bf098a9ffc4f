"""Embeddings of all rows of a split."""

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn

from bam_core.data import SplitDataset
from bam_core.data.progress import track


def embed(module: nn.Module, dataset: SplitDataset, *, batch_size: int = 512, what: str = "embedding") -> Tensor:
    """Embed every row of a split, in order.

    A module with parameters works on an accelerator if there is one; afterwards the module is back where it was.

    Args:
        module: batch -> (b, d); it is put into evaluation mode.
        dataset: the rows.
        batch_size: rows at a time.
        what: for the progress bar.

    Returns:
        (n, d) float32 on the CPU.
    """
    parameter = next(module.parameters(), None)
    home = torch.device("cpu") if parameter is None else parameter.device
    use = parameter is not None and torch.accelerator.is_available()
    device = (torch.accelerator.current_accelerator() if use else None) or home
    module.eval().to(device)
    starts = range(0, len(dataset), batch_size)
    parts = []
    with torch.no_grad():
        for start in track(starts, what):
            batch = dataset.__getitems__(range(start, min(start + batch_size, len(dataset))))
            parts.append(module(move_data_to_device(batch, device)).float().cpu())
    module.to(home)
    return torch.cat(parts)
