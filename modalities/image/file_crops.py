"""Crops cut from whole images where these are read: at full resolution, from all of the image, before it is resized.

What is random follows from the seed, the pass over the data and the row, so it is the same in any number of processes.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import DataError, InputError
from modalities.image.batches import sources_of
from modalities.image.boxes import Range, boxes_around, draw_cut
from modalities.image.decode import Scale, Source, open_upright


class Kind(NamedTuple):
    """Global or local crops: how many of an image, (height, width) of them, and their share of its area."""

    number: int
    size: tuple[int, int]
    scale: Range


class BoxSettings(NamedTuple):
    """See `ImageViews`: boxes_every, boxes_alpha, boxes_threshold."""

    every: int
    alpha: float
    threshold: float


class FileCrops:
    """Cuts the crops of `ImageViews` from files; also keeps the boxes around what the network looks at.

    Args:
        kinds: "global" and "local" crops.
        ratio: width by height of a crop.
        flip: probability of mirroring left to right.
        boxes: None: crops lie anywhere.

    Raises:
        InputError: settings of boxes out of range.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], *, ratio: Range, flip: float, boxes: BoxSettings | None = None
    ) -> None:
        if boxes is not None and not (boxes.every >= 1 and boxes.alpha > 0 and 0 <= boxes.threshold < 1):
            raise InputError(
                "image views expected boxes_every >= 1, boxes_alpha > 0 and boxes_threshold in [0, 1); got "
                f"{boxes.every}, {boxes.alpha}, {boxes.threshold}."
            )
        self.kinds = {name: kind for name, kind in kinds.items() if kind.number}
        self.ratio = ratio
        self.flip = flip
        self.boxes = boxes
        self.look_size = kinds["global"].size
        self.state: Float[Tensor, "n 4"] | None = None
        """(top, left, bottom, right) of every row of train, once the network has looked."""

    def __call__(
        self, columns: Mapping[str, Any], facts: Mapping[str, Any], *, rows: Sequence[int], seed: Sequence[int]
    ) -> dict[str, Tensor]:
        """The crops of some rows.

        Args:
            columns: of these rows; see `collate_images`.
            facts: with in_channels.
            rows: their places in the split.
            seed: of the run, and the pass over the data.

        Returns:
            "global" and "local": (b, number, channels, height, width) uint8.
        """
        made = [
            self._crops(source, facts, row, np.random.default_rng([*seed, row]))
            for source, row in zip(sources_of(columns, facts), rows, strict=True)
        ]
        return {name: torch.from_numpy(np.stack([crops[name] for crops in made])) for name in self.kinds}

    def _crops(
        self, source: Source, facts: Mapping[str, Any], row: int, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        channels = facts["in_channels"]
        box = None if self.state is None else self.state[row].tolist()
        alpha = 1.0 if self.boxes is None else self.boxes.alpha
        try:
            with open_upright(source, channels=channels, scale=Scale.of(facts)) as image:
                made = {name: [self._crop(image, kind, box, alpha, rng) for _ in range(kind.number)]
                        for name, kind in self.kinds.items()}  # fmt: skip
        except DataError as error:  # a file that broke after it was checked must not end a run of days
            name = source if isinstance(source, str) else f"image {row} of train"
            warnings.warn(f"{name} {error}; grey takes its place. Prepare the data anew.", stacklevel=2)
            return {n: np.full((k.number, channels, *k.size), 128, np.uint8) for n, k in self.kinds.items()}
        return {name: np.stack(crops) for name, crops in made.items()}

    def _crop(
        self, image: Any, kind: Kind, box: Sequence[float] | None, alpha: float, rng: np.random.Generator
    ) -> np.ndarray:
        from PIL.Image import Resampling

        cut = draw_cut((image.height, image.width), kind.scale, self.ratio, rng, box=box, alpha=alpha)
        part = image.crop((cut.left, cut.top, cut.left + cut.width, cut.top + cut.height))
        pixels = np.asarray(part.resize((kind.size[1], kind.size[0]), Resampling.BICUBIC))
        pixels = pixels[:, ::-1] if rng.random() < self.flip else pixels
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    def should_refresh(self, passes: int) -> bool:
        """Whether the network is to look at all images after so many passes over the data."""
        return self.boxes is not None and passes % self.boxes.every == 0

    def load(self, columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Tensor:
        """Whole images for `compute`, (b, channels, height, width) uint8, squeezed to the size of a global view."""
        from PIL.Image import Resampling

        made = []
        for source in sources_of(columns, facts):
            try:
                with open_upright(
                    source,
                    channels=facts["in_channels"],
                    scale=Scale.of(facts),
                    at_least=self.look_size,
                ) as image:
                    pixels = np.asarray(image.resize(self.look_size[::-1], Resampling.BICUBIC))
            except DataError:  # it is named when it is shown in training
                pixels = np.full(self.look_size + (3,) * (facts["in_channels"] == 3), 128, np.uint8)
            made.append(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        return torch.from_numpy(np.stack(made))

    def compute(self, encoder: nn.Module, images: Tensor) -> Float[Tensor, "b 4"]:
        """Boxes around what a network looks at."""
        from modalities.image.encoders.saliency import saliency

        if self.boxes is None:
            raise InputError("look expected views with boxes_every; these have none.")
        return boxes_around(saliency(encoder, images).float(), self.look_size, self.boxes.threshold)
