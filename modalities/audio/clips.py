"""One sound, from a file or from memory, as a mono waveform at the wanted rate."""

import functools
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bam_core.errors import DataError

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


class Samples(NamedTuple):
    """A sound in memory: (t,) or (t, channels) numbers, and their rate."""

    values: np.ndarray
    rate_hz: int


Source = Path | bytes | Samples  # a file, the contents of one, or what they decode to


def sampling_rate(where: Source) -> int:
    """The rate of a sound in Hz, of a file from its header.

    Raises:
        DataError: it is no readable sound.
    """
    import soundfile

    if isinstance(where, Samples):
        return where.rate_hz
    _check_present(where)
    try:
        return int(soundfile.info(_opened(where)).samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(_reason(error)) from error


def read_clip(where: Source, rate_hz: int) -> np.ndarray:
    """A sound as (t,) float32, all its channels averaged.

    Args:
        where: a file, the contents of one, or samples in memory.
        rate_hz: wanted sampling rate; others are resampled.

    Raises:
        DataError: it is no readable sound, it is empty, silent, or holds values that are not finite.
    """
    samples, source_rate = where if isinstance(where, Samples) else _decoded(where)
    if not len(samples):
        raise DataError("holds no samples")
    if not np.isfinite(samples).all():
        raise DataError("holds values that are not finite")
    clip = samples.reshape(len(samples), -1).mean(axis=1, dtype=np.float32)
    if np.ptp(clip) == 0:
        raise DataError("is silent")
    return clip if source_rate == rate_hz else resample(clip, source_rate, rate_hz)


def _decoded(where: Path | bytes) -> Samples:
    import soundfile

    _check_present(where)
    try:
        return Samples(*soundfile.read(_opened(where), dtype="float32", always_2d=True))
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(_reason(error)) from error


def resample(clip: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Band-limited interpolation, by torchaudio.

    Example:
        >>> resample(np.ones(44100, np.float32), 44100, 8000).shape
        (8000,)
    """
    resampled: np.ndarray = _resampler(from_hz, to_hz)(torch.from_numpy(clip)).numpy()
    return resampled


@functools.lru_cache(maxsize=32)
def _resampler(from_hz: int, to_hz: int) -> Callable[[torch.Tensor], torch.Tensor]:
    import torchaudio

    resampler: Callable[[torch.Tensor], torch.Tensor] = torchaudio.transforms.Resample(from_hz, to_hz)
    return resampler


def _opened(where: Path | bytes) -> str | BytesIO:
    return BytesIO(where) if isinstance(where, bytes) else str(where)


def _check_present(where: Path | bytes) -> None:
    if isinstance(where, Path) and not where.is_file():
        raise DataError("there is no such file")
    if (len(where) if isinstance(where, bytes) else where.stat().st_size) == 0:
        raise DataError("is empty")


def _reason(error: Exception) -> str:
    text = str(error).rpartition(": ")[2].strip().rstrip(".") or type(error).__name__
    return f"is no readable sound ({text})"
