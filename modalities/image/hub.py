"""Reader of Hugging Face image data sets: saved to disk, as parquet or image folder, or from the hub when asked."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.cache import cache_root
from bam_core.data.folders import find_files
from bam_core.data.holdout import named_groups
from bam_core.data.hub import choose_splits, column_values, label_column, load_splits
from bam_core.data.splits import UNLABELED, part_of
from bam_core.errors import DataError
from modalities.image.storage import Decoding, Encodeds, ImageOptions, write_encoded

READER = "huggingface_images"


def read_huggingface(
    *,
    path: str,
    config: str | None = None,
    image: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    splits: dict[str, str] | None = None,
    download: bool = False,
    size: int | None = None,
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    min_value: float | None = None,
    max_value: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a data set of the `datasets` library with a column of images.

    Args:
        path: what `save_to_disk` wrote, a parquet file, a folder of parquet files (a split is the word before the
            first dash of their names, or the folder that they lie in) or an image folder with metadata; with
            `download`, a name on the hub.
        config: which of several configurations, a folder of parquet files or a name on the hub.
        image: column of images; default: the only one of that type.
        label: column of labels, strings, numbers, class labels, or lists of these; default: `label` or `labels`, if
            there is one; "none" for none.
        task: "classification", "multi_label" (several labels a row) or "regression"; default: what labels look like,
            see `read_target`.
        group: column of what must stay together.
        splits: split of the data set -> train, validation, test or unlabeled, others are not read. Default: those
            named so. Without a test split a part is held out if there are labels.
        download: fetch the data set from the hub.
        size: see `read_folder`, as for the following options.
        decoding: as there; with "in_workers" encoded images are read where `datasets` has them, and copied into the
            cache only if a part is held out by chance.
        check: as there.
        min_value: as there.
        max_value: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with `image` or `encoded`, `id` (split and row), where known `label` and `group`; the facts of
            `read_folder`.

    Raises:
        InputError: an option out of range.
        DataError: nothing readable at `path`, or no column of images.
    """
    options = ImageOptions(
        label=label, task=task, group=group, size=size, decoding=decoding, check=check, min_value=min_value,
        max_value=max_value, test_fraction=test_fraction, seed=seed, fitted=fitted,
    ).checked()  # fmt: skip
    settings = {
        "path": path,
        "config": config,
        "image": image,
        "splits": splits,
        "download": download,
        **options.settings(),
    }
    place = Path(path).expanduser()
    if not place.exists() and not download:
        raise DataError(
            f"expected a data set at {place}; there is none. To fetch {path!r} from the hub: download: true."
        )
    files = find_files(place).files if place.exists() else []

    def build(writer: SplitWriter) -> None:
        loaded = load_splits(place, path, config=config, builder="imagefolder")
        wanted = choose_splits(loaded, splits, place.name, writer)
        features = {key: feature for name in wanted for key, feature in loaded[name].features.items()}
        column = _image_column(features, image, place.name)
        if group is not None and group not in features:
            raise DataError(f"{place.name} has no column {group!r} for group; it has {', '.join(features)}.")
        named = label_column(features, label, ("label", "labels"), place.name)
        parts, labels, groups = [], [], []
        for name, part in wanted.items():
            rows = loaded[name]
            parts += [part_of(part)] * len(rows)
            labels += column_values(rows, None if part == UNLABELED else named, place.name, several=True)
            groups += column_values(rows, group, place.name)
        images = _undecoded(loaded, wanted, column)
        is_open = set(parts) == {"train"}
        by_chance = is_open and named is not None and test_fraction > 0 and fitted is None
        writer.facts["image_column"] = column
        writer.facts["origin"] = _origin(loaded)
        write_encoded(
            writer,
            Encodeds(
                partial(_encoded, images, column),
                [f"{name}:{row}" for name in wanted for row in range(len(loaded[name]))],
                [""] * len(parts) if is_open else parts,
                None if named is None else labels,
                None if group is None else named_groups(groups),
                stay=not by_chance,
            ),
            options,
        )

    prepared = cached(READER, files, settings, build)
    if "row" not in prepared.splits["train"].column_names:
        return prepared
    loaded = load_splits(place, path, config=config, builder="imagefolder")
    if _origin(loaded) != prepared.facts["origin"]:
        raise DataError(
            f"the data set {path!r} has changed since it was prepared: labels would no longer belong to their images. "
            f"Delete {cache_root() / f'{READER}-{prepared.fingerprint}'} to prepare it anew."
        )
    column = prepared.facts["image_column"]
    images = _undecoded(loaded, choose_splits(loaded, splits, place.name), column).rename_column(column, "encoded")
    return replace(prepared, splits={name: _beside(rows, images) for name, rows in prepared.splits.items()})


def _origin(loaded: Mapping[str, Any]) -> list[list[Any]]:
    """What `datasets` knows every split by; it follows from the files, and on the hub from the revision."""
    return [[name, len(rows), rows._fingerprint] for name, rows in sorted(loaded.items())]


def _undecoded(loaded: Mapping[str, Any], wanted: Mapping[str, str], column: str) -> Any:
    """The images of the wanted splits, one after the other, where they are."""
    import datasets

    parts = [loaded[name].select_columns([column]).cast_column(column, datasets.Image(decode=False)) for name in wanted]
    return datasets.concatenate_datasets(parts)


def _beside(rows: Any, images: Any) -> Any:
    """Rows with their images, as stretches of the table that holds them: nothing is copied."""
    import datasets

    at = np.asarray(rows.with_format("numpy")["row"][:])
    ends = [0, *(np.flatnonzero(np.diff(at) != 1) + 1).tolist(), len(at)]
    parts = [images.select(range(at[a], at[b - 1] + 1)) for a, b in pairwise(ends)]
    return datasets.concatenate_datasets([datasets.concatenate_datasets(parts), rows.remove_columns("row")], axis=1)


def _image_column(features: Mapping[str, Any], name: str | None, what: str) -> str:
    import datasets

    found = [key for key, feature in features.items() if isinstance(feature, datasets.Image)]
    if name is not None and name in features:
        return name
    if name is not None or len(found) != 1:
        raise DataError(
            f"{what} expected {repr(name) if name else 'one column of images'}; it has the columns "
            f"{', '.join(features)}, of which {', '.join(found) or 'none'} hold images. Name one: image."
        )
    return found[0]


def _encoded(images: Any, column: str, index: int) -> bytes:
    stored = images[index][column]
    if stored is None or (stored["bytes"] is None and stored["path"] is None):
        raise DataError("holds nothing")
    if stored["bytes"] is not None:
        content: bytes = stored["bytes"]
        return content
    try:
        return Path(stored["path"]).read_bytes()
    except OSError as error:
        raise DataError(f"names a file that cannot be read ({error.strerror})") from error
