"""Embeddings of all rows of a split."""

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn

from bam_core.data import SplitDataset
from bam_core.data.progress import track


def embed(module: nn.Module, dataset: SplitDataset, *, batch_size: int = 512, what: str = "embedding") -> Tensor:
    """Embed every row of a split, in order.

    Args:
        module: batch -> (b, d); it is put into evaluation mode.
        dataset: the rows.
        batch_size: rows at a time.
        what: for the progress bar.

    Returns:
        (n, d) float32 on the CPU.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    module.eval()
    starts = range(0, len(dataset), batch_size)
    parts = []
    with torch.no_grad():
        for start in track(starts, what):
            batch = dataset.__getitems__(range(start, min(start + batch_size, len(dataset))))
            parts.append(module(move_data_to_device(batch, device)).float().cpu())
    return torch.cat(parts)
