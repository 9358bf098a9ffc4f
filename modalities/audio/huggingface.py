"""Reader of Hugging Face audio data sets from disk; sounds are decoded by soundfile, without torchcodec or FFmpeg."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.folders import find_files
from bam_core.data.hub import choose_splits, column_values, label_column, load_splits
from bam_core.data.splits import UNLABELED
from bam_core.errors import DataError
from modalities.audio.options import Normalize, SoundOptions
from modalities.audio.storage import Sound, write_sounds


def read_huggingface(
    *,
    path: str,
    config: str | None = None,
    audio: str | None = None,
    label: str | None = None,
    task: str | None = None,
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
        path: what `save_to_disk` wrote, a parquet file, a folder of parquet files as the hub has them (a split is
            the word before the first dash of their names, or the folder that they lie in).
        config: which of several configurations, a folder of parquet files.
        audio: column of sounds; default: the only one of that type.
        label: column of labels, strings, numbers, class labels, or lists of these; default: `label`, if there is one;
            "none" for none.
        task: "classification", "multi_label" (cells such as "rain,wind") or "regression"; default: what labels look
            like, see `read_target`.
        group: column of what must stay together.
        splits: split of the data set -> train, validation, test or unlabeled, others are not read. Default: those
            named so.
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
    options = SoundOptions(
        label=label, task=task, group=group,
        test_groups=test_groups, validation_groups=validation_groups, test_fraction=test_fraction, seed=seed,
        fitted=fitted, sampling_rate_hz=sampling_rate_hz, n_mels=n_mels, frame_ms=frame_ms, hop_ms=hop_ms,
        window_s=window_s, window_hop_s=window_hop_s, normalize=normalize,
    ).check()  # fmt: skip
    settings = {"path": path, "audio": audio, "splits": splits, **options.settings()}
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"expected a Hugging Face data set at {place}; there is nothing.")
    files = find_files(place).files

    def build(writer: SplitWriter) -> None:
        with tempfile.TemporaryDirectory() as scratch:  # where the library converts parquet
            loaded = load_splits(place, path, config=config, cache_dir=scratch)
            write_sounds(writer, sounds_of(loaded, choose_splits(loaded, splits, place.name, writer)), options)

    def sounds_of(loaded: Mapping[str, Any], wanted: Mapping[str, str]) -> list[Sound]:
        import datasets

        features = {key: feature for name in wanted for key, feature in loaded[name].features.items()}
        column = _audio_column(features, audio, place)
        if group is not None and group not in features:
            raise DataError(f"{place.name} has no column {group!r} for group; it has {', '.join(features)}.")
        named = label_column(features, label, ("label",), place.name)
        is_open = fitted is not None or set(wanted.values()) <= {"train", UNLABELED}
        sounds = []
        for name, part in wanted.items():
            rows = loaded[name]
            labels = column_values(rows, None if part == UNLABELED else named, place.name, several=True)
            groups = column_values(rows, group, place.name)
            encoded = rows.select_columns([column]).cast_column(column, datasets.Audio(decode=False))
            sounds += [
                Sound(
                    f"{name}:{i}", partial(_fetch, encoded, column, i), labels[i], groups[i], None if is_open else part
                )
                for i in range(len(rows))
            ]
        return sounds

    return cached("huggingface_audio", files, settings, build)


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


def _fetch(rows: Any, column: str, index: int) -> Path | bytes:
    stored = rows[index][column]
    if stored is None or (stored["bytes"] is None and not stored["path"]):
        raise DataError("holds nothing")
    return Path(stored["path"]) if stored["bytes"] is None else bytes(stored["bytes"])
