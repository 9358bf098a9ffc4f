"""Reader of tar files of images, as WebDataset writes them: images are read where they lie, nothing is unpacked."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.column_names import NONE
from bam_core.data.folders import find_files, printable
from bam_core.data.progress import track
from bam_core.data.splits import SPLIT_NAMES, UNLABELED, part_of, split_of
from bam_core.errors import BAMError, DataError
from modalities.image.decode import SUFFIXES, Slice
from modalities.image.storage import Decoding, Encodeds, ImageOptions, write_encoded


class Sample(NamedTuple):
    """Members of a tar file with the same name before the first dot."""

    id: str
    image: Slice
    label: str | list[Any] | None
    split: str


class Suffixes(NamedTuple):
    """What members of a tar file are called: `image` and `label` as the user says, and how often there are others."""

    image: str | None
    label: str | None
    others: Counter[str]


def read_shards(
    *,
    path: str,
    image: str | None = None,
    label: str | None = None,
    task: str | None = None,
    size: int | None = None,
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    min_value: float | None = None,
    max_value: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read tar files of images with labels beside them, such as 000123.jpg and 000123.cls.

    The split is the folder that a tar file lies in, or a word of its name, if that is train, val (or validation) or
    test, as in imagenet1k-validation-00.tar; where no file says it, a part is held out.

    Args:
        path: a tar file, not compressed, or a folder of them.
        image: suffix of the file that holds the image, such as input.png; default: the only one of an image.
        label: suffix of the file that holds the label, as text; json files hold it under `label`. Default: `cls`, if
            there are such; "none" for none.
        task: "classification", "multi_label" (lists in json, or cells such as "cat,dog") or "regression"; default:
            several labels if there are lists, else classes.
        size: see `read_folder`, as for the following options.
        decoding: as there; "in_workers" reads each image where it lies in its tar file.
        check: as there.
        min_value: as there.
        max_value: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with `image` (decoded) or `file`, `offset` and `size`, `id`, where known `label`; the facts of
            `read_folder`.

    Raises:
        InputError: an option out of range.
        DataError: no tar files, one that cannot be read, samples with several images or labels, or files that say
            their split beside others that do not.

    Source: WebDataset, https://github.com/webdataset/webdataset.
    """
    options = ImageOptions(
        label=label, task=task, size=size, decoding=decoding, check=check, min_value=min_value,
        max_value=max_value, test_fraction=test_fraction, seed=seed, fitted=fitted,
    ).checked()  # fmt: skip
    settings = {"path": path, "image": image, **options.settings()}
    root = Path(path).expanduser()
    files = [root] if root.is_file() else [file for file in find_files(root).files if file.suffix == ".tar"]
    if not files:
        raise DataError(f"expected tar files in {root} or below; there are none.")
    _check_splits(files)

    def build(writer: SplitWriter) -> None:
        wanted = Suffixes(image, label, Counter())
        samples = [s for file in track(files, "Listing tar files") for s in _samples(file, wanted, writer)]
        _say_labels(writer, samples, wanted, is_new=fitted is not None)
        labels = [None if sample.split == UNLABELED else sample.label for sample in samples]
        has_lists = any(isinstance(one, list) for one in labels)
        parts = [part_of(sample.split) for sample in samples]
        images = Encodeds(
            lambda i: samples[i].image,
            [sample.id for sample in samples],
            parts,
            labels if any(name is not None for name in labels) else None,
            None,
        )
        guessed = None if has_lists else "classification"
        write_encoded(writer, images, replace(options, task=task or guessed))

    return cached("image_shards", files, settings, build)


def _samples(file: Path, wanted: Suffixes, writer: SplitWriter) -> list[Sample]:
    split = _split_of(file)
    images: dict[str, Slice] = {}
    labels: dict[str, str | list[Any] | None] = {}
    label = wanted.label or "cls"
    size = file.stat().st_size
    try:
        with tarfile.open(file, "r:") as archive:
            for member in _members(archive):
                folder, _, name = member.name.rpartition("/")
                key, _, suffix = name.partition(".")
                key = printable(f"{folder}/{key}" if folder else key)
                if not member.isfile() or name.startswith("."):
                    continue
                is_image = suffix == wanted.image if wanted.image else f".{suffix.lower()}" in SUFFIXES
                if member.offset_data + member.size > size:
                    break
                if is_image and key in images:
                    raise DataError(
                        f"sample {key} of {file.name} expected one image; it holds several. Name the suffix of the one "
                        f"to read, such as image: {suffix}."
                    )
                if is_image:
                    images[key] = Slice(str(file), member.offset_data, member.size)
                elif suffix == label and wanted.label != NONE:
                    labels[key] = _label(_content(archive, member), suffix, f"{file.name}:{name}")
                else:
                    wanted.others[suffix] += 1
            cut = not _ends_at(file, archive.offset)
    except BAMError:
        raise
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{file.name} cannot be read ({' '.join(str(error).split())}): expected a tar file that is not compressed."
        ) from error
    if cut:
        writer.set_aside(file.name, f"is cut off, or was not closed: only its first {len(images):,} image(s) are read")
    for key in labels.keys() - images.keys():
        writer.set_aside(f"{file.name}:{key}", "has a label but no image")
    return [Sample(f"{file.name}:{key}", image, labels.get(key), split) for key, image in images.items()]


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """As far as the file goes."""
    try:
        yield from archive
    except tarfile.ReadError:
        return


def _ends_at(file: Path, offset: int) -> bool:
    """Whether the block of zeros that closes a tar file stands there."""
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)


def _say_labels(writer: SplitWriter, samples: Sequence[Sample], wanted: Suffixes, *, is_new: bool) -> None:
    """What has no label.

    Raises:
        DataError: no images, or no labels where these were asked for.
    """
    others = ", ".join(f"{suffix} ({count:,})" for suffix, count in wanted.others.most_common(6)) or "none"
    if not samples:
        raise DataError(
            f"expected images in tar files; the members that were found are called, from the first dot on, {others}. "
            "Name the suffix of the images, such as image: input.png; a name has no dot in front of its suffix."
        )
    without = sum(sample.label is None for sample in samples)
    if without == len(samples) and wanted.label not in (None, NONE) and not is_new:
        held = " under the key `label`" if wanted.label == "json" else ""
        raise DataError(
            f"no image has a label in a file .{wanted.label}{held}; others are called {others}. Name one of them, or "
            "read none, label: none."
        )
    if without == len(samples) and wanted.label is None and wanted.others:
        writer.note(
            f"No files .cls beside the images, which are unlabelled; others are called {others}: label names one."
        )
    elif without < len(samples):
        writer.repaired("images without a label, unlabelled", without)


def _split_of(file: Path) -> str:
    """Of train/00.tar by its folder, of imagenet1k-validation-00.tar by a word of its name; "" if neither says it."""
    words = (file.parent.name.lower(), *re.split(r"[^a-z]+", file.stem.lower()))
    return next((split for word in words if (split := split_of(word))), "")


def _check_splits(files: Sequence[Path]) -> None:
    """All files say their split, or none."""
    unknown = [file.name for file in files if not _split_of(file)]
    if 0 < len(unknown) < len(files):
        raise DataError(
            "expected tar files that all say their split, by folder or by a word of the name "
            f"({', '.join(SPLIT_NAMES)}), or none that does; {len(unknown)} of {len(files)} do not, such as "
            f"{unknown[0]}. Rename or move them."
        )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member)
    return b"" if opened is None else opened.read()


def _label(content: bytes, suffix: str, where: str) -> str | list[Any] | None:
    try:
        text = content.decode().strip()
        found = json.loads(text) if suffix == "json" else text
    except ValueError as error:
        raise DataError(
            f"{where} expected a label as {'JSON' if suffix == 'json' else 'text'}; got {error}."
        ) from error
    if suffix == "json":
        found = found.get("label") if isinstance(found, dict) else None
    if isinstance(found, dict) or (isinstance(found, list) and any(isinstance(part, list | dict) for part in found)):
        raise DataError(
            f"{where} expected one label, or a list; got {str(found)[:80]}. To read no labels: label: none."
        )
    return found if found is None or isinstance(found, list) else str(found)
