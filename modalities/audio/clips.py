"""One sound, from a file or from memory, as a mono waveform at the wanted rate."""

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bam_core.errors import BAMError, DataError

SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".rf64", ".caf",
    ".sph",
)  # fmt: skip
"""Of files that libsndfile reads."""
OTHER_SUFFIXES = frozenset(
    (".m4a", ".m4b", ".mp4", ".mov", ".wma", ".aac", ".amr", ".3gp", ".webm", ".mka", ".mkv", ".wv", ".ape", ".tta",
     ".ac3", ".dts", ".mp2", ".mpc", ".dsf", ".dff", ".ra", ".rm", ".shn", ".avi", ".wmv")
)  # fmt: skip
"""Of files that hold sound too, and are not read."""

LARGEST_FACTOR = 200_000  # of a ratio of rates, so that any two rates below are met exactly
LARGEST_RATIO = 64  # of two rates
CANCELLED = 0.02  # power of the average, by that of channels that have nothing to do with each other
SLACK_S = 0.1  # that a segment may reach behind the end of its file, as rounded times do
UNKNOWN_SIZE = 0x7FFF0000  # bytes and more: programs that write into a pipe do not know better

Mended = Callable[[str], None]


class Samples(NamedTuple):
    """A sound in memory: (t,) or (t, channels) numbers, and their rate."""

    values: np.ndarray
    rate_hz: int


class Segment(NamedTuple):
    """A part of a file, from `start` to `end`, or to its end; `per_second` of these are a second, None: samples."""

    path: Path
    start: float
    end: float | None = None
    per_second: float | None = 1


Source = Path | bytes | Samples | Segment  # a file, the contents of one, what they decode to, or a part of a file


def sampling_rate(where: Source) -> int:
    """The rate of a sound in Hz, of a file from its header.

    Raises:
        DataError: it is no readable sound.
    """
    if isinstance(where, Samples):
        return where.rate_hz
    with _opened(where) as file:
        return int(file.samplerate)


def begin_s(where: object) -> float:
    """Where a sound begins in its file, in seconds.

    Raises:
        DataError: it is no readable sound.
    """
    if not isinstance(where, Segment):
        return 0.0
    return where.start / (sampling_rate(where) if where.per_second is None else where.per_second)


def lies_in_file(segment: Segment) -> bool:
    """Whether a segment begins before its file ends, by the header.

    Raises:
        DataError: it is no readable sound.
    """
    with _opened(segment) as file:
        start, frames = _bounds(segment, int(file.samplerate))[0], int(file.frames)
        return start < frames


def read_clip(where: Source, rate_hz: int, *, mended: Mended = lambda kind: None) -> np.ndarray:
    """A sound as (t,) float32, all its channels averaged.

    Channels that cancel each other out, as of stereo with one side inverted, are not averaged: the first loud one is
    taken.

    Args:
        where: a file, a part or the contents of one, or samples in memory.
        rate_hz: wanted sampling rate; others are resampled.
        mended: is told what was mended.

    Raises:
        DataError: it is no readable sound, it is empty, silent, or holds values that are not finite, or a segment
            does not lie in its file.
    """
    samples, source_rate = where if isinstance(where, Samples) else _decoded(where, mended)
    if not len(samples):
        raise DataError("holds no samples")
    if not np.isfinite(samples).all():
        raise DataError("holds values that are not finite")
    clip = _mono(samples.reshape(len(samples), -1), mended)
    if np.ptp(clip) == 0:
        raise DataError("is silent")
    return clip if source_rate == rate_hz else resample(clip, source_rate, rate_hz)


def resample(clip: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Band-limited interpolation by a polyphase filter, for any two rates in little memory.

    Raises:
        DataError: one rate is more than 64 times the other.

    Example:
        >>> resample(np.ones(44100, np.float32), 44100, 8000).shape, resample(np.ones(44099), 44099, 44100).shape
        ((8000,), (44100,))
    """
    from scipy.signal import resample_poly

    if not to_hz / LARGEST_RATIO <= from_hz <= to_hz * LARGEST_RATIO:
        raise DataError(f"has a sampling rate of {from_hz} Hz, too far from the wanted {to_hz} Hz")
    ratio = Fraction(to_hz, from_hz).limit_denominator(LARGEST_FACTOR)
    low_pass = _low_pass(max(ratio.numerator, ratio.denominator))
    resampled: np.ndarray = resample_poly(clip, ratio.numerator, ratio.denominator, window=low_pass)
    return resampled


@functools.lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """Scipy's usual filter for a ratio of rates; of factors as large as 44,100 it takes a second to compute."""
    from scipy.signal import firwin

    taps: np.ndarray = firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0))
    return taps.astype(np.float32)


def _mono(samples: np.ndarray, mended: Mended) -> np.ndarray:
    mean: np.ndarray = samples.mean(axis=1, dtype=np.float32)
    powers = samples.var(axis=0, dtype=np.float64)
    if samples.shape[1] > 1 and mean.var(dtype=np.float64) < CANCELLED * powers.sum() / samples.shape[1] ** 2:
        mended("sounds whose channels cancel each other out, of which the first loud one was taken")
        return samples[:, int((powers >= powers.max() / 2).argmax())].astype(np.float32)
    return mean


def _decoded(where: Path | bytes | Segment, mended: Mended) -> Samples:
    with _opened(where) as file:
        rate, frames = int(file.samplerate), int(file.frames)
        if not isinstance(where, Segment):
            samples = file.read(dtype="float32", always_2d=True)
            if len(samples) < frames or _is_cut(file.extra_info):
                mended("sounds shorter than their headers say, read as far as they go")
            return Samples(samples, rate)
        start, end = _bounds(where, rate)
        end = frames if end is None else end
        if start >= frames or end > frames + SLACK_S * rate:
            wrong = f"begins at {start / rate:g} s" if start >= frames else f"ends at {end / rate:g} s"
            raise DataError(f"{wrong}, but the file lasts {frames / rate:g} s")
        if end <= start or start < 0:
            raise DataError(f"expected a segment that begins at 0 s or later and ends later; got {where[1:3]}")
        file.seek(start)
        return Samples(file.read(min(end, frames) - start, dtype="float32", always_2d=True), rate)


def _bounds(segment: Segment, rate: int) -> tuple[int, int | None]:
    factor = 1.0 if segment.per_second is None else rate / segment.per_second
    return round(segment.start * factor), None if segment.end is None else round(segment.end * factor)


def _is_cut(log: str) -> bool:
    """Whether libsndfile found fewer bytes of sound than the header says."""
    sizes = r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)"
    return any(int(there) + 64 < int(said) < UNKNOWN_SIZE for said, there in re.findall(sizes, log, re.MULTILINE))


@contextmanager
def _opened(where: Path | bytes | Segment) -> Iterator[Any]:
    import soundfile

    source = where.path if isinstance(where, Segment) else where
    if isinstance(source, Path) and not source.is_file():
        raise DataError("there is no such file")
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise DataError("is empty")
    try:
        with soundfile.SoundFile(BytesIO(source) if isinstance(source, bytes) else os.fsencode(source)) as file:
            yield file
    except BAMError:
        raise
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError, TypeError, UnicodeError) as error:
        text = str(error).rpartition(": ")[2].strip().rstrip(".") or type(error).__name__
        raise DataError(f"is no readable sound ({text})") from error
