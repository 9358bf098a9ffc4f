"""Where a view looks: for every step of the view the position in the series that it shows.

A random window, stretched, warped and cut into pieces that change places is one map of positions, and so one
interpolation, whatever is combined.
"""

from typing import NamedTuple

import torch
from ecg_augmentations.base import uniform
from ecg_augmentations.ops import interp
from jaxtyping import Bool, Float
from torch import Tensor

Range = tuple[float, float]


class Windows(NamedTuple):
    """A window of every series, in steps.

    Attributes:
        start: (b, 1, 1) first position.
        length: (b, 1, 1) number of steps.
    """

    start: Float[Tensor, "b 1 1"]
    length: Float[Tensor, "b 1 1"]


def draw_windows(
    length: Float[Tensor, "b 1 1"],
    fraction: Range,
    generator: torch.Generator | None,
    core: Windows | None = None,
) -> Windows:
    """A random window of every series.

    Args:
        length: of the series, in steps.
        fraction: of the series that the window covers, drawn for every series.
        generator: of the draw.
        core: what every window must contain; windows are no shorter.
    """
    size = (uniform(fraction, length.shape, length, generator) * length).round().clamp_min(1)
    first, last = torch.zeros_like(length), length - size
    if core is not None:
        size = torch.maximum(size, core.length)
        first = (core.start + core.length - size).clamp_min(0)
        last = torch.minimum(core.start, length - size)
    place = uniform((0, 1), length.shape, length, generator)
    return Windows((first + (last - first + 1) * place).floor().clamp_max(last), size)


def random_stretch(
    fraction: Range, length: Float[Tensor, "b 1 1"], n_steps: int, generator: torch.Generator | None
) -> Bool[Tensor, "b 1 n_steps"]:
    """True on a random stretch, a fraction of the length, of every series."""
    size = uniform(fraction, length.shape, length, generator) * length
    start = uniform((0, 1), length.shape, length, generator) * (length - size)
    step = torch.arange(n_steps, device=length.device)
    inside: Tensor = (step >= start.round()) & (step < (start + size).round())
    return inside


def progress(n_steps: int, length: Float[Tensor, "b 1 1"]) -> Float[Tensor, "b 1 n_steps"]:
    """From 0 at the first step to 1 at step `length`, and 1 behind it."""
    step = torch.arange(n_steps, device=length.device, dtype=length.dtype)
    return (step / (length - 1).clamp_min(1)).clamp_max(1)


def curve(knots: Float[Tensor, "b c k"], time: Float[Tensor, "b 1 t"]) -> Float[Tensor, "b c t"]:
    """Straight lines between equally spaced knots, at times from 0 to 1."""
    values: Tensor = interp(knots, time * (knots.shape[-1] - 1))
    return values


def warp(time: Float[Tensor, "b 1 t"], log_speed: Float[Tensor, "b 1 k"]) -> Float[Tensor, "b 1 t"]:
    """Bend time from 0 to 1 without turning back; both ends stay.

    Args:
        time: rising from 0 to 1, and 1 behind the end.
        log_speed: logarithm of the speed at equally spaced knots.
    """
    steps = torch.diff(time, dim=-1, prepend=time[..., :1])  # zero behind the end
    passed = torch.cumsum(steps * curve(log_speed, time).exp(), dim=-1)
    return passed / passed[..., -1:].clamp_min(1e-12)


def permute(
    time: Float[Tensor, "b 1 t"],
    length: Float[Tensor, "b 1 1"],
    cuts: Float[Tensor, "b 1 k"],
    ranks: Float[Tensor, "b k_plus_1"],
) -> Tensor:
    """(b, 1, t) index of the step to be shown at every step, when the pieces between cuts change places.

    Args:
        time: (b, 1, t) from 0 to 1.
        length: of the series in steps; what lies behind it stays there.
        cuts: where, in (0, 1).
        ranks: pieces are shown in rising order of these.
    """
    piece = (time[..., None] >= cuts.sort(dim=-1).values[:, :, None]).sum(dim=-1)
    rank = ranks[:, None].gather(-1, piece)
    step = torch.arange(time.shape[-1], device=time.device)
    return torch.where(step < length, rank, torch.inf).argsort(dim=-1, stable=True)
