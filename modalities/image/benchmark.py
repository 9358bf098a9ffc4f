"""What our views of images are measured against: torchvision's transforms, one image after the other."""

import io
from itertools import count

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from bam_core.benchmarks.views import Race
from modalities.image.views import ImageViews


def races() -> list[Race]:
    """Two views of 128 small colour images with the default changes, and DINO's crops of photographs."""
    return [_small_images(), _crops_of_photographs()]


def _small_images() -> Race:
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
    return Race(
        "128 images of 3 x 32 x 32; resized crop, mirror, brightness, contrast, saturation, hue, grey",
        2,
        len(batch),
        lambda: views(batch, generator=generator).global_views,
        {"torchvision v2, image by image": lambda: [torch.stack([theirs(x) for x in batch]) for _ in range(2)]},
        ("torchvision",),
    )


def _crops_of_photographs() -> Race:
    """What the processes do that read ImageNet: decode a JPEG once, cut two large and six small crops out of it."""
    views = ImageViews(image_size=[224, 224], n_local=6, local_size=96, scale=(0.25, 1), crops="file")
    assert views.loader is not None
    cut, passes = views.loader, count()
    rng = np.random.default_rng(0)
    files = [_photograph(rng) for _ in range(8)]
    crop = {
        size: v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=scale, interpolation=v2.InterpolationMode.BICUBIC),
                v2.RandomHorizontalFlip(0.5),
                v2.PILToTensor(),
            ]
        )
        for size, scale in ((224, (0.25, 1.0)), (96, (0.05, 0.25)))
    }

    def ours() -> list[torch.Tensor]:
        made = cut({"encoded": files}, {"in_channels": 3}, rows=range(len(files)), seed=(0, next(passes)))
        return [view for crops in made.values() for view in crops.unbind(1)]

    def theirs() -> list[torch.Tensor]:
        images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
        return [torch.stack([crop[size](image) for image in images]) for size in (224, 224, *[96] * 6)]

    work = "8 JPEG files of 500 x 375; decoded, two crops brought to 224 x 224, six to 96 x 96, mirror"
    return Race(work, 8, len(files), ours, {"torchvision v2, image by image": theirs}, ("torchvision", "pillow"))


def _photograph(rng: np.random.Generator) -> bytes:
    """A JPEG file with structure at all scales, 90 to 100 kB, as ImageNet's are."""
    pixels = np.zeros((375, 500, 3))
    for size in (4, 16, 64, 256):
        noise = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        pixels += np.asarray(noise.resize((500, 375), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray((255 * pixels / pixels.max()).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()
