"""Log-mel spectrograms on the device: the fixed first stage of the encoders, which take waveforms, and of some views.

What a log-mel is, is said once, by the reader: the fact `mel` holds its settings, and mean and deviation of every mel
band over the train split. Encoders and views are given that fact, so they see the same picture, and a saved encoder
brings it along. A log-mel is a series as well: one channel a band, one step a frame.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torchaudio
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from modalities.timeseries.padded import padded

FLOOR = 1e-5  # of the power: some 65 dB below a tone at full scale


def mel_settings(
    *, sampling_rate_hz: float, n_mels: int = 64, frame_ms: float = 25.0, hop_ms: float = 10.0
) -> dict[str, Any]:
    """The fact `mel`, not yet standardised.

    Args:
        sampling_rate_hz: of the waveforms.
        n_mels: bands, from 0 Hz to half the sampling rate.
        frame_ms: length of the Hann window.
        hop_ms: from one frame to the next.
    """
    bands = {"mean": [0.0] * n_mels, "std": [1.0] * n_mels}
    return {"sampling_rate_hz": sampling_rate_hz, "frame_ms": frame_ms, "hop_ms": hop_ms, **bands}


class LogMel(nn.Module):
    """Waveforms to standardised log-mels; what is a log-mel already stays as it is.

    Args:
        mel: `sampling_rate_hz`, `frame_ms`, `hop_ms`, and for every band `mean` and `std`: a fact of audio data.

    Shape:
        (b, 1, t) -> (b, n_mels, t // hop + 1), or with lengths: {"signal": ..., "length": (b,)} -> the same of frames.

    Raises:
        InputError: settings that leave bands empty, or a batch with another number of channels.

    Example:
        >>> LogMel(mel_settings(sampling_rate_hz=8000))(torch.randn(4, 1, 8000)).shape
        torch.Size([4, 64, 101])
    """

    def __init__(self, mel: Mapping[str, Any]) -> None:
        super().__init__()
        rate, self.n_mels = mel["sampling_rate_hz"], len(mel["mean"])
        self.frame = round(mel["frame_ms"] * rate / 1000)
        self.hop = round(mel["hop_ms"] * rate / 1000)
        if self.n_mels < 2 or self.hop < 1 or self.frame < 2:
            raise InputError(
                "a log-mel expected at least two bands, a window of two samples and a hop of one; got "
                f"{self.n_mels} bands, {self.frame} and {self.hop} samples."
            )
        bank = _filter_bank(rate, self.n_mels, self.frame)
        self.n_fft = 2 * (len(bank) - 1)
        for name, value in {
            "bank": bank,
            "window": torch.hann_window(self.frame),
            "mean": torch.tensor(mel["mean"])[:, None],
            "std": torch.tensor(mel["std"])[:, None],
        }.items():
            self.register_buffer(name, value, persistent=False)

    bank: Tensor
    window: Tensor
    mean: Tensor
    std: Tensor

    def forward(self, batch: Any) -> Any:
        """A batch of waveforms or of log-mels as a batch of log-mels."""
        signal, valid = padded(batch)
        if signal.shape[1] == self.n_mels:
            return batch
        if signal.shape[1] != 1:
            raise InputError(
                f"expected waveforms (b, 1, t) or log-mels (b, {self.n_mels}, frames); got {tuple(signal.shape)}."
            )
        mel = ((self._log_mel(signal[:, 0]) - self.mean.float()) / self.std.float()).to(signal.dtype)
        if valid is None:
            return mel
        length = torch.div(batch["length"], self.hop, rounding_mode="floor") + 1
        frames = torch.arange(mel.shape[-1], device=mel.device)
        return {"signal": mel * (frames < length[:, None, None]), "length": length}

    def _log_mel(self, waveforms: Float[Tensor, "b t"]) -> Float[Tensor, "b m f"]:
        with torch.autocast(waveforms.device.type, enabled=False):  # powers overflow in half precision
            power = torchaudio.functional.spectrogram(
                waveforms.float(),
                pad=0,
                window=self.window.float(),
                n_fft=self.n_fft,
                hop_length=self.hop,
                win_length=self.frame,
                power=2.0,
                normalized="window",
                pad_mode="constant",  # so that it makes no difference whether zeros follow
            )
            bands: Tensor = self.bank.float().T @ power
            return (bands + FLOOR).log()


def _filter_bank(rate: float, n_mels: int, frame: int) -> Float[Tensor, "bins n_mels"]:
    """Triangles on the mel scale, on so many frequencies that none is empty."""
    shortest = 1 << (frame - 1).bit_length()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of empty bands
        for n_fft in (shortest, 2 * shortest, 4 * shortest, 8 * shortest):
            bank: Tensor = torchaudio.functional.melscale_fbanks(n_fft // 2 + 1, 0.0, rate / 2, n_mels, round(rate))
            if (bank.sum(dim=0) > 0).all():
                return bank
    raise InputError(
        f"{n_mels} mel bands are too many for a window of {frame} samples at {rate:g} Hz: lowest bands are "
        "empty. Set a smaller n_mels or a larger frame_ms."
    )
