"""Batched, seeded views of series on the device of the batch, for equal and unequal lengths.

Every random change is drawn per sample from the generator; nothing waits for an accelerator. `LABEL_RISKS` says which
labels each change may destroy: no view suits every task.

Source: Um et al., ICMI 2017, arXiv 1706.00527 (jitter, scaling, magnitude and time warp, permutation); Yue et al.,
"TS2Vec", AAAI 2022 (overlapping windows); interpolation and draws from ecg-augmentations (MIT).
"""

import math
from typing import Any, Literal

import torch
from ecg_augmentations.base import randn, uniform
from ecg_augmentations.ops import interp
from torch import Tensor

from bam_core.errors import InputError
from bam_core.views import Views
from modalities.timeseries.alignment import ALIGNED, alignment
from modalities.timeseries.padded import padded
from modalities.timeseries.positions import Range, Windows, curve, draw_windows, permute, progress, random_stretch, warp

LABEL_RISKS = {
    "window": "labels of passing events, which may lie outside; totals and durations",
    "resize": "speed, period and duration of what is shown",
    "time_warp": "rhythm: intervals, local frequency",
    "permutation": "order: trend, what comes before what; transients at the cuts",
    "scale": "amplitude, level and their proportion between channels",
    "magnitude_warp": "slow trends and envelopes of the amplitude",
    "jitter": "fine detail: small peaks, high frequencies, roughness",
    "mask": "labels defined by the masked stretch",
    "channel_drop": "labels told by one channel, or by which channels agree",
    "overlap": "none: views only come to show more of the same",
}

N_KNOTS = 4  # of the curves of both warps

PRESETS: dict[bool, dict[str, Any]] = {
    True: {"window": (1.0, 1.0), "resize": False, "time_warp": (0.0, 0.3)},
    False: {"window": (0.6, 0.6), "resize": False, "time_warp": None},
}
"""What "auto" stands for: for series that begin at the same moment, and for series that begin anywhere."""


class SeriesViews:
    """Random views of a batch of series: a tensor (b, c, t), or {"signal": (b, c, t), "length": (b,)}.

    A view is a random window, of which the other changes happen with probability `p` each, per sample, in the order of
    the arguments. `None` switches a change off. Series of unequal length, and windows that keep their pace although
    their length varies, give views with lengths.

    What is "auto" follows from the data: `calibrate` measures on some series of train whether they begin at the same
    moment (`modalities.timeseries.alignment`). If they do, views show the whole series, its time warped. If not, they
    show windows that keep their pace. `PRESETS` has the values. Without `calibrate` series are taken to begin anywhere.

    Args:
        n_views: global views.
        n_local: local views, shorter windows that are students only.
        window: length of a global view's window, as a fraction of the series.
        local_window: the same for local views.
        overlap: the windows of all global views share a stretch of this fraction of the shortest possible window, so
            that they show something in common; `None` draws them independently.
        resize: stretch every window to the longest that its range allows; else it keeps its pace.
        time_warp: strength; the local speed varies by about exp(+-strength).
        permutation: number of pieces that change places.
        scale: factor of the amplitude, log-uniform, for every channel.
        magnitude_warp: strength; the amplitude varies over time by about exp(+-strength), for every channel.
        jitter: white noise, relative to the standard deviation of each channel.
        mask: fraction of the view that is set to zero, in one stretch.
        channel_drop: fraction of the channels that is set to zero; one always stays.
        mask_channels: whether the second half of the channels says where the first half is known, a fact of the
            data; they move with the signal, and keep their amplitude.
        p: probability of each change, per sample.

    Raises:
        InputError: counts, fractions or ranges out of range; a batch that holds no series.

    Example:
        >>> views = SeriesViews(n_local=1, local_window=(0.4, 0.4))
        >>> [tuple(v.shape) for v in sum(views(torch.randn(4, 3, 200))[:2], [])]
        [(4, 3, 120), (4, 3, 120), (4, 3, 80)]
    """

    def __init__(
        self,
        *,
        n_views: int = 2,
        n_local: int = 0,
        window: Range | Literal["auto"] = "auto",
        local_window: Range = (0.2, 0.4),
        overlap: float | None = None,
        resize: bool | Literal["auto"] = "auto",
        time_warp: Range | Literal["auto"] | None = "auto",
        permutation: tuple[int, int] | None = None,
        scale: Range | None = (0.7, 1.4),
        magnitude_warp: Range | None = (0.0, 0.3),
        jitter: Range | None = (0.0, 0.2),
        mask: Range | None = (0.05, 0.2),
        channel_drop: Range | None = (0.1, 0.3),
        mask_channels: bool = False,
        p: float = 0.5,
    ) -> None:
        if n_views < 1 or n_local < 0:
            raise InputError(f"SeriesViews expected n_views >= 1 and n_local >= 0; got {n_views} and {n_local}.")
        self.asked: dict[str, Any] = {"window": window, "resize": resize, "time_warp": time_warp}
        self.alignment: float | None = None
        window, resize, time_warp = self._choose(aligned=False)
        limits = {
            "window": (window, 0, 1), "local_window": (local_window, 0, 1), "time_warp": (time_warp, 0, None),
            "permutation": (permutation, 1, None), "scale": (scale, 0, None), "jitter": (jitter, 0, None),
            "magnitude_warp": (magnitude_warp, 0, None), "mask": (mask, 0, 1), "channel_drop": (channel_drop, 0, 1),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            _check_range(name, value, low, high, open_below=name in ("window", "local_window", "scale"))
        for name, fraction in (("p", p), ("overlap", overlap)):
            if fraction is not None and not 0 <= fraction <= 1:
                raise InputError(f"SeriesViews expected {name} in [0, 1]; got {fraction}.")
        self.n_views = n_views
        self.n_local = n_local
        self.window = window
        self.local_window = local_window
        self.overlap = overlap
        self.resize = resize
        self.time_warp = time_warp
        self.permutation = permutation
        self.scale = scale
        self.magnitude_warp = magnitude_warp
        self.jitter = jitter
        self.mask = mask
        self.channel_drop = channel_drop
        self.mask_channels = mask_channels
        self.p = p

    def _choose(self, *, aligned: bool) -> tuple[Range, bool, Range | None]:
        chosen = {name: PRESETS[aligned][name] if value == "auto" else value for name, value in self.asked.items()}
        return chosen["window"], chosen["resize"], chosen["time_warp"]

    def calibrate(self, batch: Any) -> None:
        """Settle what is "auto" by a batch of series, some hundred of train."""
        if "auto" in self.asked.values():
            self.alignment = alignment(batch)
            self.window, self.resize, self.time_warp = self._choose(aligned=self.alignment >= ALIGNED)

    def __call__(self, batch: Any, *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch; a generator on the batch's device makes them reproducible."""
        signal, valid = padded(batch)
        if self.mask_channels and signal.shape[1] % 2:
            raise InputError(f"mask_channels expected a mask for every channel; got {signal.shape[1]} channels in all.")
        steps = torch.full((len(signal),), signal.shape[-1], device=signal.device) if valid is None else batch["length"]
        length = steps[:, None, None].to(signal.dtype)
        core = None
        if self.overlap is not None:
            shared = self.overlap * self.window[0]
            core = draw_windows(length, (shared, shared), generator)
        equal = valid is None
        return Views(
            [self._view(signal, length, self.window, core, equal, generator) for _ in range(self.n_views)],
            [self._view(signal, length, self.local_window, None, equal, generator) for _ in range(self.n_local)],
        )

    def _view(
        self,
        signal: Tensor,
        length: Tensor,
        fraction: Range,
        core: Windows | None,
        equal: bool,
        generator: torch.Generator | None,
    ) -> Tensor | dict[str, Tensor]:
        window = draw_windows(length, fraction, generator, core)
        n_steps = max(1, round(fraction[1] * signal.shape[-1]))
        stretched = (fraction[1] * length).round().clamp(1, n_steps)
        shown = window.length if not self.resize else torch.full_like(length, n_steps) if equal else stretched
        time = progress(n_steps, shown)
        x = interp(signal, self._positions(time, shown, window, generator))
        within = torch.arange(n_steps, device=x.device) < shown
        x = self._change_amplitude(x, time, within, generator)
        x = self._hide(x, shown, generator) * within
        if equal and (self.resize or fraction[0] == fraction[1]):
            return x
        return {"signal": x, "length": shown[:, 0, 0].long()}

    def _positions(self, time: Tensor, shown: Tensor, window: Windows, generator: torch.Generator | None) -> Tensor:
        b, warped = len(time), time
        if self.time_warp is not None:
            strength = uniform(self.time_warp, (b, 1, 1), time, generator)
            knots = strength * randn((b, 1, N_KNOTS), time, generator)
            warped = torch.where(self._chosen(time, generator), warp(time, knots), time)
        positions = window.start + (window.length - 1) * warped
        if self.permutation is not None:
            low, high = self.permutation
            n_pieces = uniform((low, high + 1), (b, 1, 1), time, generator).floor()
            cuts = uniform((0, 1), (b, 1, high - 1), time, generator)
            cuts = torch.where(torch.arange(high - 1, device=time.device) < n_pieces - 1, cuts, 2)
            order = permute(time, shown, cuts, uniform((0, 1), (b, high), time, generator))
            positions = torch.where(self._chosen(time, generator), positions.gather(-1, order), positions)
        return positions

    def _change_amplitude(self, x: Tensor, time: Tensor, within: Tensor, generator: torch.Generator | None) -> Tensor:
        b, c = len(x), self._n_channels(x)
        x, known = x[:, :c], x[:, c:]
        if self.scale is not None:
            low, high = self.scale
            factor = uniform((math.log(low), math.log(high)), (b, c, 1), x, generator).exp()
            x = torch.where(self._chosen(x, generator), x * factor, x)
        if self.magnitude_warp is not None:
            strength = uniform(self.magnitude_warp, (b, 1, 1), x, generator)
            factor = curve(strength * randn((b, c, N_KNOTS), x, generator), time).exp()
            x = torch.where(self._chosen(x, generator), x * factor, x)
        if self.jitter is not None:
            n = within.sum(dim=-1, keepdim=True).clamp_min(1)
            mean = (x * within).sum(dim=-1, keepdim=True) / n
            spread = (((x - mean) * within).square().sum(dim=-1, keepdim=True) / n).sqrt()
            noise = uniform(self.jitter, (b, 1, 1), x, generator) * spread * randn(x.shape, x, generator)
            x = torch.where(self._chosen(x, generator), x + noise, x)
        return torch.cat([x, known], dim=1)

    def _hide(self, x: Tensor, shown: Tensor, generator: torch.Generator | None) -> Tensor:
        b, c = len(x), self._n_channels(x)
        if self.mask is not None:
            hidden = random_stretch(self.mask, shown, x.shape[-1], generator)
            x = torch.where(self._chosen(x, generator) & hidden, 0, x)
        if self.channel_drop is not None and c > 1:
            count = (uniform(self.channel_drop, (b, 1), x, generator) * c).round().clamp_max(c - 1)
            rank = uniform((0, 1), (b, c), x, generator).argsort(dim=-1).argsort(dim=-1)
            dropped = (rank < count)[..., None]
            dropped = torch.cat([dropped, dropped], dim=1) if self.mask_channels else dropped
            x = torch.where(self._chosen(x, generator) & dropped, 0, x)
        return x

    def _n_channels(self, x: Tensor) -> int:
        return x.shape[1] // 2 if self.mask_channels else x.shape[1]

    def _chosen(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        drawn: Tensor = uniform((0, 1), (len(like), 1, 1), like, generator)
        return drawn < self.p


def _check_range(
    name: str, value: tuple[float, float] | None, low: float, high: float | None, *, open_below: bool
) -> None:
    if value is None:
        return
    too_low = value[0] <= low if open_below else value[0] < low
    if too_low or value[0] > value[1] or (high is not None and value[1] > high):
        limits = f"{'>' if open_below else '>='} {low}" + ("" if high is None else f" and <= {high}")
        raise InputError(f"SeriesViews expected {name} as (lowest, highest), each {limits}; got {value}.")
