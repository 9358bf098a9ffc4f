"""What the arrays of an .npz file are by their names, also where there is one for each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bam_core.data.splits import UNLABELED, split_of
from bam_core.errors import DataError

KEYS = {
    "images": ("images", "image", "X", "x", "data"),
    "label": ("label", "labels", "y", "target"),
    "group": ("group", "groups"),
    "id": ("id", "ids"),
    "split": ("split",),
}
"""What an .npz holds -> how it is called where nobody says otherwise."""


def split_keys(available: Sequence[str], *, has_labels: bool) -> dict[str, dict[str, str]]:
    """Split, as the file calls it -> role -> key, of keys such as `train_images` or `x_train`."""
    roles = {name.lower(): role for role, names in KEYS.items() for name in names if role != "split"}
    found: dict[str, dict[str, str]] = {}
    for key in available:
        first, _, second = key.partition("_")
        for split, name in ((first, second), (second, first)):
            role = roles.get(name.lower())
            if split_of(split) and role and (role != "label" or has_labels):
                found.setdefault(split, {})[role] = key
    return {split: keys for split, keys in found.items() if "images" in keys}


def joined(by_split: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    """The arrays of the splits one after the other, with a column of splits.

    Raises:
        DataError: images of different shapes, or a role that only some splits have.
    """
    shapes = {split: arrays["images"].shape[1:] for split, arrays in by_split.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path.name} expected images of one shape in all splits; got {shapes}.")
    sizes = {split: len(arrays["images"]) for split, arrays in by_split.items()}
    found = {"images": np.concatenate([arrays["images"] for arrays in by_split.values()])}
    for role in dict.fromkeys(role for arrays in by_split.values() for role in arrays if role != "images"):
        without = [split for split in by_split if role not in by_split[split] and split_of(split) != UNLABELED]
        if without:
            raise DataError(f"{path.name} expected {role} in all splits; {', '.join(without)} has none.")
        parts = [
            one_a_row(role, by_split[split][role], size) if role in by_split[split] else None
            for split, size in sizes.items()
        ]
        width = {part.shape[1:] for part in parts if part is not None}
        if len(width) > 1:
            raise DataError(f"{path.name} expected {role} of as many classes in all splits; got {sorted(width)}.")
        none = None if role == "label" else ""
        found[role] = np.concatenate(
            [
                np.full((size, *next(iter(width))), none, dtype=object) if part is None else part.astype(object)
                for part, size in zip(parts, sizes.values(), strict=True)
            ]
        )
    found["split"] = np.concatenate([np.full(size, split, dtype=object) for split, size in sizes.items()])
    if "id" not in found:
        found["id"] = np.array([f"{path.stem}:{split}:{i}" for split, size in sizes.items() for i in range(size)])
    return found


def one_a_row(role: str, array: np.ndarray, n: int) -> np.ndarray:
    """(n,) of (n,) or (n, 1); labels also (n, k), 0 and 1 for every class.

    Raises:
        DataError: another shape.
    """
    if array.shape == (n, 1):
        return array[:, 0]
    if array.shape != (n,) and not (role == "label" and array.ndim == 2 and len(array) == n):
        raise DataError(f"{role} expected one value for each of {n} images; got shape {array.shape}.")
    return array
