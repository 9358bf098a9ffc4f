"""Readers of folders of sound files: any folder, and the Speech Commands data set."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.folder_layout import known_in_train, read_layout, say_layout
from bam_core.data.folders import find_files, held
from bam_core.data.name_patterns import compile_pattern, match_names
from bam_core.errors import DataError
from modalities.audio.clips import OTHER_SUFFIXES, SUFFIXES
from modalities.audio.options import Normalize, SoundOptions
from modalities.audio.storage import Sound, write_sounds


def read_folder(
    *,
    path: str,
    pattern: str | None = None,
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
    """Read a folder of sound files of any length, rate and number of channels, with its sub-folders.

    wav, flac, ogg, mp3 and the other formats of libsndfile; channels are averaged. Files that are broken, empty,
    silent, not finite or shorter than a frame of the log-mel are set aside by name.

    Args:
        path: the folder, or one file.
        pattern: regular expression that is searched for in the path of a file below the folder, without suffix, with
            "/" between folders. Its named groups `label`, `group` (whose files stay together: the speaker) and
            `split` are what the names say; files without a match are set aside. Without a pattern, the folder that a
            file lies in is its label; an empty pattern takes no labels from folders. Folders `train`, `val`, `test`,
            `unlabeled` (and other names of these, see `read_layout`) are splits, unless the pattern has a `split`.
        splits: folder -> train, validation, test or unlabeled, where names do not say it; others are not read. {} if
            no folder is a split.
        sampling_rate_hz: common rate to which clips are resampled; default: the one that most files have.
        n_mels: bands of the log-mel, from 0 Hz to half the sampling rate.
        frame_ms: length of its frames, in milliseconds.
        hop_ms: from one frame to the next.
        window_s: cut longer files into windows of this many seconds, each a row; those of a file are a group. The
            last one ends with the file. Default: a file is a row.
        window_hop_s: from one window to the next; default: `window_s`.
        normalize: "clip" brings every row to full scale, so that distance and level of recording do not matter;
            "none" keeps the level.
        test_groups: groups that are the test split.
        validation_groups: groups that are the validation split.
        test_fraction: of the groups, or of every class, to hold out if there are labels but no splits; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder, whose rate, log-mel and classes are taken; all rows are "train".

    Returns:
        Splits with `signal` (16-bit samples), `id` (path in the folder), and where known `label` and `group`; facts
        in_channels, sampling_rate_hz, classes, unequal, shortest, longest, and `mel` with mean and deviation of every
        band over the train split.

    Raises:
        InputError: options out of range, or a pattern that is no regular expression.
        DataError: no folder, no readable sound, a pattern that matches no name, or splits that do not fit the groups.
    """
    options = SoundOptions(
        test_groups=test_groups, validation_groups=validation_groups, test_fraction=test_fraction, seed=seed,
        fitted=fitted, sampling_rate_hz=sampling_rate_hz, n_mels=n_mels, frame_ms=frame_ms, hop_ms=hop_ms,
        window_s=window_s, window_hop_s=window_hop_s, normalize=normalize,
    ).check()  # fmt: skip
    settings = {"path": path, "pattern": pattern, "splits": splits, **options.settings()}
    root = Path(path).expanduser()
    found = find_sounds(root)
    wanted = None if pattern is None else compile_pattern(pattern)
    says_split = wanted is not None and "split" in wanted.groupindex
    layout = read_layout(
        found.names,
        root.resolve().name,
        splits={} if says_split and splits is None else splits,
        kind="class" if wanted is None else "nothing",
        is_new=fitted is not None,
    )

    said: list[dict[str, Any] | None] = [None] * len(found.names)
    if wanted is not None:
        said = match_names(wanted, [os.path.splitext(name)[0] for name in found.names], is_new=fitted is not None)

    def build(writer: SplitWriter) -> None:
        found.say_others(writer)
        say_layout(writer, found.names, layout, found.passed_over)
        sounds = []
        for name, file, place, match in zip(found.names, found.files, layout.places, said, strict=True):
            if place.aside:
                continue
            if wanted is None:
                label = place.folders[-1] if place.folders and place.is_labelled else None
                sounds.append(Sound(name, file, label, split=place.split or None))
            elif match is not None:
                sounds.append(Sound(name, file, **{"split": place.split or None, **match}))
            elif fitted is not None:  # new files, called otherwise
                sounds.append(Sound(name, file, group=name if "group" in wanted.groupindex else None))
            else:
                writer.set_aside(name, f"its name does not match the pattern {pattern!r}")
        if wanted is None:
            labels = [None if sound.label is None else str(sound.label) for sound in sounds]
            labels = known_in_train(writer, labels, [sound.split or "" for sound in sounds])
            sounds = [sound._replace(label=label) for sound, label in zip(sounds, labels, strict=True)]
        try:
            write_sounds(writer, sounds, options)
        except DataError as error:
            if wanted is None and "at least two classes" in str(error):
                raise DataError(f"{error} Labels are names of folders here; for none set pattern: ''.") from error
            raise

    return cached("audio_folder", found.files, settings, build)


def read_speech_commands(
    *,
    path: str,
    sampling_rate_hz: int = 16000,
    n_mels: int = 64,
    frame_ms: float = 25.0,
    hop_ms: float = 10.0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read Speech Commands as unpacked: a folder a word, speakers in the file names, splits in two lists.

    The noises in `_background_noise_` are no words and are not read.

    Args:
        path: folder with `validation_list.txt` and `testing_list.txt`.
        sampling_rate_hz: see `read_folder`, as for the following options.
        n_mels: as there.
        frame_ms: as there.
        hop_ms: as there.
        fitted: as there.

    Returns:
        As there; a group is a speaker.

    Raises:
        DataError: no folder, no list, or no readable sound.

    Source: Warden, "Speech Commands", 2018, arXiv 1804.03209; the data set is CC BY 4.0.
    """
    root = Path(path).expanduser()
    found = find_sounds(root)
    words = [
        (name, file)
        for name, file in zip(found.names, found.files, strict=True)
        if "_background_noise_" not in file.parts
    ]
    lists = {"validation": root / "validation_list.txt", "test": root / "testing_list.txt"}
    missing = [file.name for file in lists.values() if not file.is_file()]
    if missing and fitted is None:
        raise DataError(f"expected Speech Commands in {root}; {' and '.join(missing)} are not there.")
    options = SoundOptions(
        fitted=fitted, sampling_rate_hz=sampling_rate_hz, n_mels=n_mels, frame_ms=frame_ms, hop_ms=hop_ms
    ).check()

    def build(writer: SplitWriter) -> None:
        part_of = {
            line.strip(): part
            for part, file in lists.items()
            if fitted is None
            for line in file.read_text(encoding="utf-8").splitlines()
        }
        sounds = [
            Sound(name, file, file.parent.name, file.stem.partition("_nohash_")[0], part_of.get(name, "train"))
            for name, file in words
        ]
        write_sounds(writer, sounds, options)

    present = [file for file in lists.values() if file.is_file()]
    return cached(
        "speech_commands", [*(file for _, file in words), *present], {"path": path, **options.settings()}, build
    )


class Sounds(NamedTuple):
    """What lies in a folder.

    Attributes:
        files: sounds, in order.
        names: their paths below the folder.
        others: names of all other files.
        passed_over: see `find_files`.
    """

    files: list[Path]
    names: list[str]
    others: list[str]
    passed_over: dict[str, str]

    def say_others(self, writer: SplitWriter) -> None:
        """Name the sounds of formats that are not read; count the files that are no sounds."""
        counts: Counter[str] = Counter()
        for name in self.others:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in OTHER_SUFFIXES:
                writer.set_aside(
                    name, f"is a sound of a format that is not read ({suffix}): convert it to .wav or .flac"
                )
            else:
                counts[suffix or name] += 1
        for suffix, count in counts.items():
            writer.set_aside(f"{count} file(s) {suffix}", "not named as sounds are")


def find_sounds(root: Path) -> Sounds:
    """All sound files at a path.

    Raises:
        DataError: there are none.
    """
    if not root.exists():
        raise DataError(f"expected a folder of sounds at {root}; there is none.")
    found, others = find_files(root).with_suffixes(SUFFIXES)
    if not found.files:
        kinds = Counter(os.path.splitext(name)[1].lower() or name for name in others)
        raise DataError(
            f"expected sound files ({', '.join(SUFFIXES)}) in {root} or below; there are none{held(kinds)}."
        )
    return Sounds(found.files, found.names, others, found.passed_over)
