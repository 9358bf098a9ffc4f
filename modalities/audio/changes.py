"""What views do to padded waveforms and log-mels, one function a change; draws are per sample, from the generator.

Source: Niizumi et al., "BYOL for Audio", IJCNN 2021, arXiv 2103.06695 (mixing in the batch, random resize-crop); Park
et al., "SpecAugment", Interspeech 2019, arXiv 1904.08779 (masks of time and frequency); Nam et al., "FilterAugment",
ICASSP 2022, arXiv 2110.03282 (random equaliser).
"""

from typing import NamedTuple

import torch
from ecg_augmentations.base import randn, uniform
from ecg_augmentations.ops import interp
from jaxtyping import Float, Int
from torch import Tensor

from modalities.timeseries.padded import steps_before
from modalities.timeseries.positions import curve

Range = tuple[float, float]
Generator = torch.Generator | None

N_KNOTS = 6  # of the curve of an equaliser


class Clips(NamedTuple):
    """A padded batch: waveforms, c = 1, or log-mels, a channel a band.

    Attributes:
        signal: (b, c, t), zero behind the end.
        length: (b,) in steps.
    """

    signal: Float[Tensor, "b c t"]
    length: Int[Tensor, "b"]


def chosen(p: float, like: Tensor, generator: Generator) -> Tensor:
    """(b, 1, 1), true with probability p."""
    drawn: Tensor = uniform((0, 1), (len(like), 1, 1), like, generator)
    return drawn < p


def cut_window(clips: Clips, fraction: Range, longest: int, generator: Generator) -> Clips:
    """A random window of every clip.

    Args:
        clips: to cut.
        fraction: of the clip, drawn for every clip.
        longest: limit of the window, in steps.
    """
    signal, length = clips
    whole = length[:, None, None].to(signal.dtype)
    n_steps = max(1, min(longest, round(fraction[1] * signal.shape[-1])))
    size = (uniform(fraction, whole.shape, whole, generator) * whole).round().clamp(1, n_steps)
    start = (uniform((0, 1), whole.shape, whole, generator) * (whole - size + 1)).floor()
    positions = torch.minimum(start, whole - size).long() + torch.arange(n_steps, device=signal.device)
    within = steps_before(size[:, 0, 0], n_steps)
    cut = signal.gather(-1, positions.clamp_max(signal.shape[-1] - 1).expand(-1, signal.shape[1], -1))
    return Clips(cut * within, size[:, 0, 0].long())


def amplify(clips: Clips, gain_db: Range, p: float, generator: Generator) -> Clips:
    """Change the level."""
    signal = clips.signal
    factor = 10 ** (uniform(gain_db, (len(signal), 1, 1), signal, generator) / 20)
    return clips._replace(signal=torch.where(chosen(p, signal, generator), signal * factor, signal))


def mix(clips: Clips, snr_db: Range, p: float, generator: Generator) -> Clips:
    """Lay another clip of the batch under every clip, repeated if it is shorter.

    Args:
        clips: waveforms; a single one stays as it is.
        snr_db: power of the clip relative to what is laid under it.
        p: probability.
    """
    signal, length = clips
    b, _, t = signal.shape
    if b < 2:
        return clips
    whole = length[:, None, None].to(signal.dtype)
    ahead = 1 + (uniform((0, 1), (b,), signal, generator) * (b - 1)).floor().clamp_max(b - 2).long()
    other = (torch.arange(b, device=signal.device) + ahead) % b
    start = (uniform((0, 1), (b, 1, 1), signal, generator) * whole[other]).long()
    positions = (start + torch.arange(t, device=signal.device)) % length[other][:, None, None]
    background = signal[other].gather(-1, positions)
    power = signal.square().sum(dim=-1, keepdim=True) / whole
    ratio = power / power[other].clamp_min(1e-12)
    factor = (ratio * 10 ** (-uniform(snr_db, (b, 1, 1), signal, generator) / 10)).sqrt()
    mixed = (signal + factor * background) * steps_before(length, t)
    return clips._replace(signal=torch.where(chosen(p, signal, generator), mixed, signal))


def resize_time(clips: Clips, fraction: Range, p: float, generator: Generator) -> Clips:
    """Show a fraction of the frames, at a random place, stretched to all; above 1, all squeezed into fewer.

    Args:
        clips: log-mels.
        fraction: 0.8 shows four fifths, slower; 1.25 shows all in four fifths of the frames, faster.
        p: probability.
    """
    signal, length = clips
    whole = length[:, None, None].to(signal.dtype)
    drawn = uniform(fraction, whole.shape, whole, generator)
    drawn = torch.where(chosen(p, signal, generator), drawn, 1)
    shown = drawn.clamp_max(1) * whole
    size = (shown / drawn).round().clamp_min(1)
    start = uniform((0, 1), whole.shape, whole, generator) * (whole - shown)
    steps = torch.arange(signal.shape[-1], device=signal.device)
    positions = start + (steps + 0.5) * shown / size - 0.5
    resized = interp(signal, torch.minimum(positions, whole - 1))
    new_length = size[:, 0, 0].long()
    return Clips(resized * steps_before(new_length, signal.shape[-1]), new_length)


def resize_bands(clips: Clips, fraction: Range, p: float, generator: Generator) -> Clips:
    """Show a fraction of the bands, at a random place, stretched to all; above 1, all squeezed, outermost repeated."""
    signal = clips.signal
    b, m, _ = signal.shape
    drawn = uniform(fraction, (b, 1, 1), signal, generator)
    drawn = torch.where(chosen(p, signal, generator), drawn, 1)
    start = uniform((0, 1), (b, 1, 1), signal, generator) * (1 - drawn) * m
    bands = torch.arange(m, device=signal.device)
    positions = start + (bands + 0.5) * drawn - 0.5
    return clips._replace(signal=interp(signal.transpose(1, 2), positions).transpose(1, 2).contiguous())


def equalize(clips: Clips, strength: Range, p: float, generator: Generator) -> Clips:
    """Raise and lower bands along a smooth curve, as rooms and microphones do.

    Args:
        clips: log-mels.
        strength: standard deviation of the curve, in units of the standardised log-mel.
        p: probability.
    """
    signal, length = clips
    b, m, n = signal.shape
    knots = uniform(strength, (b, 1, 1), signal, generator) * randn((b, 1, N_KNOTS), signal, generator)
    band = torch.linspace(0, 1, m, device=signal.device).expand(b, 1, m)
    changed = (signal + curve(knots, band).transpose(1, 2)) * steps_before(length, n)
    return clips._replace(signal=torch.where(chosen(p, signal, generator), changed, signal))


def mask_time(clips: Clips, fraction: Range, p: float, generator: Generator) -> Clips:
    """Set one stretch of the frames to zero, the mean of the training data."""
    signal, length = clips
    hidden = _stretch(length[:, None, None].to(signal.dtype), signal.shape[-1], fraction, generator)
    return clips._replace(signal=torch.where(chosen(p, signal, generator) & hidden, 0, signal))


def mask_bands(clips: Clips, fraction: Range, p: float, generator: Generator) -> Clips:
    """Set neighbouring bands to zero."""
    signal = clips.signal
    m = signal.shape[1]
    hidden = _stretch(torch.full((len(signal), 1, 1), float(m), device=signal.device), m, fraction, generator)
    hidden = hidden.transpose(1, 2)
    return clips._replace(signal=torch.where(chosen(p, signal, generator) & hidden, 0, signal))


def _stretch(whole: Tensor, n_steps: int, fraction: Range, generator: Generator) -> Tensor:
    size = uniform(fraction, whole.shape, whole, generator) * whole
    start = uniform((0, 1), whole.shape, whole, generator) * (whole - size)
    step = torch.arange(n_steps, device=whole.device)
    hidden: Tensor = (step >= start.round()) & (step < (start + size).round())
    return hidden
