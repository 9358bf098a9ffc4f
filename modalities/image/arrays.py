"""Reader of files of equally large images, .npz and .npy, and how an array becomes rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.column_names import NONE
from bam_core.data.holdout import named_groups
from bam_core.data.numpy_files import member, open_numpy, texts
from bam_core.data.splits import read_splits
from bam_core.errors import DataError, InputError
from modalities.image.array_splits import KEYS, joined, one_a_row, split_keys
from modalities.image.decode import Scale
from modalities.image.storage import (
    CHUNK,
    Encodeds,
    ImageOptions,
    Statistics,
    about_images,
    choose_measured,
    write_rows,
)


def read_arrays(
    *,
    path: str,
    images: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    min_value: float | None = None,
    max_value: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read images from .npz or .npy: (n, height, width) for grey, (n, height, width, 3) or (n, 3, height, width).

    An .npz may hold an array for each split, such as MedMNIST's `train_images`, `train_labels`, `test_images`, or
    `x_train`, `y_train`.

    Args:
        path: file.
        images: name of the array in an .npz; default: `images`, `X` or `data`.
        label: name of the array of labels in an .npz; for .npy, an .npy file beside it: (n,), or (n, k) with 0 or 1
            for each of k classes. Default: `label` or `y`. Labels are optional, also one by one: missing, empty or
            -1. "none" for none.
        task: "classification", "multi_label" (several labels a row) or "regression"; default: what labels look like,
            see `read_target`.
        group: the same for groups (patients, sites), which are never divided between splits.
        id: the same for names.
        split: the same for "train", "validation", "test". Without it a part is held out if there are labels.
        min_value: what is black, such as -1000 for air in CT; default: 0. With `max_value` beside it, values outside
            are black or white; else they are an error.
        max_value: what is white; default: 255 for 8 bit, 65535 for 16 bit, 1 for floating point numbers.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: new images must have its size and channels, and all go into "train".

    Returns:
        Splits with `image`, `id`, and where known `label` and `group`; facts as in `read_folder`.

    Raises:
        DataError: unreadable or unsuitable arrays; the message says which and why.
    """
    options = ImageOptions(
        label=label, task=task, group=group, id=id, split=split, min_value=min_value, max_value=max_value,
        test_fraction=test_fraction, seed=seed, fitted=fitted,
    )  # fmt: skip
    settings = {"path": path, "images": images, **options.settings()}
    file = Path(path).expanduser()
    names = {"images": images, "label": label, "group": group, "id": id, "split": split}
    beside = [file.parent / name for role, name in names.items() if name and role != "images" and file.suffix == ".npy"]

    def build(writer: SplitWriter) -> None:
        arrays = _load(file, names, required=fitted is None)
        write_arrays(writer, arrays, file.stem, options)

    files = [f for f in (file, *beside) if f.is_file()]
    return cached("image_arrays", files, settings, build)


def _load(path: Path, names: Mapping[str, str | None], *, required: bool) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(f"expected a file at {path}; there is none.")
    if path.suffix == ".npy":
        arrays = {"images": open_numpy(path)}
        for role, name in names.items():
            if name is not None and role != "images":
                if not (path.parent / name).is_file():
                    if not required:
                        continue
                    raise DataError(f"{role} of {path.name} expected a file {path.parent / name}; there is none.")
                arrays[role] = texts(open_numpy(path.parent / name))
        return arrays
    if path.suffix != ".npz":
        raise DataError(f"expected an .npz or .npy file; got {path.name}.")
    with open_numpy(path) as file:
        available = list(file.files)
        if names["images"] is None and not set(KEYS["images"]) & set(available):
            by_split = split_keys(available, has_labels=names["label"] != NONE)
            if by_split:
                return joined({split: _members(file, keys, path) for split, keys in by_split.items()}, path)
        keys = {
            role: _key(role, names[role], usual, available, path, required=required or role == "images")
            for role, usual in KEYS.items()
        }
        return {role: member(file, key, path) for role, key in keys.items() if key is not None}


def _key(
    role: str, name: str | None, usual: Sequence[str], available: Sequence[str], path: Path, *, required: bool
) -> str | None:
    if name == NONE and name not in available:
        return None
    found = name if name in available else next((key for key in usual if key in available), None) if not name else None
    if found is None and required and (name is not None or role == "images"):
        wanted = repr(name) if name else f"one of {', '.join(usual)}"
        raise DataError(f"{path.name} expected {wanted} as {role}; it has {', '.join(available) or 'nothing'}.")
    return found


def _members(file: Any, keys: Mapping[str, str], path: Path) -> dict[str, np.ndarray]:
    return {role: member(file, key, path) for role, key in keys.items()}


def write_arrays(writer: SplitWriter, arrays: Mapping[str, np.ndarray], name: str, options: ImageOptions) -> None:
    """Write the rows of the arrays that `KEYS` names; `name` is for messages and for ids where there are none.

    Raises:
        DataError: arrays that do not fit.
    """
    images = _channels_first(arrays["images"], name)
    n, channels, height, width = images.shape
    arrays = {role: array if role == "images" else one_a_row(role, array, n) for role, array in arrays.items()}
    _check_fits(images, name, options.fitted)
    parts = _parts(arrays.get("split") if options.fitted is None else None, n)
    ids = arrays["id"].astype(str).tolist() if "id" in arrays else [f"{name}:{i}" for i in range(n)]
    labels, groups = arrays.get("label"), arrays.get("group")
    about = Encodeds(
        lambda i: b"", ids, parts, labels if labels is None or labels.ndim > 1 else labels.tolist(),
        None if groups is None else named_groups(groups),
    )  # fmt: skip
    columns, placed, about_labels = about_images(writer, about, range(n), options)
    measured = choose_measured(placed)
    statistics = Statistics(channels)
    scale = options.scale
    black, white = _scale(images, scale, name)
    outside = 0
    for start in range(0, n, CHUNK):
        part = np.asarray(images[start : start + CHUNK])
        finite = (
            np.isfinite(part).reshape(len(part), -1).all(axis=1) if part.dtype.kind == "f" else np.full(len(part), True)
        )
        for i in np.flatnonzero(~finite):
            writer.set_aside(ids[start + i], "holds NaN or infinity")
        low, high = _check_range(part[finite], black, white, name, is_said=None not in scale)
        outside += int(((low < black) | (high > white)).sum())
        pixels = _to_uint8(part[finite], black, white)
        rows = (start + np.flatnonzero(finite)).tolist()
        if rows:
            write_rows(writer, {"image": pixels}, columns, placed, rows)
            statistics.add(pixel for row, pixel in zip(rows, pixels, strict=True) if measured[row])
    writer.repaired(f"images with values outside of {black:g} to {white:g}, which are black or white", outside)
    writer.facts |= {"in_channels": channels, "image_size": [height, width], **about_labels} | statistics.facts()
    writer.facts |= {"min_value": scale.black, "max_value": scale.white}


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    if images.dtype.kind not in "fiub" or images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(
            f"{name} expected images (n, height, width) or (n, height, width, channels); got {images.dtype} of shape "
            f"{images.shape}."
        )
    if images.ndim == 3:
        return images[:, None]
    if images.shape[1] in (1, 3) and images.shape[3] in (1, 3):
        raise DataError(
            f"{name} expected channels as the second or the last axis; in shape {images.shape} it could be either. "
            "Bring images to (n, height, width) or to more pixels."
        )
    if images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    if images.shape[1] in (1, 3):
        return images
    raise DataError(
        f"{name} expected images of 1 or 3 channels, as the second or the last axis; got shape {images.shape}. Choose "
        "channels beforehand."
    )


def _scale(images: np.ndarray, scale: Scale, name: str) -> tuple[float, float]:
    """What is black, and what is white."""
    usual = {"u1": 255, "u2": 65535, "b1": 1}.get(images.dtype.str[1:], 1 if images.dtype.kind == "f" else None)
    black = 0.0 if scale.black is None else float(scale.black)
    white = usual if scale.white is None else float(scale.white)
    if white is None:
        some = images[:: max(1, len(images) // 1000)]
        raise _out_of_range(name, images.dtype, black, None, float(some.min()), float(some.max()))
    if white <= black:
        raise InputError(f"max_value expected what is white, above min_value, {black:g}; got {white:g}.")
    return black, float(white)


def _check_range(
    part: np.ndarray, black: float, white: float, name: str, *, is_said: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every image.

    Raises:
        DataError: values outside, and nobody said that these are black and white.
    """
    if not len(part):
        return np.zeros(0), np.zeros(0)
    flat = part.reshape(len(part), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    if not is_said and (low.min() < black or high.max() > white):
        raise _out_of_range(name, part.dtype, black, white, float(low.min()), float(high.max()))
    return low, high


def _out_of_range(
    name: str, dtype: np.dtype[Any], black: float, white: float | None, low: float, high: float
) -> DataError:
    end = "max_value" if white is None else f"{white:g}"
    return DataError(
        f"{name} expected values from {black:g} to {end}, black to white; got {dtype} from {low:g} to {high:g}. Say "
        f"what is black and what is white: min_value, such as {min(black, low):g}, and max_value, such as {high:g}."
    )


def _to_uint8(images: np.ndarray, black: float, white: float) -> np.ndarray:
    if images.dtype == np.uint8 and (black, white) == (0, 255):
        return images
    scaled = (images.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    return np.asarray(np.clip(scaled, 0, 255).round(), np.uint8)


def _check_fits(images: np.ndarray, name: str, fitted: Mapping[str, Any] | None) -> None:
    if fitted is not None:
        wanted = (fitted["in_channels"], *fitted["image_size"])
        if images.shape[1:] != wanted:
            raise DataError(f"{name} expected images (channels, height, width) of {wanted}; got {images.shape[1:]}.")


def _parts(split: np.ndarray | None, n: int) -> list[str]:
    if split is None:
        return [""] * n
    return read_splits(split, "image")
