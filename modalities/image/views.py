"""Batched, seeded views of images on the device of the batch: random resized crop, mirror, colours, blur, multi-crop.

Every random change is drawn per image from the generator; nothing waits for an accelerator. Crops of large images are
better cut where files are read, from the whole image: `modalities.image.file_crops`. `LABEL_RISKS` says which labels
each change may destroy: no view suits every task.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from bam_core.errors import InputError
from bam_core.views import Views
from modalities.image import changes
from modalities.image.batches import unit_pixels
from modalities.image.changes import Range
from modalities.image.file_crops import BoxSettings, FileCrops, Kind

LABEL_RISKS = {
    "scale": "what lies outside the crop; size, place and number of things, the scene around them",
    "ratio": "proportions: how slim or broad",
    "flip": "left and right: letters and digits, handedness, side of the body",
    "brightness": "exposure; how light or dark the thing is",
    "contrast": "haze, density of a radiograph, stain",
    "saturation": "how strong colours are",
    "hue": "which colour: ripeness, species, stain, traffic lights",
    "grayscale_p": "colour altogether",
    "blur_sigma": "sharpness, fine texture; small things",
    "solarize_p": "light on dark or dark on light; brightness",
    "boxes": "what the network does not look at: the scene, a second thing, a lesion at the border",
}


class ImageViews:
    """Random views of a batch of images (b, c, h, w), uint8 or in [0, 1]; what comes out is in [0, 1].

    A view is a random resized crop, mirrored or not, then changed in the order of the arguments, drawn for each image.
    Colours are changed with probability `jitter_p`, all four together. A strength or probability of 0 switches a
    change off; scale (1, 1) with ratio (1, 1) shows the whole of square images.

    Args:
        image_size: (height, width) of the data.
        n_views: global views.
        n_local: local views, smaller crops that are students only.
        size: height and width of a global view in pixels; default: that of the data.
        local_size: the same for local views; default: half of a global view's.
        scale: area of the crop of a global view, as a fraction of the image's.
        local_scale: the same for local views.
        ratio: width by height of a crop, before it becomes as high and wide as a view.
        flip: probability of mirroring left to right.
        brightness: strength; 0.4 draws factors from 0.6 to 1.4.
        contrast: the same for contrast.
        saturation: the same for saturation.
        hue: largest shift, in turns of the colour circle, up to 0.5.
        jitter_p: probability of changing these four.
        jitter_order: "fixed", or "random": drawn for every image, as torchvision's ColorJitter does.
        grayscale_p: probability of taking the colour away.
        blur_sigma: standard deviation of a Gaussian blur in pixels; null for none. Usual at 224 pixels: [0.1, 2].
        blur_p: probability of the blur in the first global view, in the second, ...; the last goes for all that follow.
        local_blur_p: the same in local views.
        solarize_p: probability of inverting what is light, by global view, as `blur_p`. Never in local views.
        crops: "batch" cuts crops from the batch, whose images the reader brought to one size; "file" from the whole
            image, at its full resolution, in the processes that read the files (`train.num_workers`).
        boxes_every: with crops from files, ContrastiveCrop: passes over the data after which a box is drawn around what
            the network (the teacher, if there is one) looks at in every image, again and again; null for none.
        boxes_alpha: from then on the centre of a crop follows Beta(alpha, alpha) between the sides of that box.
        boxes_threshold: a box holds what is looked at with more than this part of the range.

    Raises:
        InputError: an option out of range; a batch that holds no images.

    Example:
        >>> images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
        >>> made = ImageViews(image_size=[32, 32], n_local=1)(images)
        >>> [tuple(view.shape) for view in (*made.global_views, *made.local_views)]
        [(4, 3, 32, 32), (4, 3, 32, 32), (4, 3, 16, 16)]

    Source: Caron et al., "DINO", ICCV 2021, arXiv 2104.14294 (multi-crop); see also `modalities.image.changes`.
    """

    def __init__(
        self,
        *,
        image_size: list[int],
        n_views: int = 2,
        n_local: int = 0,
        size: int | None = None,
        local_size: int | None = None,
        scale: Range = (0.2, 1.0),
        local_scale: Range = (0.05, 0.25),
        ratio: Range = (3 / 4, 4 / 3),
        flip: float = 0.5,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        jitter_p: float = 0.8,
        grayscale_p: float = 0.2,
        blur_sigma: Range | None = None,
        blur_p: tuple[float, ...] = (0.5,),
        local_blur_p: float = 0.5,
        solarize_p: tuple[float, ...] = (0.0,),
        jitter_order: Literal["fixed", "random"] = "fixed",
        crops: Literal["batch", "file"] = "batch",
        boxes_every: int | None = None,
        boxes_alpha: float = 0.6,
        boxes_threshold: float = 0.1,
    ) -> None:
        if n_views < 1 or n_local < 0:
            raise InputError(f"image views expected n_views >= 1 and n_local >= 0; got {n_views} and {n_local}.")
        self.size = (image_size[0], image_size[1]) if size is None else (size, size)
        local = tuple(max(1, length // 2) for length in self.size) if local_size is None else (local_size, local_size)
        self.local_size = (local[0], local[1])
        if min(*self.size, *self.local_size) < 1:
            raise InputError(f"image views expected sizes of at least one pixel; got {self.size} and {local}.")
        _check("scale", scale, above=0, up_to=1)
        _check("local_scale", local_scale, above=0, up_to=1)
        _check("ratio", ratio, above=0)
        if blur_sigma is not None:
            _check("blur_sigma", blur_sigma, above=0)
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        probabilities = {"flip": flip, "jitter_p": jitter_p, "grayscale_p": grayscale_p, "local_blur_p": local_blur_p}
        for name, value, limit in (
            *((name, value, 1.0) for name, value in (strengths | probabilities).items()),
            ("hue", hue, 0.5),
            *(("blur_p", value, 1.0) for value in blur_p),
            *(("solarize_p", value, 1.0) for value in solarize_p),
        ):
            if not 0 <= value <= limit:
                raise InputError(f"image views expected {name} in [0, {limit:g}]; got {value}.")
        if not blur_p or not solarize_p:
            raise InputError("image views expected blur_p and solarize_p to hold at least one probability; got none.")
        if jitter_order not in ("fixed", "random") or crops not in ("batch", "file"):
            raise InputError(
                f"image views expected jitter_order fixed or random, crops batch or file; got {jitter_order}, {crops}."
            )
        if boxes_every is not None and crops != "file":
            raise InputError("image views expected crops: file with boxes_every: boxes belong to whole images.")
        self.n_views, self.n_local = n_views, n_local
        self.scale, self.local_scale, self.ratio = scale, local_scale, ratio
        self.flip, self.jitter_p, self.grayscale_p = flip, jitter_p, grayscale_p
        self.colours = {**strengths, "hue": hue}
        self.blur_sigma, self.blur_p, self.local_blur_p, self.solarize_p = blur_sigma, blur_p, local_blur_p, solarize_p
        self.any_order = jitter_order == "random"
        self.loader: FileCrops | None = None
        if crops == "file":
            kinds = {"global": Kind(n_views, self.size, scale), "local": Kind(n_local, self.local_size, local_scale)}
            boxes = None if boxes_every is None else BoxSettings(boxes_every, boxes_alpha, boxes_threshold)
            self.loader = FileCrops(kinds, ratio=ratio, flip=flip, boxes=boxes)

    def __call__(self, batch: Any, *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch, or of the crops that `loader` cut; a generator on their device makes them reproducible."""
        if isinstance(batch, dict) and "global" in batch:
            made = {
                kind: [self._changed(unit_pixels(crop), kind, i, generator) for i, crop in enumerate(crops.unbind(1))]
                for kind, crops in batch.items()
            }
            return Views(made["global"], made.get("local", ()))
        if not isinstance(batch, Tensor) or batch.ndim != 4 or batch.shape[1] not in (1, 3):
            got = tuple(batch.shape) if isinstance(batch, Tensor) else type(batch).__name__
            raise InputError(f"image views expected images (b, 1 or 3, height, width); got {got}.")
        images = unit_pixels(batch)
        return Views(
            [self._view(images, "global", i, generator) for i in range(self.n_views)],
            [self._view(images, "local", i, generator) for i in range(self.n_local)],
        )

    def _view(
        self, images: Tensor, kind: Literal["global", "local"], index: int, generator: torch.Generator | None
    ) -> Tensor:
        of_globals = kind == "global"
        boxes = changes.draw_boxes(images, self.scale if of_globals else self.local_scale, self.ratio, generator)
        mirrored = changes.mirror(self.flip, images, generator) if self.flip else None
        x = changes.crop(images, boxes, self.size if of_globals else self.local_size, mirrored)
        return self._changed(x, kind, index, generator)

    def _changed(self, x: Tensor, kind: str, index: int, generator: torch.Generator | None) -> Tensor:
        """What happens to a crop."""
        of_globals = kind == "global"
        if self.jitter_p and any(self.colours.values()):
            x = changes.jitter(x, **self.colours, p=self.jitter_p, generator=generator, any_order=self.any_order)
        if self.grayscale_p and x.shape[1] == 3:
            x = changes.decolour(x, self.grayscale_p, generator)
        blur_p = _nth(self.blur_p, index) if of_globals else self.local_blur_p
        if self.blur_sigma is not None and blur_p:
            x = changes.blur(x, self.blur_sigma, blur_p, generator)
        solarize_p = _nth(self.solarize_p, index) if of_globals else 0.0
        return changes.solarise(x, solarize_p, generator) if solarize_p else x


def _nth(values: tuple[float, ...], index: int) -> float:
    return values[min(index, len(values) - 1)]


def _check(name: str, value: Range, *, above: float, up_to: float | None = None) -> None:
    if value[0] <= above or value[0] > value[1] or (up_to is not None and value[1] > up_to):
        limit = "" if up_to is None else f" and <= {up_to:g}"
        raise InputError(f"image views expected {name} as (lowest, highest), each > {above:g}{limit}; got {value}.")
