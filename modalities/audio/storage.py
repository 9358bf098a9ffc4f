"""From a list of sounds to stored rows: splits, one rate, windows, and the statistics of the log-mel."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from bam_core.data import SplitWriter
from bam_core.data.holdout import check_disjoint, hold_out
from bam_core.data.labels import encode_labels
from bam_core.data.progress import track
from bam_core.data.splits import read_splits
from bam_core.errors import DataError, InputError
from modalities.audio.clips import Segment, Source, read_clip, sampling_rate
from modalities.audio.mel import LogMel, mel_settings

FULL_SCALE = 32768  # of the 16 bits in which clips are stored
BLOCK_BYTES = 64_000_000  # of rows in memory before they are written
N_PEEKED = 200  # sounds whose rates tell the usual one
USUAL_BATCH = 64  # rows
LARGEST_BATCH = 2_000_000_000  # bytes that one long sound may make of a batch
FAR_LONGER = 10  # than half of the sounds

Normalize = Literal["clip", "none"]


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


class Treatment(NamedTuple):
    """What happens to every sound; see `read_folder` for the meaning of the options."""

    sampling_rate_hz: int | None = None
    n_mels: int = 64
    frame_ms: float = 25.0
    hop_ms: float = 10.0
    window_s: float | None = None
    window_hop_s: float | None = None
    normalize: Normalize = "clip"
    test_groups: Sequence[str | int] | None = None
    validation_groups: Sequence[str | int] | None = None
    test_fraction: float = 0.2
    seed: int = 0
    fitted: dict[str, Any] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Treatment":
        """Those of a reader's options that are named here, after a look at the numbers.

        Raises:
            InputError: a rate or a length out of range, or a hop without a window.
        """
        how = cls(**{name: options[name] for name in cls._fields if name in options})
        for name in ("sampling_rate_hz", "n_mels", "frame_ms", "hop_ms", "window_s", "window_hop_s"):
            value = getattr(how, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} expected a positive number; got {value}.")
        if how.window_hop_s is not None and how.window_s is None:
            raise InputError("window_hop_s is the distance between windows: give their length, window_s, as well.")
        return how

    def settings(self) -> dict[str, Any]:
        """All that the stored rows depend on."""
        fitted = {name: self.fitted.get(name) for name in ("mel", "classes")} if self.fitted is not None else None
        return {**self._asdict(), "fitted": fitted}


def write_sounds(writer: SplitWriter, sounds: Sequence[Sound], how: Treatment) -> None:
    """Read, resample, cut and store sounds; what cannot be used is set aside by name.

    Columns: `signal`, 16-bit samples; `id`, the name, in windows with "@start" in seconds; `label` and `group` if
    there are any. Facts: in_channels, sampling_rate_hz, classes, shortest and longest (in samples), unequal, `mel`.

    Raises:
        DataError: sounds with and without a group or split, a group in two splits, one class only, fewer than two
            sounds to train on, or one so much longer than the others that batches with it would not fit into memory.
    """
    rate = _rate(sounds, how)
    mended: dict[str, list[str]] = {}
    labels, classes = _labels(sounds, how)
    groups = _complete("group", [sound.group for sound in sounds])
    parts = _parts(sounds, labels, groups, how)
    rows = _Rows(writer, how, rate)
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
        if groups is not None or how.window_s is not None:
            about["group"] = sound.name if groups is None else groups[index]
        rows.add(parts[index], sound.name, clip, about)
    for kind, names in mended.items():
        writer.repaired(kind, len(names), names=names)
    rows.finish(classes)


def _rate(sounds: Sequence[Sound], how: Treatment) -> int:
    if how.fitted is not None:
        return int(how.fitted["mel"]["sampling_rate_hz"])
    if how.sampling_rate_hz is not None:
        return how.sampling_rate_hz
    found: Counter[int] = Counter()
    for sound in sounds[:: max(1, len(sounds) // N_PEEKED)]:
        try:
            found[sampling_rate(sound.fetch())] += 1
        except DataError:
            continue  # it is named when all are read
    return found.most_common(1)[0][0] if found else 16000


def _labels(sounds: Sequence[Sound], how: Treatment) -> tuple[np.ndarray | None, list[str]]:
    values = [sound.label for sound in sounds]
    if how.fitted is not None:
        classes = how.fitted.get("classes") or []
        return (encode_labels(values, classes=classes).indices if classes else None), classes
    if all(value is None for value in values):
        return None, []
    found = encode_labels(values)
    return (found.indices, found.classes) if found.classes else (None, [])


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


def _parts(
    sounds: Sequence[Sound], labels: np.ndarray | None, groups: list[str] | None, how: Treatment
) -> Sequence[str]:
    if how.fitted is not None:
        return ["train"] * len(sounds)
    named = _complete("split", [sound.split for sound in sounds])
    if how.test_groups or how.validation_groups:
        return _by_group(groups, how)
    if named is not None:
        parts = read_splits(named, "sound")
    elif labels is not None and how.test_fraction:
        held_out = hold_out(len(sounds), how.test_fraction, seed=how.seed, labels=labels, groups=groups)
        parts = ["test" if out else "train" for out in held_out]
    else:
        parts = ["train"] * len(sounds)
    if groups is not None:
        check_disjoint(parts, groups)
    return parts


def _by_group(groups: list[str] | None, how: Treatment) -> Sequence[str]:
    part_of = {str(name): "validation" for name in how.validation_groups or ()}
    part_of |= {str(name): "test" for name in how.test_groups or ()}
    unknown = sorted(set(part_of) - set(groups or ()))
    if groups is None or unknown:
        known = ", ".join(sorted(set(groups or ()))[:20]) or "none"
        raise DataError(f"test_groups and validation_groups expected groups of the data ({known}); got {unknown}.")
    return [part_of.get(group, "train") for group in groups]


class _Longest(NamedTuple):
    samples: int
    row: str


class _Rows:
    """Writes clips into splits, and learns what the facts are to say."""

    def __init__(self, writer: SplitWriter, how: Treatment, rate: int) -> None:
        self.writer = writer
        self.how = how
        self.rate = rate
        self.window = None if how.window_s is None else max(1, round(how.window_s * rate))
        self.hop = self.window if how.window_hop_s is None else max(1, round(how.window_hop_s * rate))
        self.mel = mel_settings(sampling_rate_hz=rate, n_mels=how.n_mels, frame_ms=how.frame_ms, hop_ms=how.hop_ms)
        if how.fitted is not None:
            self.mel = how.fitted["mel"]
        self.log_mel = LogMel(self.mel)
        self.moments = np.zeros((3, self.log_mel.n_mels))  # of train: number of frames, their sum, their squares'
        self.lengths: list[int] = []
        self.longest = _Longest(0, "")
        self.pending: dict[str, list[dict[str, Any]]] = {}
        self.held: Counter[str] = Counter()  # bytes of these

    def add(self, part: str, name: str, clip: np.ndarray, about: dict[str, Any]) -> None:
        if len(clip) < self.log_mel.frame:
            self.writer.set_aside(name, f"has {len(clip)} samples, fewer than a frame of {self.log_mel.frame}")
            return
        starts = self._starts(len(clip))
        silent = 0
        for start in starts:
            stored = self._stored(clip[start : start + (self.window or len(clip))])
            if np.ptp(stored) == 0:
                silent += 1
                continue
            if part == "train" and self.how.fitted is None:
                self._learn(stored)
            row = f"{name}@{start / self.rate:g}" if self.window else name
            if len(stored) > self.longest.samples:
                self.longest = _Longest(len(stored), row)
            self.lengths.append(len(stored))
            self.pending.setdefault(part, []).append({"signal": stored, "id": row, **about})
            self.held[part] += stored.nbytes
        if silent:
            windows = f"{silent} of {len(starts)} windows: silent" if self.window else "is silent in 16 bits"
            self.writer.set_aside(name, windows)
        if self.held[part] >= BLOCK_BYTES:
            self._flush(part)

    def _starts(self, n: int) -> list[int]:
        """Of the windows; the last one ends with the clip."""
        if self.window is None or self.hop is None or n <= self.window:
            return [0]
        last = n - self.window
        return sorted({*range(0, last, self.hop), last})

    def _stored(self, samples: np.ndarray) -> np.ndarray:
        peak = np.abs(samples).max()
        if self.how.normalize == "clip":
            samples = samples / max(peak, 1e-9)
        elif peak > 1:
            self.writer.repaired("sounds above full scale, scaled down")
            samples = samples / peak
        return np.clip(np.round(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)

    def _learn(self, stored: np.ndarray) -> None:
        waveform = torch.from_numpy(stored / np.float32(FULL_SCALE))[None, None]
        frames = self.log_mel(waveform)[0].double().numpy()
        self.moments += [np.full(len(frames), frames.shape[1]), frames.sum(1), np.square(frames).sum(1)]

    def _flush(self, part: str) -> None:
        rows, self.held[part] = self.pending.pop(part, []), 0
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            if "label" in columns:
                columns["label"] = np.array(columns["label"], np.int64)  # type: ignore[assignment]
            self.writer.add(part, **columns)

    def _check_lengths(self) -> None:
        """Clips of a batch are padded to the longest: a single one must not make batches of gigabytes."""
        (longest, name), usual = self.longest, float(np.median(self.lengths))
        size = USUAL_BATCH * longest * np.dtype(np.float32).itemsize
        if size > LARGEST_BATCH and longest > FAR_LONGER * usual:
            seconds = usual / self.rate
            raise DataError(
                f"{name} lasts {longest / self.rate:,.0f} s, half of the sounds at most {seconds:.3g} s: a batch "
                f"with it is padded to its length, and {USUAL_BATCH} rows take {size / 1e9:.1f} GB. Cut long sounds "
                f"into windows, window_s: {max(1, round(seconds))}, or leave that one out."
            )

    def finish(self, classes: Sequence[str]) -> None:
        """Write what is left, and the facts.

        Raises:
            DataError: a single sound to train on, or one that is far longer than the others.
        """
        if self.lengths and self.how.fitted is None:
            self._check_lengths()
        for part in list(self.pending):
            self._flush(part)
        if not self.lengths:
            return
        if self.how.fitted is None:
            if len(self.lengths) < 2:
                raise DataError("expected at least two usable sounds to train on; got one.")
            n, total, squares = self.moments
            mean = total / np.maximum(n, 1)
            spread = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
            self.mel |= {"mean": mean.tolist(), "std": np.maximum(spread, 1e-3).tolist()}
        self.writer.facts |= {
            "in_channels": 1,
            "sampling_rate_hz": float(self.rate),
            "classes": list(classes),
            "unequal": True,
            "shortest": min(self.lengths),
            "longest": self.longest.samples,
            "mel": self.mel,
        }
