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
from bam_core.data.holdout import named_groups
from bam_core.errors import DataError
from modalities.image.folder import SPLITS, image_facts
from modalities.image.storage import Decoding, Encodeds, Options, check_options, write_encoded

READER = "huggingface_images"


def read_huggingface(
    *,
    path: str,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    splits: dict[str, str] | None = None,
    download: bool = False,
    size: int | None = None,
    decoding: Decoding = "auto",
    check: Literal["decode", "header"] = "decode",
    max_value: float = 65535,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a data set of the `datasets` library with a column of images.

    Args:
        path: what `save_to_disk` wrote, a parquet file, or a folder of parquet files (a split is the word before the
            first dash of their names) or of an image folder with metadata; with `download`, a name on the hub.
        image: column of images; default: the only one of that type.
        label: column of labels, strings, numbers or class labels; default: `label` or `labels`, if there is one.
        group: column of what must stay together.
        splits: split of the data set -> "train", "validation" or "test", others are not read. Default: those named
            so. Without a test split a part is held out if there are labels.
        download: fetch the data set from the hub.
        size: see `read_folder`, as for the following options.
        decoding: as there; with "in_workers" encoded images are read where `datasets` has them, and copied into the
            cache only if a part is held out by chance.
        check: as there.
        max_value: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        Splits with `image` or `encoded`, `id` (split and row), and where known `label` and `group`; facts as there.

    Raises:
        InputError: an option out of range.
        DataError: nothing readable at `path`, or no column of images.
    """
    settings = {name: value for name, value in locals().items() if name != "fitted"}
    options = Options(size, decoding, check, max_value, test_fraction, seed, fitted)
    check_options(options)
    place = Path(path).expanduser()
    if not place.exists() and not download:
        raise DataError(
            f"expected a data set at {place}; there is none. To fetch {path!r} from the hub: download: true."
        )
    files = [f for f in (place.rglob("*") if place.is_dir() else [place]) if f.is_file()]

    def build(writer: SplitWriter) -> None:
        loaded = _load(place, path, download)
        wanted = _wanted(loaded, splits)
        unknown = sorted(set(wanted) - set(loaded)) + sorted(set(wanted.values()) - set(SPLITS.values()))
        if unknown or not wanted:
            raise DataError(
                f"splits of {place.name} expected a choice of {', '.join(loaded)}; got {unknown or 'none'}."
            )
        first = loaded[next(iter(wanted))]
        column = _image_column(first.features, image, place.name)
        named = {"label": label or next((n for n in ("label", "labels") if n in first.features), None), "group": group}
        for role, name in named.items():
            if name is not None and name not in first.features:
                raise DataError(f"{place.name} has no column {name!r} for {role}; it has {', '.join(first.features)}.")
        parts = [part for name, part in wanted.items() for _ in range(len(loaded[name]))]
        images = _undecoded(loaded, wanted, column)
        values = {
            role: None if name is None else [v for split in wanted for v in _values(loaded[split], name)]
            for role, name in named.items()
        }
        is_open = set(parts) == {"train"}
        by_chance = is_open and values["label"] is not None and test_fraction > 0 and fitted is None
        writer.facts["image_column"] = column
        writer.facts["origin"] = _origin(loaded)
        write_encoded(
            writer,
            Encodeds(
                partial(_encoded, images, column),
                [f"{name}:{row}" for name in wanted for row in range(len(loaded[name]))],
                [""] * len(parts) if is_open else parts,
                values["label"],
                None if values["group"] is None else named_groups(values["group"]),
                stay=not by_chance,
            ),
            options,
        )

    prepared = cached(READER, files, {**settings, "fitted": None if fitted is None else image_facts(fitted)}, build)
    if "row" not in prepared.splits["train"].column_names:
        return prepared
    loaded = _load(place, path, download)
    if _origin(loaded) != prepared.facts["origin"]:
        raise DataError(
            f"the data set {path!r} has changed since it was prepared: labels would no longer belong to their images. "
            f"Delete {cache_root() / f'{READER}-{prepared.fingerprint}'} to prepare it anew."
        )
    column = prepared.facts["image_column"]
    images = _undecoded(loaded, _wanted(loaded, splits), column).rename_column(column, "encoded")
    return replace(prepared, splits={name: _beside(rows, images) for name, rows in prepared.splits.items()})


def _origin(loaded: Mapping[str, Any]) -> list[list[Any]]:
    """What `datasets` knows every split by; it follows from the files, and on the hub from the revision."""
    return [[name, len(rows), rows._fingerprint] for name, rows in sorted(loaded.items())]


def _wanted(loaded: Mapping[str, Any], splits: Mapping[str, str] | None) -> Mapping[str, str]:
    return splits or {name: SPLITS[name.lower()] for name in loaded if name.lower() in SPLITS}


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


def _load(place: Path, name: str, download: bool) -> Mapping[str, Any]:
    import datasets

    try:
        if not place.exists():
            loaded = datasets.load_dataset(name)
        elif place.is_file():
            loaded = datasets.load_dataset("parquet", data_files={"train": str(place)})
        elif (place / "dataset_dict.json").exists() or (place / "state.json").exists():
            loaded = datasets.load_from_disk(str(place))
        elif found := sorted(place.rglob("*.parquet")):
            data_files: dict[str, list[str]] = {}
            for file in found:
                data_files.setdefault(file.stem.split("-")[0], []).append(str(file))
            loaded = datasets.load_dataset("parquet", data_files=data_files)
        else:
            loaded = datasets.load_dataset("imagefolder", data_dir=str(place))
    except Exception as error:  # of files, of the network, of the library
        raise DataError(f"{name} is no data set that can be loaded: {' '.join(str(error).split())[:300]}") from error
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


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


def _values(rows: Any, name: str) -> list[Any]:
    import datasets

    feature, values = rows.features[name], rows[name][:]
    if isinstance(feature, datasets.ClassLabel):
        return [None if v is None or v < 0 else feature.int2str(v) for v in values]
    return list(values)


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
