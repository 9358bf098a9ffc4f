"""Encoded images, as files or bytes, to arrays: any format of Pillow, any depth, upright, without transparency.

`decode` brings the whole image to one size; what crops before it resizes calls `open_upright`.
"""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bam_core.errors import BAMError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
"""Of files that are taken for images."""

GREY = frozenset(("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
_DEEP = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
_TURNED = frozenset((5, 6, 7, 8))  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class Slice(NamedTuple):
    """An image inside a larger file, such as a tar archive, in bytes."""

    path: str
    offset: int
    size: int


Encoded = str | bytes | Slice
"""A path, what would stand in the file, or where that stands."""

Source = Encoded | np.ndarray
"""The same, or pixels (channels, height, width) uint8."""


class ScaleError(DataError):
    """Values of which nobody knows what is black and white; it concerns all images of a data set, not this one."""


class Scale(NamedTuple):
    """What is black and white in images of more than 8 bit, one scale for all images of a data set.

    Attributes:
        black: None: 0, and values below are an error.
        white: None: by the type of the numbers, 65535 for 16 bit and 1 for floating point, where values above are an
            error.
    """

    black: float | None = None
    white: float | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Scale":
        """That of prepared images."""
        return cls(facts.get("min_value"), facts.get("max_value"))


_BY_TYPE = Scale()


class Header(NamedTuple):
    """What a file says before its pixels.

    Attributes:
        size: (height, width) as they will be upright.
        grey: whether there is no colour.
        deep: whether there are more than 8 bit.
        asks: whether the type of the numbers does not limit them, so that they must be looked at.
        several: whether there are more pages or frames than the first, which is read.
    """

    size: tuple[int, int]
    grey: bool
    deep: bool
    asks: bool = False
    several: bool = False


def read_header(source: Encoded) -> Header:
    """Size and kind of an image, without decoding it.

    Raises:
        DataError: this is no image.
    """
    with _opened(source) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        size = (width, height) if turned else (height, width)
        grey = image.mode in GREY or (image.mode == "P" and _grey_palette(image))
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))  # MPO: a photo and its previews
        return Header(size, grey, image.mode in _DEEP, image.mode in ("I", "F"), several)


def decode(source: Encoded, *, channels: int, size: Sequence[int] | None = None, scale: Scale = _BY_TYPE) -> np.ndarray:
    """An image as (channels, height, width) uint8.

    Args:
        source: path or bytes.
        channels: 1 for grey, 3 for colour.
        size: (height, width): the image is scaled until it covers that, and its centre cut out. Default: as it is.
        scale: of images of more than 8 bit.

    Raises:
        DataError: the image is broken; the message says how.
        ScaleError: values outside of the scale.
    """
    with open_upright(source, channels=channels, scale=scale, at_least=size) as image:
        if size is not None:
            image = _cover(image, size)
        pixels = np.asarray(image)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def check(source: Encoded) -> None:
    """Decode an image, as cheaply as its format allows, to see whether that works.

    Raises:
        DataError: the image is broken.
    """
    with _opened(source) as image:
        image.draft("L", (32, 32))
        image.load()


def check_end(source: Encoded) -> None:
    """See whether a JPEG or PNG was cut off, without decoding it; one that lacks its end mark is decoded to be sure.

    Raises:
        DataError: the image is cut off.
    """
    with _raw(source) as file:
        head = file.read(4)
        mark = next((mark for start, mark in _ENDS.items() if head.startswith(start)), None)
        if mark is None:
            return
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4096))
        if mark in file.read():
            return
    with _opened(source) as image:
        image.load()


_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}


@contextmanager
def open_upright(
    source: Source, *, channels: int, scale: Scale = _BY_TYPE, at_least: Sequence[int] | None = None
) -> "Iterator[Image]":
    """An image in 8 bit grey or colour, turned as its EXIF data say, transparent parts white.

    Args:
        source: path, bytes or pixels.
        channels: 1 for grey, 3 for colour.
        scale: of images of more than 8 bit.
        at_least: (height, width) that will do; big JPEGs are then decoded at a half, a quarter or an eighth.

    Raises:
        DataError: the image is broken.
        ScaleError: values outside of the scale.
    """
    from PIL import ImageOps

    with _opened(source) as image:
        if at_least is not None:
            image.draft(None, (2 * max(at_least), 2 * max(at_least)))
        has_16_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
        upright = ImageOps.exif_transpose(image)
        if image.mode in _DEEP:
            upright = _in_8_bit(np.asarray(upright, np.float32), scale, 65535 if has_16_bit else None, image.mode)
        yield _plain(upright, channels)


@contextmanager
def _opened(source: Source) -> "Iterator[Image]":
    from PIL import Image, UnidentifiedImageError

    if isinstance(source, np.ndarray):
        yield Image.fromarray(source[0] if len(source) == 1 else source.transpose(1, 2, 0))
        return
    try:
        with nullcontext(source) if isinstance(source, str) else _file(source) as file, Image.open(file) as image:
            yield image
    except BAMError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("is no image, or of a format that Pillow cannot read") from error
    except Exception as error:  # Pillow's plugins raise all sorts on damaged files
        raise DataError(f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from error


def _raw(source: Encoded) -> Any:
    return open(source, "rb") if isinstance(source, str) else _file(source)


def _file(source: bytes | Slice) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else io.BufferedReader(_Window(source))


class _Window(io.RawIOBase):
    """A part of a file as a file of its own; only what is asked for is read."""

    def __init__(self, part: Slice) -> None:
        super().__init__()
        self._file = io.FileIO(part.path)
        self._part = part
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._part.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._part.size - self._place))
        self._file.seek(self._part.offset + self._place)
        got = self._file.readinto(memoryview(buffer)[:wanted]) or 0
        self._place += got
        return got

    def close(self) -> None:
        self._file.close()
        super().close()


def _in_8_bit(values: np.ndarray, scale: Scale, white: float | None, mode: str) -> "Image":
    from PIL import Image

    if not np.isfinite(values).all():
        raise DataError("holds values that are not finite")
    white = scale.white or white or (1.0 if mode == "F" else None)
    black = scale.black or 0.0
    low, high = float(values.min()), float(values.max())
    if white is None or (scale.black is None and low < 0) or (scale.white is None and high > white * (1 + 1e-6)):
        kind = "32-bit floating point" if mode == "F" else "whole numbers"
        raise ScaleError(
            f"holds {kind} from {low:g} to {high:g}, and nothing says what is black and white. Say it for all images "
            f"of the data: min_value and max_value, such as {min(0.0, low):g} and {high:g}."
        )
    return Image.fromarray(np.clip((values - black) * (255 / (white - black)), 0, 255).round().astype(np.uint8))


def _plain(image: "Image", channels: int) -> "Image":
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def _cover(image: "Image", size: Sequence[int]) -> "Image":
    from PIL import Image

    height, width = size
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    part = (width / scale, height / scale)
    left, top = (image.width - part[0]) / 2, (image.height - part[1]) / 2
    box = (left, top, min(left + part[0], image.width), min(top + part[1], image.height))
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def _grey_palette(image: "Image") -> bool:
    palette = image.getpalette("RGB") or []
    colours = np.asarray(palette, np.int64).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())
