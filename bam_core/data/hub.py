"""Data sets of the `datasets` library on disk or from the hub: which files are which split, and what labels are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bam_core.data.column_names import NONE
from bam_core.data.folders import find_files
from bam_core.data.splits import UNLABELED, check_choice, split_of
from bam_core.data.writer import SplitWriter
from bam_core.errors import BAMError, DataError


def load_splits(
    place: Path, name: str, *, config: str | None = None, builder: str | None = None, cache_dir: str | None = None
) -> Mapping[str, Any]:
    """The splits of a data set.

    Args:
        place: what `save_to_disk` wrote, a parquet file, a folder of parquet files, or a folder as `builder` reads it.
            If there is nothing, the data set is fetched from the hub.
        name: on the hub, and in messages.
        config: which of several configurations.
        builder: of the `datasets` library, for a folder of files that are not parquet: "imagefolder"; None for none.
        cache_dir: where the library converts parquet; default: its own cache.

    Raises:
        DataError: it cannot be loaded, holds several configurations and none is chosen, or has no such one.
    """
    import datasets

    is_saved = (place / "dataset_dict.json").exists() or (place / "state.json").exists()
    try:
        if not place.exists():
            loaded = datasets.load_dataset(name, config, cache_dir=cache_dir)
        elif files := ({} if is_saved else parquet_files(place, config)):
            loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=cache_dir)
        elif config is not None:
            raise DataError(f"{name} has no configurations: leave out config.")
        elif is_saved:
            loaded = datasets.load_from_disk(str(place))
        elif builder is None:
            raise DataError(
                f"{name} is no Hugging Face data set: neither what save_to_disk writes nor parquet files. Files in "
                "folders are read by reader: folder, files that a metadata.csv lists by reader: manifest."
            )
        else:
            loaded = datasets.load_dataset(builder, data_dir=str(place), cache_dir=cache_dir)
    except BAMError:
        raise
    except Exception as error:  # of files, of the network, of the library
        reason = _reason(error)
        choose = " Choose one: config." if "config" in reason.lower() else ""
        raise DataError(f"{name} is no data set that can be loaded: {reason}{choose}") from error
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


def _reason(error: BaseException) -> str:
    deepest = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return " ".join(str(deepest).split())[:300] or type(deepest).__name__


def parquet_files(place: Path, config: str | None = None) -> dict[str, list[str]]:
    """Split -> its parquet files: `train-00000-of-00002.parquet` by name, `default/train/0000.parquet` by folder.

    Args:
        place: a file or a folder.
        config: folder of one of several configurations.

    Raises:
        DataError: files of several configurations, or none of that name.
    """
    if place.is_file():
        return {"train": [str(place)]}
    found: dict[str, dict[str, list[str]]] = {}
    for file in find_files(place).files:
        if file.suffix.lower() == ".parquet":
            folders = [folder for folder in file.relative_to(place).parts[:-1] if folder != "data"]
            split = _first_word(file.stem)
            by_folder = [folder for folder in folders if split_of(_first_word(folder))]
            if not split_of(split) and (by_folder or split.isdigit()):
                folder = by_folder[-1] if by_folder else folders[-1] if folders else ""
                folders = [other for other in folders if other != folder]
                split = _first_word(folder) or "train"
            found.setdefault("/".join(folders) or ".", {}).setdefault(split, []).append(str(file))
    listed = ", ".join(sorted(found)[:20])
    if config is not None and found:
        if config not in found:
            raise DataError(f"{place.name} has no configuration {config!r}; it has {listed}.")
        return found[config]
    if len(found) > 1:
        raise DataError(
            f"{place.name} holds several configurations, {listed}: these are different data sets. Choose one, such as "
            f"config: {max(found)}."
        )
    return next(iter(found.values()), {})


def _first_word(name: str) -> str:
    return name.removeprefix("partial-").split("-")[0]


def choose_splits(
    loaded: Mapping[str, Any], splits: Mapping[str, str] | None, where: str, writer: SplitWriter | None = None
) -> dict[str, str]:
    """Split of the data set -> train, validation, test or unlabeled; others are set aside by name.

    Args:
        loaded: splits of the data set.
        splits: the choice, if there is one; else those that are called so.
        where: the data are, for messages.
        writer: to say it to.

    Raises:
        DataError: a split that the data set does not have, or none that is called as one.
        InputError: a value that is no split.
    """
    if splits:
        check_choice(splits, loaded, where)
        return dict(splits)
    wanted = {name: split for name in loaded if (split := split_of(name))}
    if not wanted:
        raise DataError(
            f"{where} expected a split named train; it has {', '.join(loaded)}. Say which is which, such as "
            f"splits: {{{next(iter(loaded), 'all')}: train}}."
        )
    for name, rows in loaded.items():
        if writer is not None and name not in wanted:
            said = ", ".join(f"{known}: {split}" for known, split in [*wanted.items(), (name, UNLABELED)])
            writer.set_aside(f"split {name!r}", f"{len(rows):,} row(s): no split by name; name it: splits: {{{said}}}")
        elif writer is not None and wanted[name] == UNLABELED:
            writer.repaired(f"rows of split {name!r}, used for training without labels", len(rows))
    return wanted


def label_column(features: Mapping[str, Any], label: str | None, usual: Sequence[str], where: str) -> str | None:
    """Name of the column of labels, or None.

    Args:
        features: of the data set.
        label: as the user names it; "none" if there is none; None to look for it.
        usual: names to look for.
        where: the data are, for messages.

    Raises:
        DataError: there is no column of that name.
    """
    if label is None:
        return next((name for name in usual if name in features), None)
    if label in features:
        return label
    if label == NONE:
        return None
    raise DataError(f"{where} has no column {label!r} for label; it has {', '.join(features)}.")


def column_values(rows: Any, column: str | None, where: str, *, several: bool = False) -> list[Any]:
    """A value for each row, names of classes as texts; None where there is none, or no such column in this split.

    Args:
        rows: a split.
        column: of labels or groups.
        where: the data are, for messages.
        several: whether rows may have several values; these are lists then.

    Raises:
        DataError: rows with several values, or with values that have parts.
    """
    import datasets

    if column is None or column not in rows.features:
        return [None] * len(rows)
    feature, values = rows.features[column], list(rows[column][:])
    inner = getattr(feature, "feature", None)
    names = inner if inner is not None else feature
    one = names.int2str if isinstance(names, datasets.ClassLabel) else lambda value: value
    found = [
        [one(item) for item in value] if isinstance(value, list) else None if _is_gap(value, names) else one(value)
        for value in values
    ]
    for value in found:
        parts = value if isinstance(value, list) else [value]
        if any(isinstance(part, dict | list) for part in parts) or (len(parts) > 1 and not several):
            one_or_more = "values without parts" if several else "one value a row"
            raise DataError(
                f"column {column!r} of {where} expected {one_or_more}; a row has {str(value)[:80]}. Name another "
                "column, or read the data without labels: label: none."
            )
    return found if several else [next(iter(v), None) if isinstance(v, list) else v for v in found]


def _is_gap(value: Any, feature: Any) -> bool:
    import datasets

    return value is None or (isinstance(feature, datasets.ClassLabel) and value < 0)
