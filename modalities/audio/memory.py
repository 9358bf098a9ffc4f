"""Reader of waveforms that are in memory already."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bam_core.data import PreparedData, in_memory
from bam_core.data.arrays import plain_array
from bam_core.data.storable import storable, storable_labels
from bam_core.errors import DataError, InputError
from modalities.audio.clips import Samples
from modalities.audio.options import Normalize, SoundOptions
from modalities.audio.storage import Sound, write_sounds


def from_memory(
    waveforms: Any,
    *,
    sampling_rate_hz: int,
    n_mels: int = 64,
    frame_ms: float = 25.0,
    hop_ms: float = 10.0,
    window_s: float | None = None,
    window_hop_s: float | None = None,
    normalize: Normalize = "clip",
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read unlabelled waveforms, all to train on or to embed; see `Modality.from_memory`.

    Args:
        waveforms: array (n, t), or n arrays (t,) or (channels, t) of any lengths; of whole numbers, full scale is
            that of their type.
        sampling_rate_hz: of the waveforms.
        n_mels: see `read_folder`, as for the other options.
        frame_ms: as there.
        hop_ms: as there.
        window_s: as there.
        window_hop_s: as there.
        normalize: as there.
        fitted: as there; the waveforms are resampled to the rate that it was trained on.

    Raises:
        InputError: options out of range.
        DataError: no waveforms, or none that can be used; the message says why.

    Example:
        >>> tones = [np.sin(np.arange(n) / 3) for n in (8000, 5000)]
        >>> from_memory(tones, sampling_rate_hz=8000).facts["longest"]
        8000
    """
    options = SoundOptions(
        test_fraction=0, fitted=fitted, sampling_rate_hz=sampling_rate_hz, n_mels=n_mels, frame_ms=frame_ms,
        hop_ms=hop_ms, window_s=window_s, window_hop_s=window_hop_s, normalize=normalize,
    ).check()  # fmt: skip
    sounds = [
        Sound(str(i), partial(_samples, one, sampling_rate_hz, f"waveforms[{i}]")) for i, one in enumerate(waveforms)
    ]
    return in_memory("waveforms", lambda writer: write_sounds(writer, sounds, options))


def to_files(
    waveforms: Any, folder: Path, *, sampling_rate_hz: float, labels: Any = None, groups: Any = None
) -> dict[str, Any]:
    """Write waveforms as WAV files of 32-bit floats, and a table of them for the reader `manifest`.

    Args:
        waveforms: see `from_memory`.
        folder: to write into.
        sampling_rate_hz: of the waveforms.
        labels: (n,) classes or numbers, or lists of names.
        groups: (n,) names.

    Raises:
        InputError: not one label or group for each waveform, or a rate that is no whole number.
        DataError: no waveforms; the message says which.
    """
    import soundfile

    rate_hz = int(sampling_rate_hz)
    if rate_hz != sampling_rate_hz or rate_hz < 1:
        raise InputError(f"sampling_rate_hz expected a whole number from 1; got {sampling_rate_hz!r}.")
    options: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    if labels is not None:
        columns["label"], options = storable_labels(labels)
    if groups is not None:
        columns["group"] = storable(groups, "groups")
    for role, column in columns.items():
        if column.shape != (len(waveforms),):
            raise InputError(
                f"{role}s of sounds expected one for each of {len(waveforms)}, of several labels a list of names; got "
                f"an array of shape {column.shape}."
            )
    width = len(str(len(waveforms)))
    names = [f"{i:0{width}}.wav" for i in range(len(waveforms))]
    for i, (name, waveform) in enumerate(zip(names, waveforms, strict=True)):
        found = _samples(waveform, rate_hz, f"waveforms[{i}]")
        soundfile.write(os.fsencode(folder / name), found.values, rate_hz, subtype="FLOAT")
    pd.DataFrame({"path": names, **columns}).to_csv(folder / "rows.csv", index=False)
    return {
        "reader": "manifest", "path": "rows.csv", "file": "path", "folder": None, "split": "none", "start": "none",
        "end": None, "label": "label" if labels is not None else "none",
        "group": "group" if groups is not None else "none", "sampling_rate_hz": rate_hz, **options,
    }  # fmt: skip


def _samples(waveform: Any, rate_hz: int, name: str) -> Samples:
    mask = np.broadcast_to(waveform.mask, waveform.shape) if isinstance(waveform, np.ma.MaskedArray) else None
    values = plain_array(waveform if mask is None else waveform.data)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise DataError(f"{name} expected numbers (t,) or (channels, t); got {values.dtype} of shape {values.shape}.")
    if values.ndim == 2 and len(values) > values.shape[1]:
        raise DataError(f"{name} expected (channels, t); got {values.shape}, which looks transposed.")
    if values.dtype.kind != "f":
        about = np.iinfo(values.dtype)
        zero, full = (0, about.max + 1) if about.min else (about.max // 2 + 1, about.max // 2 + 1)
        values = (values.astype(np.float64) - zero) / full
    if mask is not None:
        values = np.where(mask, np.nan, values)
    return Samples(values.astype(np.float32).T, rate_hz)
