"""What our views of images are measured against: torchvision's transforms, one image after the other."""

import torch
from torchvision.transforms import v2

from bam_core.benchmarks.views import Race
from modalities.image.views import ImageViews


def races() -> list[Race]:
    """Two views of 128 colour images of 32 x 32 pixels, with the default changes."""
    batch = torch.randint(256, (128, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    views = ImageViews(image_size=[32, 32])
    theirs = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomResizedCrop(32, scale=(0.2, 1.0), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
        ]
    )
    generator = torch.Generator().manual_seed(0)
    return [
        Race(
            "128 images of 3 x 32 x 32; resized crop, mirror, brightness, contrast, saturation, hue, grey",
            2,
            len(batch),
            lambda: views(batch, generator=generator).global_views,
            {"torchvision v2, image by image": lambda: [torch.stack([theirs(x) for x in batch]) for _ in range(2)]},
            ("torchvision",),
        )
    ]
