"""From a list of sounds to stored rows: classes, splits and one rate."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bam_core.data import SplitWriter
from bam_core.data.progress import track
from bam_core.data.targets import read_target
from bam_core.errors import DataError
from modalities.audio.clips import Segment, Source, begin_s, read_clip, sampling_rate
from modalities.audio.options import SoundOptions
from modalities.audio.rows import Rows

N_PEEKED = 200  # sounds whose rates tell the usual one


class Sound(NamedTuple):
    """Where a sound is, and what is known about it.

    Attributes:
        name: in reports and ids.
        where: a file, a part of one, or a function that fetches one, its contents or its samples.
        label: its class, or None.
        group: what must stay together, or None.
        split: as the data set calls it, or None.
    """

    name: str
    where: Path | Segment | Callable[[], Source]
    label: object = None
    group: object = None
    split: str | None = None

    def fetch(self) -> Source:
        """The file, a part of it, its contents, or its samples."""
        return self.where if isinstance(self.where, Path | Segment) else self.where()


def write_sounds(writer: SplitWriter, sounds: Sequence[Sound], options: SoundOptions) -> None:
    """Read, resample, cut and store sounds; what cannot be used is set aside by name.

    Columns: `signal`, 16-bit samples; `id`, the name, in windows with "@start" in seconds; `label` and `group` if
    there are any. Facts: in_channels, sampling_rate_hz, classes, shortest and longest (in samples), unequal, `mel`.

    Raises:
        DataError: sounds with and without a group or split, a group in two splits, one class only, fewer than two
            sounds to train on, or one so much longer than the others that batches with it would not fit into memory.
    """
    rate = _rate(sounds, options)
    mended: dict[str, list[str]] = {}
    labels, about_labels = _labels(writer, sounds, options)
    groups = _complete("group", [sound.group for sound in sounds])
    named: Sequence[str | None] | None = [sound.split for sound in sounds]
    if options.fitted is None and (options.test_groups or options.validation_groups):
        named = _by_group(groups, options)
    parts = options.assign(len(sounds), named, labels=labels, groups=groups, what="sound")
    rows = Rows(writer, options, rate)
    for index, sound in enumerate(track(sounds, "reading sounds")):
        said: list[str] = []
        try:
            clip = read_clip(sound.fetch(), rate, mended=said.append)
        except (DataError, MemoryError) as error:
            writer.set_aside(sound.name, str(error) or "does not fit into memory")
            continue
        for kind in said:
            mended.setdefault(kind, []).append(sound.name)
        about: dict[str, Any] = {} if labels is None else {"label": labels[index]}
        if groups is not None or options.window_s is not None:
            about["group"] = sound.name if groups is None else groups[index]
        rows.add(parts[index], sound.name, clip, about, begin_s=begin_s(sound.where))
    for kind, names in mended.items():
        writer.repaired(kind, len(names), names=names)
    rows.finish(about_labels)


def _rate(sounds: Sequence[Sound], options: SoundOptions) -> int:
    if options.fitted is not None:
        return int(options.fitted["mel"]["sampling_rate_hz"])
    if options.sampling_rate_hz is not None:
        return options.sampling_rate_hz
    found: Counter[int] = Counter()
    for sound in sounds[:: max(1, len(sounds) // N_PEEKED)]:
        try:
            found[sampling_rate(sound.fetch())] += 1
        except DataError:
            continue  # it is named when all are read
    return found.most_common(1)[0][0] if found else 16000


def _labels(
    writer: SplitWriter, sounds: Sequence[Sound], options: SoundOptions
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Labels of the sounds, or None, and the facts on them."""
    about = {"classes": []} | {k: v for k, v in (options.fitted or {}).items() if k in ("classes", "task") and v}
    found = read_target([sound.label for sound in sounds], task=options.task, fitted=options.fitted)
    if found is None:
        return None, about
    for note in found.notes:
        writer.note(note)
    return found.values, found.facts


def _complete(what: str, values: list[Any]) -> list[str] | None:
    """The values as strings, or None if there are none.

    Raises:
        DataError: some have one, some have none.
    """
    missing = sum(value is None for value in values)
    if missing == len(values):
        return None
    if missing:
        raise DataError(f"{what} expected a value for every sound; {missing} of {len(values)} have none.")
    return [str(value) for value in values]


def _by_group(groups: list[str] | None, options: SoundOptions) -> Sequence[str]:
    part_of = {str(name): "validation" for name in options.validation_groups or ()}
    part_of |= {str(name): "test" for name in options.test_groups or ()}
    unknown = sorted(set(part_of) - set(groups or ()))
    if groups is None or unknown:
        known = ", ".join(sorted(set(groups or ()))[:20]) or "none"
        raise DataError(f"test_groups and validation_groups expected groups of the data ({known}); got {unknown}.")
    return [part_of.get(group, "train") for group in groups]
