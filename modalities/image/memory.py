"""Readers of images that are in memory already, scikit-learn's digits among them."""

from pathlib import Path
from typing import Any

import numpy as np

from bam_core.data import PreparedData, in_memory
from bam_core.data.arrays import plain_array
from bam_core.data.several_labels import label_array
from bam_core.data.storable import storable, storable_labels
from bam_core.errors import DataError
from modalities.image.arrays import write_arrays
from modalities.image.storage import ImageOptions


def read_memory(
    *,
    images: Any,
    label: Any = None,
    task: str | None = None,
    group: Any = None,
    min_value: float | None = None,
    max_value: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read an array in memory, as `read_arrays` reads files.

    Args:
        images: (n, height, width), (n, height, width, channels) or (n, channels, height, width).
        label: (n,) labels, None, empty or -1 where there is none; (n, k) with 0 or 1 for each of k classes; a list of
            the classes of each image; or None.
        task: "classification", "multi_label" (several labels a row) or "regression"; default: what labels look like,
            see `read_target`.
        group: (n,) names; or None.
        min_value: see `read_arrays`, as for the other options.
        max_value: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Raises:
        DataError: an unsuitable array.

    Example:
        >>> prepared = read_memory(images=np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8))
        >>> prepared.facts["in_channels"], prepared.facts["image_size"]
        (3, [8, 8])
    """
    arrays = {"images": _pixels(images)} | ({} if group is None else {"group": plain_array(group)})
    if label is not None:
        arrays["label"] = label_array(label)
    options = ImageOptions(
        task=task, min_value=min_value, max_value=max_value, test_fraction=test_fraction, seed=seed, fitted=fitted
    )
    return in_memory("images", lambda writer: write_arrays(writer, arrays, "image", options))


def from_memory(
    images: Any,
    *,
    min_value: float | None = None,
    max_value: float | None = None,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read unlabelled images, all to train on or to embed; see `Modality.from_memory`.

    Args:
        images: (n, height, width), (n, height, width, channels) or (n, channels, height, width), or n such images.
        min_value: see `read_arrays`.
        max_value: as there.
        fitted: as there.

    Raises:
        DataError: unsuitable images.

    Example:
        >>> from_memory(np.random.default_rng(0).random((10, 8, 8))).facts["image_size"]
        [8, 8]
    """
    array = _of_one_size(images)
    arrays = {"images": array, "id": np.arange(len(array))} if array.ndim else {"images": array}
    options = ImageOptions(min_value=min_value, max_value=max_value, test_fraction=0, fitted=fitted)
    return in_memory("images", lambda writer: write_arrays(writer, arrays, "X", options))


def to_files(images: Any, folder: Path, *, labels: Any = None, groups: Any = None) -> dict[str, Any]:
    """Write images for the reader `arrays`.

    Args:
        images: see `from_memory`.
        folder: to write into.
        labels: (n,) classes or numbers, (n, k) of 0 and 1, or lists of names.
        groups: (n,) names.

    Raises:
        DataError: images of different sizes, or none.
    """
    arrays, options = {"images": _of_one_size(images)}, dict[str, Any]()
    if labels is not None:
        arrays["label"], options = storable_labels(labels)
    if groups is not None:
        arrays["group"] = storable(groups, "groups")
    np.savez(folder / "rows.npz", **arrays)  # type: ignore[arg-type]
    return {
        "reader": "arrays", "path": "rows.npz", "images": "images", "id": None, "split": None,
        "label": "none" if labels is None else "label", "group": "none" if groups is None else "group", **options,
    }  # fmt: skip


def _of_one_size(images: Any) -> np.ndarray:
    """Images as an array.

    Raises:
        DataError: they differ in size, or are no numbers.
    """
    try:
        array = _pixels(images)
    except ValueError as error:
        raise DataError(f"X expected images of one size ({error}). Bring them to one first.") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"X expected images of numbers; got {array.dtype}.")
    return array


def _pixels(images: Any) -> np.ndarray:
    """Images as an array.

    Raises:
        DataError: pixels are masked.
        ValueError: images of different sizes.
    """
    each = images if isinstance(images, list | tuple) else [images]
    if any(np.ma.is_masked(one) for one in each if isinstance(one, np.ma.MaskedArray)):
        raise DataError("images expected a value in every pixel; some are masked. Fill them, such as by .filled(0).")
    return plain_array(images)


def read_digits() -> PreparedData:
    """Handwritten digits of scikit-learn: 1,797 images of 8 x 8 pixels; a fifth of every class for testing.

    Source: scikit-learn's `load_digits`; UCI, https://doi.org/10.24432/C50P49.

    Example:
        >>> {split: len(rows) for split, rows in read_digits().splits.items()}
        {'test': 359, 'train': 1438}
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return read_memory(images=bunch.images.astype(np.float32), label=bunch.target, max_value=16)
