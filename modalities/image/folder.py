"""Reader of folders of images."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.errors import DataError
from modalities.image.decode import SUFFIXES
from modalities.image.storage import Decoding, Encodeds, Options, check_options, write_encoded

SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Names of folders -> the split that they hold."""


def read_folder(
    *,
    path: str,
    size: int | None = None,
    folders: Literal["class", "group", "none"] = "class",
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    max_value: float = 65535,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a folder of PNG, JPEG, WebP, TIFF, BMP or GIF images, with its subfolders.

    Folders `train`, `val` (or `validation`), `test` at the top are splits; what lies below is classes, and images
    that lie in no class folder are unlabelled. Images are turned as their EXIF data say, transparent parts are white,
    and all become grey if all are, else colour. Files that are no images or broken are set aside by name.

    Args:
        path: the folder, or one image.
        size: height and width in pixels: images are scaled until they cover that, and their centre is cut out.
            Default: the size that all have; 224 if they differ.
        folders: what subfolders stand for: classes, groups (patients, sites) that are never divided between splits,
            or nothing.
        decoding: "ahead" decodes once and keeps the pixels, "in_workers" keeps the paths and decodes every batch
            anew, in the processes of `train.num_workers`; "auto" decodes ahead what takes at most 1 GB.
        check: for "in_workers", whether to decode every image once beforehand to find the broken ones, or to look
            at headers and ends only, which finds what was cut off.
        max_value: what is white in images of more than 8 bit; 4095 for 12 bit.
        test_fraction: of every class, or of the groups, to hold out if there are classes but no split; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: new images are brought to its size and channels, all into "train".

    Returns:
        Splits with `image` (decoded) or `file`, `id` (path in the folder), and where known `label` and `group`; facts
        in_channels, image_size (height, width), mean and std of the channels, classes.

    Raises:
        InputError: an option out of range.
        DataError: no folder, or no readable image.
    """
    settings = {name: value for name, value in locals().items() if name != "fitted"}
    options = Options(size, decoding, check, max_value, test_fraction, seed, fitted)
    check_options(options)
    root = Path(path).expanduser()
    files, others = _find(root)
    if not files:
        found = f"; it holds {', '.join(f'{n} x {suffix}' for suffix, n in others.most_common(5))}" if others else ""
        raise DataError(f"expected images ({', '.join(SUFFIXES)}) in {root} or below; there are none{found}.")
    base = root if root.is_dir() else root.parent
    relative = [file.relative_to(base) for file in files]

    def build(writer: SplitWriter) -> None:
        for suffix, count in others.items():
            writer.set_aside(f"{count} file(s) {suffix}", "not named as images are")
        parts, names = _parts_and_names(relative, ignore_splits=fitted is not None)
        different = {name for name in names if name}
        labels = names if folders == "class" and len(different) > 1 else None
        if folders == "class" and len(different) == 1 and fitted is None:
            writer.repaired(f"one class folder only, {different.pop()!r}: images taken as unlabelled", len(files))
        groups = None
        if folders == "group":
            groups = [name or str(file) for name, file in zip(names, relative, strict=True)]
        images = Encodeds(lambda i: str(files[i]), [str(file) for file in relative], parts, labels, groups)
        write_encoded(writer, images, options)

    return cached("image_folder", files, {**settings, "fitted": None if fitted is None else image_facts(fitted)}, build)


def image_facts(fitted: dict[str, Any]) -> dict[str, Any]:
    """Those of the facts of an encoder that matter to reading new images."""
    return {name: fitted.get(name) for name in ("in_channels", "image_size", "classes")}


def _find(root: Path) -> tuple[list[Path], Counter[str]]:
    """Image files below the root in order, and the number of others by suffix; hidden files count as none."""
    if root.is_file():
        return ([root], Counter()) if root.suffix.lower() in SUFFIXES else ([], Counter([root.suffix or root.name]))
    if not root.is_dir():
        raise DataError(f"expected a folder of images at {root}; there is none.")
    files: list[Path] = []
    others: Counter[str] = Counter()
    for parent, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(names):
            if name.startswith(".") or name == "Thumbs.db":
                continue
            suffix = os.path.splitext(name)[1].lower()
            if suffix in SUFFIXES:
                files.append(Path(parent, name))
            else:
                others[suffix or name] += 1
    return files, others


def _parts_and_names(files: list[Path], *, ignore_splits: bool) -> tuple[list[str], list[str | None]]:
    """Split of every file, "" for open, and the name of the folder that says its class or group."""
    tops = {file.parts[0].lower() for file in files if len(file.parts) > 1}
    has_splits = tops <= set(SPLITS) and "train" in {SPLITS[top] for top in tops}
    parts: list[str] = []
    names: list[str | None] = []
    for file in files:
        folders = file.parts[:-1]
        split = "train"
        if has_splits and folders:
            split, folders = SPLITS[folders[0].lower()], folders[1:]
        parts.append(split if has_splits and not ignore_splits else "")
        names.append(folders[0] if folders else None)
    return parts, names
