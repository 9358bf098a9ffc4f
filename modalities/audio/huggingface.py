"""Reader of Hugging Face audio data sets from disk; sounds are decoded by soundfile, without torchcodec or FFmpeg."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.errors import DataError
from modalities.audio.storage import SPLITS, Normalize, Sound, Treatment, write_sounds


def read_huggingface(
    *,
    path: str,
    audio: str | None = None,
    label: str | None = None,
    group: str | None = None,
    splits: dict[str, str] | None = None,
    sampling_rate_hz: int | None = None,
    n_mels: int = 64,
    frame_ms: float = 25.0,
    hop_ms: float = 10.0,
    window_s: float | None = None,
    window_hop_s: float | None = None,
    normalize: Normalize = "clip",
    test_groups: list[str | int] | None = None,
    validation_groups: list[str | int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a data set of the `datasets` library with a column of audio.

    Args:
        path: what `save_to_disk` wrote, a parquet file, or a folder of parquet files as the hub has them (a split is
            the word before the first dash of their names).
        audio: column of sounds; default: the only one of that type.
        label: column of labels, strings, numbers or class labels; default: `label`, if there is one.
        group: column of what must stay together.
        splits: split of the data set -> train, validation or test, others are not read. Default: those named so.
        sampling_rate_hz: see `read_folder`, as for the following options.
        n_mels: as there.
        frame_ms: as there.
        hop_ms: as there.
        window_s: as there.
        window_hop_s: as there.
        normalize: as there.
        test_groups: as there.
        validation_groups: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        As there; `id` is split and row.

    Raises:
        InputError: options out of range.
        DataError: nothing readable at `path`, no column of audio, or splits that do not fit.
    """
    settings = dict(locals())
    how = Treatment.of(settings)
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"expected a Hugging Face data set at {place}; there is nothing.")
    files = [file for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file()]

    def build(writer: SplitWriter) -> None:
        with tempfile.TemporaryDirectory() as scratch:  # where the library converts parquet
            write_sounds(writer, sounds_of(_load(place, scratch)), how)

    def sounds_of(loaded: Mapping[str, Any]) -> list[Sound]:
        import datasets

        wanted = _wanted(loaded, splits, place)
        sounds = []
        for name, part in wanted.items():
            rows = loaded[name]
            column = _audio_column(rows.features, audio, place)
            for role in (label, group):
                if role is not None and role not in rows.features:
                    raise DataError(f"{place.name} has no column {role!r}; it has {', '.join(rows.features)}.")
            labels = _values(rows, label or ("label" if "label" in rows.features else None))
            groups = _values(rows, group)
            encoded = rows.select_columns([column]).cast_column(column, datasets.Audio(decode=False))
            is_open = len(wanted) == 1 or fitted is not None
            sounds += [
                Sound(
                    f"{name}:{i}", partial(_fetch, encoded, column, i), labels[i], groups[i], None if is_open else part
                )
                for i in range(len(rows))
            ]
        return sounds

    return cached("huggingface_audio", files, {**settings, **how.settings()}, build)


def _load(place: Path, scratch: str) -> Mapping[str, Any]:
    import datasets

    try:
        if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
            loaded = datasets.load_from_disk(str(place))
            return loaded if isinstance(loaded, Mapping) else {"train": loaded}
        found = [place] if place.is_file() else sorted(place.rglob("*.parquet"))
        data_files: dict[str, list[str]] = {}
        for file in found:
            data_files.setdefault("train" if place.is_file() else file.stem.split("-")[0], []).append(str(file))
        if not found:
            raise DataError(f"{place} is no Hugging Face data set: neither save_to_disk nor parquet files.")
        tables: Mapping[str, Any] = datasets.load_dataset("parquet", data_files=data_files, cache_dir=scratch)
        return tables
    except DataError:
        raise
    except Exception as error:  # of files, of the library
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{place} is no Hugging Face data set that can be loaded: {reason}") from error


def _wanted(loaded: Mapping[str, Any], splits: dict[str, str] | None, place: Path) -> Mapping[str, str]:
    wanted = splits or {name: SPLITS[name.lower()] for name in loaded if name.lower() in SPLITS}
    unknown = sorted(set(wanted) - set(loaded))
    if unknown:
        raise DataError(f"splits expected a choice of {', '.join(loaded)}, which {place.name} has; got {unknown}.")
    if not wanted:
        raise DataError(
            f"{place.name} expected a split named train; it has {', '.join(loaded)}. Say which is which, such as "
            f"splits: {{{next(iter(loaded), 'all')}: train}}."
        )
    wrong = sorted(set(wanted.values()) - set(SPLITS.values()))
    if wrong:
        raise DataError(f"splits expected train, validation or test as values; got {', '.join(wrong)}.")
    return wanted


def _audio_column(features: Mapping[str, Any], name: str | None, place: Path) -> str:
    import datasets

    found = [key for key, feature in features.items() if isinstance(feature, datasets.Audio)]
    if name in features:
        return str(name)
    if name is not None or len(found) != 1:
        raise DataError(
            f"{place.name} expected {repr(name) if name else 'one column of audio'}; it has {', '.join(features)}, of "
            f"which {', '.join(found) or 'none'} hold audio. Name one: audio."
        )
    return found[0]


def _values(rows: Any, column: str | None) -> list[Any]:
    import datasets

    if column is None:
        return [None] * len(rows)
    feature, values = rows.features[column], rows[column][:]
    if isinstance(feature, datasets.ClassLabel):
        return [None if value is None or value < 0 else feature.int2str(value) for value in values]
    return list(values)


def _fetch(rows: Any, column: str, index: int) -> Path | bytes:
    stored = rows[index][column]
    if stored is None or (stored["bytes"] is None and not stored["path"]):
        raise DataError("holds nothing")
    return Path(stored["path"]) if stored["bytes"] is None else bytes(stored["bytes"])
