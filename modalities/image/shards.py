"""Reader of tar files of images, as WebDataset writes them: images are read where they lie, nothing is unpacked."""

import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.progress import track
from bam_core.data.splits import SPLIT_NAMES, UNLABELED, split_of
from bam_core.errors import DataError
from modalities.image.decode import SUFFIXES, Slice
from modalities.image.folder import image_facts
from modalities.image.storage import Decoding, Encodeds, Options, check_options, write_encoded


class Sample(NamedTuple):
    """Members of a tar file with the same name before the first dot."""

    id: str
    image: Slice
    label: str | None
    split: str


def read_shards(
    *,
    path: str,
    label: str = "cls",
    size: int | None = None,
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    max_value: float = 65535,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read tar files of images with labels beside them, such as 000123.jpg and 000123.cls.

    The split is the folder that a tar file lies in, or a word of its name, if that is train, val (or validation) or
    test, as in imagenet1k-validation-00.tar; where no file says it, a part is held out.

    Args:
        path: a tar file, not compressed, or a folder of them.
        label: suffix of the file that holds the label, as text; json files hold it under `label`.
        size: see `read_folder`, as for the following options.
        decoding: as there; "in_workers" reads each image where it lies in its tar file.
        check: as there.
        max_value: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with `image` (decoded) or `file`, `offset` and `size`, `id`, and where known `label`; facts as there.

    Raises:
        InputError: an option out of range.
        DataError: no tar files, one that cannot be read, or some that say their split beside others that do not.

    Source: WebDataset, https://github.com/webdataset/webdataset.
    """
    settings = {name: value for name, value in locals().items() if name != "fitted"}
    options = Options(size, decoding, check, max_value, test_fraction, seed, fitted)
    check_options(options)
    root = Path(path).expanduser()
    files = [root] if root.is_file() else sorted(root.rglob("*.tar"))
    if not files:
        raise DataError(f"expected tar files in {root} or below; there are none.")
    _check_splits(files)

    def build(writer: SplitWriter) -> None:
        samples = [sample for file in track(files, "Listing tar files") for sample in _samples(file, label, writer)]
        labels = [None if sample.split == UNLABELED else sample.label for sample in samples]
        parts = ["train" if sample.split == UNLABELED else sample.split for sample in samples]
        images = Encodeds(
            lambda i: samples[i].image,
            [sample.id for sample in samples],
            parts,
            labels if any(name is not None for name in labels) else None,
            None,
        )
        write_encoded(writer, images, options)

    return cached("image_shards", files, {**settings, "fitted": None if fitted is None else image_facts(fitted)}, build)


def _samples(file: Path, label: str, writer: SplitWriter) -> list[Sample]:
    split = _split_of(file)
    images: dict[str, Slice] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                key, _, suffix = name.partition(".")
                key = f"{folder}/{key}" if folder else key
                if not member.isfile():
                    continue
                if f".{suffix.lower()}" in SUFFIXES:
                    images[key] = Slice(str(file), member.offset_data, member.size)
                elif suffix == label:
                    labels[key] = _label(_content(archive, member), suffix)
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{file.name} cannot be read ({' '.join(str(error).split())}): expected a tar file that is not compressed."
        ) from error
    for key in labels.keys() - images.keys():
        writer.set_aside(f"{file.name}:{key}", "has a label but no image")
    return [Sample(f"{file.name}:{key}", image, labels.get(key), split) for key, image in images.items()]


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


def _label(content: bytes, suffix: str) -> str:
    text = content.decode().strip()
    return str(json.loads(text)["label"]) if suffix == "json" else text
