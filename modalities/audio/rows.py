"""Clips as stored rows: windows, level, 16 bits, and the statistics of the log-mel."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from bam_core.data import SplitWriter
from bam_core.errors import DataError
from modalities.audio.mel import LogMel, mel_settings
from modalities.audio.options import SoundOptions

FULL_SCALE = 32768  # of the 16 bits in which clips are stored
BLOCK_BYTES = 64_000_000  # of rows in memory before they are written
USUAL_BATCH = 64  # rows
LARGEST_BATCH = 2_000_000_000  # bytes that one long sound may make of a batch
FAR_LONGER = 10  # than half of the sounds
MOST_SAMPLES = 2**26  # of one sound that is embedded whole: its spectrogram takes gigabytes


class _Longest(NamedTuple):
    samples: int
    row: str


class Rows:
    """Writes clips into splits, and learns what the facts are to say."""

    def __init__(self, writer: SplitWriter, options: SoundOptions, rate: int) -> None:
        self.writer = writer
        self.options = options
        self.rate = rate
        self.window = None if options.window_s is None else max(1, round(options.window_s * rate))
        self.hop = self.window if options.window_hop_s is None else max(1, round(options.window_hop_s * rate))
        self.mel = mel_settings(
            sampling_rate_hz=rate, n_mels=options.n_mels, frame_ms=options.frame_ms, hop_ms=options.hop_ms
        )
        if options.fitted is not None:
            self.mel = options.fitted["mel"]
        self.log_mel = LogMel(self.mel)
        self.moments = np.zeros((3, self.log_mel.n_mels))  # of train: number of frames, their sum, their squares'
        self.lengths: list[int] = []
        self.longest = _Longest(0, "")
        self.pending: dict[str, list[dict[str, Any]]] = {}
        self.held: Counter[str] = Counter()  # bytes of these

    def add(self, part: str, name: str, clip: np.ndarray, about: dict[str, Any], *, begin_s: float = 0.0) -> None:
        """Cut a clip into rows of a split; `about` is its label and group, `begin_s` where it begins in its file."""
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
            if part == "train" and self.options.fitted is None:
                self._learn(stored)
            row = f"{name}@{start / self.rate:g}" if self.window else name
            if len(stored) > self.longest.samples:
                self.longest = _Longest(len(stored), row)
            self.lengths.append(len(stored))
            place = self._place(name, begin_s + start / self.rate, len(stored))
            self.pending.setdefault(part, []).append({"signal": stored, "id": row, **place, **about})
            self.held[part] += stored.nbytes
        if silent:
            windows = f"{silent} of {len(starts)} windows: silent" if self.window else "is silent in 16 bits"
            self.writer.set_aside(name, windows)
        if self.held[part] >= BLOCK_BYTES:
            self._flush(part)

    def _place(self, name: str, start_s: float, n: int) -> dict[str, Any]:
        return {"record": name, "start_s": start_s, "end_s": start_s + n / self.rate} if self.window else {}

    def _starts(self, n: int) -> list[int]:
        """Of the windows; the last one ends with the clip."""
        if self.window is None or self.hop is None or n <= self.window:
            return [0]
        last = n - self.window
        return sorted({*range(0, last, self.hop), last})

    def _stored(self, samples: np.ndarray) -> np.ndarray:
        peak = np.abs(samples).max()
        if self.options.normalize == "clip":
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
                columns["label"] = np.array(columns["label"])  # type: ignore[assignment]
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

    def finish(self, about_labels: Mapping[str, Any]) -> None:
        """Write what is left, and the facts.

        Args:
            about_labels: facts on the labels, `classes` among them.

        Raises:
            DataError: a single sound to train on, or one that is far longer than the others.
        """
        if self.lengths and self.options.fitted is None:
            self._check_lengths()
        elif self.longest.samples > MOST_SAMPLES:
            name, seconds = self.longest.row, self.longest.samples / self.rate
            raise DataError(
                f"{name} lasts {seconds:,.0f} s, and would be embedded whole: at most {MOST_SAMPLES / self.rate:,.0f} "
                "s fit. Cut it into windows, such as window_s=10."
            )
        for part in list(self.pending):
            self._flush(part)
        if not self.lengths:
            return
        if self.options.fitted is None:
            if len(self.lengths) < 2:
                raise DataError("expected at least two usable sounds to train on; got one.")
            n, total, squares = self.moments
            mean = total / np.maximum(n, 1)
            spread = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
            self.mel |= {"mean": mean.tolist(), "std": np.maximum(spread, 1e-3).tolist()}
        self.writer.facts |= {
            "in_channels": 1,
            "sampling_rate_hz": float(self.rate),
            **about_labels,
            "unequal": True,
            "shortest": min(self.lengths),
            "longest": self.longest.samples,
            "mel": self.mel,
        }
