"""From encoded images to prepared rows: decoded once where they are few or small, else decoded in loader workers."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from bam_core.data import SplitWriter
from bam_core.data.folders import printable
from bam_core.data.progress import track
from bam_core.data.row_options import RowOptions
from bam_core.data.targets import read_target
from bam_core.errors import DataError, InputError
from modalities.image.decode import Encoded, Header, Scale, ScaleError, Slice, check, check_end, decode, read_header

CHUNK = 512  # images in memory at a time
AHEAD_BYTES = 1_000_000_000  # decoded images that take more are left to the workers
USUAL_SIZE = (224, 224)
N_STATISTICS = 2000  # images of train that mean and spread are measured on

Decoding = Literal["auto", "ahead", "in_workers"]
Check = Literal["decode", "header"]
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class ImageOptions(RowOptions):
    """What readers of images share; see `read_folder`."""

    task: str | None = "classification"
    size: int | None = None
    decoding: Decoding = "auto"
    check: Check = "decode"
    min_value: float | None = None
    max_value: float | None = None

    facts_used: ClassVar[Sequence[str]] = ("in_channels", "image_size", "classes", "task", "min_value", "max_value")

    @property
    def scale(self) -> Scale:
        """What is black and what is white: as was said, else as for the saved encoder."""
        said = Scale(self.min_value, self.max_value)
        return said if self.fitted is None or said != Scale() else Scale.of(self.fitted)

    def checked(self) -> "ImageOptions":
        """The same, after a look at the numbers.

        Raises:
            InputError: a value is out of range.
        """
        if self.size is not None and self.size < 2:
            raise InputError(f"size expected at least 2 pixels; got {self.size}.")
        black, white = self.min_value, self.max_value
        if white is not None and white <= (black or 0):
            raise InputError(
                f"max_value expected what is white in images of more than 8 bit, above min_value, {black or 0:g}; got "
                f"{white:g}."
            )
        return self


class Encodeds(NamedTuple):
    """Images that are yet to be decoded.

    Attributes:
        get: index -> path or bytes.
        ids: (n,) names.
        parts: (n,) split of every image, or "" where that is open.
        labels: (n,) class names, None for unlabelled; (n, k) 0 and 1 for every class; or None.
        groups: (n,) names, or None.
        stay: whether images that are decoded in workers stay where they are: their rows then hold `row`, the index,
            and the reader brings rows and images together.
    """

    get: Callable[[int], Encoded]
    ids: Sequence[str]
    parts: Sequence[str]
    labels: Sequence[Any] | np.ndarray | None
    groups: Sequence[str] | None
    stay: bool = False


def write_encoded(writer: SplitWriter, images: Encodeds, options: ImageOptions) -> None:
    """Write the rows of images; those that cannot be read are set aside by name.

    Raises:
        ScaleError: values of which nobody knows what is black and white.
    """
    headers = _read_headers(writer, images)
    kept = [i for i, header in enumerate(headers) if header is not None]
    if not kept:
        return
    known = [header for header in headers if header is not None]
    channels, size = _channels_and_size(writer, known, options)
    columns, parts, about_labels = about_images(writer, images, kept, options)
    scale = options.scale
    deep = sum(header.deep for header in known)
    if deep:
        white = "the largest value of their type (1 of floating point)" if scale.white is None else f"{scale.white:g}"
        writer.repaired(f"images of more than 8 bit, with {scale.black or 0:g} as black and {white} as white", deep)
    several = [images.ids[i] for i, header in zip(kept, known, strict=True) if header.several]
    writer.repaired("images of several pages or frames, of which the first was taken", len(several), names=several)
    writer.facts |= {"in_channels": channels, "image_size": list(size), **about_labels}
    writer.facts |= {"min_value": scale.black, "max_value": scale.white}
    ahead = options.decoding == "ahead" or (
        options.decoding == "auto" and len(kept) * channels * size[0] * size[1] <= AHEAD_BYTES
    )

    def decoded(index: int) -> np.ndarray:
        try:
            return decode(images.get(index), channels=channels, size=size, scale=scale)
        except ScaleError as error:
            raise ScaleError(f"{images.ids[index]} {error}") from error

    measured = choose_measured(parts)
    statistics = Statistics(channels)
    if ahead:
        for position, made in _chunks(kept, decoded, "Decoding images"):
            rows, pixels = _usable(writer, images, kept, position, made)
            if rows:
                write_rows(writer, {"image": np.stack(pixels)}, columns, parts, rows)
                statistics.add(pixel for row, pixel in zip(rows, pixels, strict=True) if measured[row])
    else:
        look = check_end if options.check == "header" else check
        asking = {i for i, header in zip(kept, known, strict=True) if header.asks}

        def checked(index: int) -> None:
            source = images.get(index)
            if isinstance(source, str) and printable(source) != source:
                raise DataError("has a path that is not UTF-8, as workers need it: rename it, or decoding: ahead")
            look(source)
            if index in asking:
                decoded(index)

        for position, tested in _chunks(kept, checked, "Checking images"):
            rows, _ = _usable(writer, images, kept, position, tested)
            if rows:
                write_rows(writer, _where(images, [kept[row] for row in rows]), columns, parts, rows)
        for _, made in _chunks([kept[row] for row in np.flatnonzero(measured)], decoded, "Measuring colours"):
            statistics.add(pixel for pixel in made if not isinstance(pixel, DataError))
    writer.facts |= statistics.facts()


def _where(images: Encodeds, indices: Sequence[int]) -> dict[str, Any]:
    """Columns that say where encoded images are, or hold them; `sources_of` reads them."""
    if images.stay:
        return {"row": np.array(indices, np.int64)}
    sources = [images.get(index) for index in indices]
    if isinstance(sources[0], Slice):
        path, offset, size = zip(*sources, strict=True)
        return {"file": list(path), "offset": np.array(offset, np.int64), "size": np.array(size, np.int64)}
    return {"file" if isinstance(sources[0], str) else "encoded": sources}


def write_rows(
    writer: SplitWriter,
    content: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    parts: np.ndarray,
    rows: Sequence[int],
) -> None:
    """Write some rows into the splits that they belong to; `content` holds these rows only, `columns` all."""
    for part in np.unique(parts[list(rows)]):
        chosen = [i for i, row in enumerate(rows) if parts[row] == part]
        here = [rows[i] for i in chosen]
        some = {
            name: values[chosen] if isinstance(values, np.ndarray) else [values[i] for i in chosen]
            for name, values in content.items()
        }
        writer.add(str(part), **some, **{name: values[here] for name, values in columns.items()})


def about_images(
    writer: SplitWriter, images: Encodeds, kept: Sequence[int], options: ImageOptions
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, Any]]:
    """Columns `id` and, where known, `label` and `group` of the kept images; their splits; and facts on the labels."""
    columns = {"id": np.array([images.ids[i] for i in kept], dtype=object)}
    fitted = options.fitted
    about: dict[str, Any] = {"classes": []} | {
        k: v for k, v in (fitted or {}).items() if k in ("classes", "task") and v
    }
    if images.labels is not None:
        given = images.labels
        labels = given[list(kept)] if isinstance(given, np.ndarray) else [given[i] for i in kept]
        target = read_target(labels, task=options.task, fitted=fitted)
        if target is not None:
            columns["label"], about = target.values, target.facts
            for note in target.notes:
                writer.note(note)
    if images.groups is not None:
        columns["group"] = np.array([images.groups[i] for i in kept], dtype=object)
    named = [images.parts[i] for i in kept]
    parts = options.assign(
        len(kept),
        [part or "train" for part in named] if any(named) else None,
        labels=columns.get("label"),
        groups=columns.get("group"),
        what="image",
    )
    return columns, parts, about


def choose_measured(parts: np.ndarray) -> np.ndarray:
    """Rows of train that mean and spread are measured on: all of few, a random choice of many; (n,) bool."""
    train = np.flatnonzero(parts == "train")
    chosen = np.zeros(len(parts), bool)
    chosen[np.random.default_rng(0).permutation(train)[:N_STATISTICS]] = True
    return chosen


class Statistics:
    """Mean and spread of every channel, in [0, 1], of some images."""

    def __init__(self, channels: int) -> None:
        self._sums = np.zeros((3, channels))

    def add(self, images: Iterable[np.ndarray]) -> None:
        """Count images (channels, height, width) uint8 in."""
        for image in images:
            pixels = image.reshape(len(image), -1).astype(np.float64) / 255
            self._sums += np.stack([np.full(len(image), pixels.shape[1]), pixels.sum(axis=1), (pixels**2).sum(axis=1)])

    def facts(self) -> dict[str, list[float]]:
        """Facts `mean` and `std`; images of one colour have a spread of one."""
        count, total, squares = self._sums
        mean = total / np.maximum(count, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
        return {"mean": np.round(mean, 6).tolist(), "std": np.where(std > 1e-4, np.round(std, 6), 1.0).tolist()}


def _read_headers(writer: SplitWriter, images: Encodeds) -> list[Header | None]:
    headers: list[Header | None] = []
    for _, made in _chunks(range(len(images.ids)), lambda i: read_header(images.get(i)), "Reading headers"):
        for header in made:
            if isinstance(header, DataError):
                writer.set_aside(images.ids[len(headers)], header)
            headers.append(None if isinstance(header, DataError) else header)
    return headers


def _channels_and_size(
    writer: SplitWriter, headers: Sequence[Header], options: ImageOptions
) -> tuple[int, tuple[int, int]]:
    if options.fitted is not None:
        height, width = options.fitted["image_size"]
        return int(options.fitted["in_channels"]), (height, width)
    channels = 1 if all(header.grey for header in headers) else 3
    sizes = {header.size for header in headers}
    if options.size is not None:
        return channels, (options.size, options.size)
    if len(sizes) == 1:
        return channels, sizes.pop()
    small, large = (f"{s[1]} x {s[0]}" for s in (min(sizes, key=_area), max(sizes, key=_area)))
    writer.repaired(f"images of different sizes ({small} to {large} pixels), brought to 224 x 224", len(headers))
    return channels, USUAL_SIZE


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _usable(
    writer: SplitWriter, images: Encodeds, kept: Sequence[int], position: int, made: Sequence[R | DataError]
) -> tuple[list[int], list[R]]:
    rows, results = [], []
    for row, result in enumerate(made, position):
        if isinstance(result, DataError):
            writer.set_aside(images.ids[kept[row]], result)
        else:
            rows.append(row)
            results.append(result)
    return rows, results


def _chunks(
    indices: Sequence[int], function: Callable[[int], R], what: str
) -> Iterator[tuple[int, list[R | DataError]]]:
    """Position and results of one chunk after the other; an image that fails gives its error."""

    def attempt(index: int) -> R | DataError:
        try:
            return function(index)
        except ScaleError:
            raise
        except DataError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in track(range(0, len(indices), CHUNK), what):
            yield start, list(pool.map(attempt, indices[start : start + CHUNK]))
