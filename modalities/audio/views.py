"""Batched, seeded views of clips on the device of the batch: waveforms, or the log-mels of waveforms.

Every random change is drawn per sample from the generator; nothing waits for an accelerator. `LABEL_RISKS` says which
labels each change may destroy: no view suits every task.
"""

from typing import Any

import torch

from bam_core.errors import InputError
from bam_core.views import Views
from modalities.audio import changes
from modalities.audio.changes import Clips, Range
from modalities.audio.mel import LogMel
from modalities.timeseries.padded import padded

LABEL_RISKS = {
    "window": "events outside the window; order and number of events, duration of the whole",
    "longest_s": "the same, in clips that are longer",
    "mix_snr_db": "which sounds are there, and how many; clean or noisy; speaker, where voices mix",
    "gain_db": "loudness, distance",
    "resize_time": "tempo, rhythm, duration; at the ends, events outside",
    "resize_bands": "pitch, key; what distinguishes voices (speaker, sex, age)",
    "equalize": "place, microphone, distance; timbre, if strong",
    "mask_time": "short events",
    "mask_bands": "sounds in a narrow band (whistles, bird calls)",
}


class WaveformViews:
    """Random views of a batch {"signal": (b, 1, t), "length": (b,)} for encoders of waveforms.

    A view is a random window, changed with probability `p` each, per sample, in the order of the arguments. `None`
    switches a change off.

    Args:
        sampling_rate_hz: of the waveforms.
        n_views: global views.
        n_local: local views, shorter windows that are students only.
        window: length of a global view's window, as a fraction of the clip.
        local_window: the same for local views.
        longest_s: limit of a window, in seconds: longer clips are cut.
        mix_snr_db: another clip of the batch as background, quieter by so many dB.
        gain_db: change of level, in dB.
        p: probability of each change, per sample.

    Raises:
        InputError: counts, fractions or ranges out of range; a batch that holds no clips.

    Example:
        >>> batch = {"signal": torch.randn(4, 1, 8000), "length": torch.tensor([8000, 7000, 5000, 600])}
        >>> made = WaveformViews(sampling_rate_hz=8000)(batch)
        >>> [tuple(view["signal"].shape) for view in made.global_views]
        [(4, 1, 8000), (4, 1, 8000)]
    """

    def __init__(
        self,
        *,
        sampling_rate_hz: float,
        n_views: int = 2,
        n_local: int = 0,
        window: Range = (0.7, 1.0),
        local_window: Range = (0.3, 0.5),
        longest_s: float = 3.0,
        mix_snr_db: Range | None = (5.0, 20.0),
        gain_db: Range | None = (-10.0, 10.0),
        p: float = 0.5,
    ) -> None:
        if n_views < 1 or n_local < 0:
            raise InputError(f"audio views expected n_views >= 1 and n_local >= 0; got {n_views} and {n_local}.")
        if not (longest_s > 0 and 0 <= p <= 1):
            raise InputError(f"audio views expected longest_s > 0 and p in [0, 1]; got {longest_s} and {p}.")
        check_range("window", window, 0, 1, open_below=True)
        check_range("local_window", local_window, 0, 1, open_below=True)
        check_range("mix_snr_db", mix_snr_db, None)
        check_range("gain_db", gain_db, None)
        self.n_views = n_views
        self.n_local = n_local
        self.window = window
        self.local_window = local_window
        self.longest = max(1, round(longest_s * sampling_rate_hz))
        self.mix_snr_db = mix_snr_db
        self.gain_db = gain_db
        self.p = p

    def __call__(self, batch: Any, *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch; a generator on the batch's device makes them reproducible."""
        signal, valid = padded(batch)
        length = (
            torch.full((len(signal),), signal.shape[-1], device=signal.device) if valid is None else batch["length"]
        )
        clips = Clips(signal, length)
        return Views(
            [self._view(clips, self.window, generator)._asdict() for _ in range(self.n_views)],
            [self._view(clips, self.local_window, generator)._asdict() for _ in range(self.n_local)],
        )

    def _view(self, clips: Clips, window: Range, generator: torch.Generator | None) -> Clips:
        clips = changes.cut_window(clips, window, self.longest, generator)
        if self.mix_snr_db is not None:
            clips = changes.mix(clips, self.mix_snr_db, self.p, generator)
        if self.gain_db is not None:
            clips = changes.amplify(clips, self.gain_db, self.p, generator)
        return clips


class LogMelViews(WaveformViews):
    """Random views of a batch of clips for encoders of log-mels: those of `WaveformViews`, then of their log-mels.

    A view is {"signal": (b, n_mels, frames), "length": (b,) in frames}.

    Args:
        mel: what a log-mel is, a fact of the data.
        resize_time: fraction of the frames that is shown, stretched to all of them; above 1, all are squeezed.
        resize_bands: the same for the bands: moves and spreads frequencies.
        equalize: strength of a smooth random equaliser, in standard deviations of the log-mel.
        mask_time: fraction of the frames that is hidden, in one stretch.
        mask_bands: fraction of the bands that is hidden, in one stretch.
        p: probability of each change, per sample.
        **waveform: see `WaveformViews`.

    Raises:
        InputError: as `WaveformViews` does.

    Example:
        >>> from modalities.audio.mel import mel_settings
        >>> views = LogMelViews(mel=mel_settings(sampling_rate_hz=8000), sampling_rate_hz=8000)
        >>> batch = {"signal": torch.randn(4, 1, 8000), "length": torch.tensor([8000, 7000, 5000, 600])}
        >>> [tuple(view["signal"].shape) for view in views(batch).global_views]
        [(4, 64, 101), (4, 64, 101)]
    """

    def __init__(
        self,
        *,
        mel: dict[str, Any],
        sampling_rate_hz: float,
        n_views: int = 2,
        n_local: int = 0,
        window: Range = (0.7, 1.0),
        local_window: Range = (0.3, 0.5),
        longest_s: float = 3.0,
        mix_snr_db: Range | None = (5.0, 20.0),
        gain_db: Range | None = (-10.0, 10.0),
        resize_time: Range | None = (0.7, 1.3),
        resize_bands: Range | None = (0.8, 1.2),
        equalize: Range | None = (0.0, 0.5),
        mask_time: Range | None = (0.0, 0.2),
        mask_bands: Range | None = (0.0, 0.2),
        p: float = 0.5,
    ) -> None:
        super().__init__(
            sampling_rate_hz=sampling_rate_hz, n_views=n_views, n_local=n_local, window=window,
            local_window=local_window, longest_s=longest_s, mix_snr_db=mix_snr_db, gain_db=gain_db, p=p,
        )  # fmt: skip
        check_range("resize_time", resize_time, 0, open_below=True)
        check_range("resize_bands", resize_bands, 0, open_below=True)
        check_range("equalize", equalize, 0)
        check_range("mask_time", mask_time, 0, 1)
        check_range("mask_bands", mask_bands, 0, 1)
        self.log_mel = LogMel(mel)
        steps = (
            (changes.resize_time, resize_time),
            (changes.resize_bands, resize_bands),
            (changes.equalize, equalize),
            (changes.mask_time, mask_time),
            (changes.mask_bands, mask_bands),
        )
        self.steps = [(change, bounds) for change, bounds in steps if bounds is not None]

    def _view(self, clips: Clips, window: Range, generator: torch.Generator | None) -> Clips:
        waveforms = super()._view(clips, window, generator)
        log_mel = self.log_mel.to(waveforms.signal.device)
        clips = Clips(**log_mel(waveforms._asdict()))
        for change, bounds in self.steps:
            clips = change(clips, bounds, self.p, generator)
        return clips


def check_range(
    name: str, value: Range | None, low: float | None, high: float | None = None, *, open_below: bool = False
) -> None:
    """See to it that a range rises and stays inside limits.

    Raises:
        InputError: it does not.
    """
    if value is None:
        return
    too_low = low is not None and (value[0] <= low if open_below else value[0] < low)
    if too_low or value[0] > value[1] or (high is not None and value[1] > high):
        limits = "" if low is None else f", each {'>' if open_below else '>='} {low}"
        limits += "" if high is None else f" and <= {high}"
        raise InputError(f"audio views expected {name} as (lowest, highest){limits}; got {value}.")
