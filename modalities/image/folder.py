"""Reader of folders of images."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.folder_layout import known_in_train, read_layout, say_layout
from bam_core.data.folders import find_files, held
from bam_core.data.name_patterns import compile_pattern, match_names
from bam_core.data.splits import read_splits
from bam_core.errors import DataError
from modalities.image.decode import SUFFIXES
from modalities.image.storage import Decoding, Encodeds, ImageOptions, write_encoded


def read_folder(
    *,
    path: str,
    size: int | None = None,
    folders: Literal["class", "group", "none"] = "class",
    pattern: str | None = None,
    splits: dict[str, str] | None = None,
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    min_value: float | None = None,
    max_value: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a folder of PNG, JPEG, WebP, TIFF, BMP or GIF images, with its subfolders.

    Folders `train`, `val`, `test`, `unlabeled` (and other names of these, see `read_layout`) are splits; what lies
    below is classes, and images that lie in no class folder are unlabelled. What was understood is printed. Images
    are turned as their EXIF data say, transparent parts are white, and all become grey if all are, else colour. Files
    that are no images or broken are set aside by name.

    Args:
        path: the folder, or one image.
        size: height and width in pixels: images are scaled until they cover that, and their centre is cut out.
            Default: the size that all have; 224 if they differ.
        folders: what subfolders stand for: classes, groups (patients, sites) that are never divided between splits,
            or nothing.
        pattern: regular expression that is searched for in the path of an image below the folder, without suffix. Its
            named groups `label`, `group` (whose images stay together: the patient) and `split` are what the names say,
            instead of `folders`; images without a match are set aside.
        splits: folder -> train, validation, test or unlabeled, where names do not say it; others are not read. {} if
            no folder is a split, such as `train` among classes of vehicles.
        decoding: "ahead" decodes once and keeps the pixels, "in_workers" keeps the paths and decodes every batch
            anew, in the processes of `train.num_workers`; "auto" decodes ahead what takes at most 1 GB.
        check: for "in_workers", whether to decode every image once beforehand to find the broken ones, or to look
            at headers and ends only, which finds what was cut off.
        min_value: what is black in images of more than 8 bit; values below are black. Default: 0, and values below
            are an error.
        max_value: what is white in them, 4095 for 12 bit; values above are white. Default: 65535 for 16 bit; 1 for
            floating point, where values above are an error, as whole numbers of 32 bit are.
        test_fraction: of every class, or of the groups, to hold out if there are classes but no split; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: new images are brought to its size and channels, all into "train".

    Returns:
        Splits with `image` (decoded) or `file`, `id` (path in the folder), and where known `label` and `group`; facts
        in_channels, image_size (height, width), mean and std of the channels, classes.

    Raises:
        InputError: an option out of range, or a pattern that is no regular expression.
        DataError: no folder, no readable image, a pattern that matches no name, or folders of which it is not clear
            whether they are splits.
    """
    options = ImageOptions(
        size=size, decoding=decoding, check=check, min_value=min_value,
        max_value=max_value, test_fraction=test_fraction, seed=seed, fitted=fitted,
    ).checked()  # fmt: skip
    settings = {"path": path, "folders": folders, "pattern": pattern, "splits": splits, **options.settings()}
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"expected a folder of images at {root}; there is none.")
    found, rest = find_files(root).with_suffixes(SUFFIXES)
    files, names = found.files, found.names
    others = Counter(os.path.splitext(name)[1].lower() or os.path.basename(name) for name in rest)
    if not files:
        raise DataError(f"expected images ({', '.join(SUFFIXES)}) in {root} or below; there are none{held(others)}.")
    wanted = None if pattern is None else compile_pattern(pattern)
    says_split = wanted is not None and "split" in wanted.groupindex
    layout = read_layout(
        names,
        root.resolve().name,
        splits={} if says_split and splits is None else splits,
        kind="nothing" if folders == "none" or wanted is not None else folders,
        is_new=fitted is not None,
    )
    said: list[dict[str, Any] | None] = [{} for _ in names]
    if wanted is not None:
        said = match_names(wanted, [os.path.splitext(name)[0] for name in names], is_new=fitted is not None)
        if fitted is not None:  # new files, called otherwise
            said = [match or {} for match in said]

    def build(writer: SplitWriter) -> None:
        for suffix, count in others.items():
            writer.set_aside(f"{count} file(s) {suffix}", "not named as images are")
        say_layout(writer, names, layout, found.passed_over)
        for name, match in zip(names, said, strict=True):
            if match is None:
                writer.set_aside(name, f"its name does not match the pattern {pattern!r}")
        kept = [i for i, place in enumerate(layout.places) if not place.aside and said[i] is not None]
        by_name = [said[i] or {} for i in kept]
        places = [layout.places[i] for i in kept]
        inner = [place.folders[0] if place.folders else None for place in places]
        different = {name for name, place in zip(inner, places, strict=True) if name and place.is_labelled}
        labels = None
        parts = [place.split for place in places]
        groups = None
        if wanted is not None:
            labels = [one.get("label") for one in by_name] if "label" in wanted.groupindex else None
            if "group" in wanted.groupindex:
                groups = [one.get("group") or names[i] for one, i in zip(by_name, kept, strict=True)]
            if says_split:
                parts = read_splits([one.get("split") or "train" for one in by_name], "image")
        elif folders == "class" and len(different) > 1:
            labels = [name if place.is_labelled else None for name, place in zip(inner, places, strict=True)]
            labels = known_in_train(writer, labels, [place.split for place in places])
        elif folders == "class" and len(different) == 1 and fitted is None:
            writer.repaired(f"one class folder only, {different.pop()!r}: images taken as unlabelled", len(kept))
        elif folders == "group":
            groups = [name or names[i] for name, i in zip(inner, kept, strict=True)]
        images = Encodeds(lambda i: str(files[kept[i]]), [names[i] for i in kept], parts, labels, groups)
        write_encoded(writer, images, options)

    return cached("image_folder", files, settings, build)
