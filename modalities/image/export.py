"""What exported networks of images take: pixels of 8 bits, at the size of the training images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.protocols import ExportInput

N_ROWS = 5


class ImageInput(nn.Module):
    """Pixels as they are: networks bring the scale and standardisation of their channels along."""

    def forward(self, image: Tensor) -> Tensor:
        """(n, c, h, w) uint8."""
        return image


def export_input(facts: Mapping[str, Any], *, reader: str, options: Mapping[str, Any], seed: int) -> ExportInput:
    """Images (n, channels, height, width) uint8; see `bam_core.protocols.Modality`."""
    channels, (height, width) = facts["in_channels"], facts["image_size"]
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (N_ROWS, channels, height, width), generator=generator, dtype=torch.uint8)
    about = {"image": f"(batch, {channels}, {height}, {width}) uint8, 0 for black and 255 for white"}
    scaled = facts.get("min_value") is not None or facts.get("max_value") is not None
    rows = None if scaled or {channels} & {height, width} else image.numpy()
    return ExportInput(ImageInput(), {"image": image}, {}, about, rows)
