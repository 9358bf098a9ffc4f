"""Batched, seeded views of ECGs on the device of the batch, made of the transforms of ecg-augmentations.

Every random change is drawn per sample from the generator; nothing waits for an accelerator. `LABEL_RISKS` says which
labels each change may destroy: no view suits every task.

Source: ecg-augmentations (MIT), https://github.com/klean2050/ecg-augmentations.
"""

import ecg_augmentations as ea
import torch
from ecg_augmentations.base import Transform
from jaxtyping import Float
from torch import Tensor

from bam_core.errors import InputError
from bam_core.views import Views

LABEL_RISKS = {
    "crop": "record-level labels of passing events: the event may lie outside the window",
    "stretch": "heart rate, QT and QRS width (brady- and tachycardia, long QT, bundle branch block)",
    "shift": "position in the record; beats at the border leave the window",
    "gain": "voltage criteria (hypertrophy, low voltage)",
    "noise": "at low signal-to-noise ratio: P waves (atrial fibrillation, AV block), small Q waves",
    "wander": "ST deviation, if strong relative to the ST level",
    "mask": "labels defined by the masked wave",
    "lead_drop": "axis, and findings localised by lead (territory of an infarction)",
}

Range = tuple[float, float]


class ECGViews:
    """Random views of a batch of ECGs (b, leads, time).

    A view is a random window (`crop`), of which the other changes happen with probability `p` each, per sample, in the
    order of the arguments. `None` switches a change off.

    Args:
        sampling_rate_hz: of the signals.
        n_views: global views.
        n_local: local views, shorter windows that are students only.
        crop: length of a global view's window, as a fraction of the record.
        local_crop: the same for local views.
        stretch: tempo factor; 1.1 is a 10 % lower heart rate.
        shift_s: delay in seconds; what leaves the window is lost, what enters is zero.
        gain: factor of the amplitude, log-uniform.
        noise_snr_db: white noise, as signal-to-noise ratio in dB.
        wander: baseline drift of 0.05-0.5 Hz, amplitude relative to each lead's standard deviation.
        mask_s: length in seconds of one masked stretch, all leads.
        lead_drop: number of leads set to zero; a signal with one lead keeps it.
        p: probability of each change, per sample.

    Raises:
        InputError: counts or fractions out of range.

    Example:
        >>> views = ECGViews(sampling_rate_hz=100, n_local=1)
        >>> [tuple(v.shape) for v in sum(views(torch.randn(4, 12, 200))[:2], [])]
        [(4, 12, 160), (4, 12, 160), (4, 12, 80)]
    """

    def __init__(
        self,
        *,
        sampling_rate_hz: float,
        n_views: int = 2,
        n_local: int = 0,
        crop: float = 0.8,
        local_crop: float = 0.4,
        stretch: Range | None = (0.9, 1.1),
        shift_s: Range | None = None,
        gain: Range | None = (0.7, 1.4),
        noise_snr_db: Range | None = (10.0, 30.0),
        wander: Range | None = (0.05, 0.5),
        mask_s: Range | None = (0.05, 0.2),
        lead_drop: tuple[int, int] | None = (1, 6),
        p: float = 0.5,
    ) -> None:
        if n_views < 1 or n_local < 0:
            raise InputError(f"ECGViews expected n_views >= 1 and n_local >= 0; got {n_views} and {n_local}.")
        for name, fraction in (("crop", crop), ("local_crop", local_crop)):
            if not 0 < fraction <= 1:
                raise InputError(f"ECGViews expected 0 < {name} <= 1, a fraction of the record; got {fraction}.")
        if not 0 <= p <= 1:
            raise InputError(f"ECGViews expected a probability p in [0, 1]; got {p}.")
        for name, bounds, low in (
            ("stretch", stretch, 1e-6),
            ("shift_s", shift_s, None),
            ("gain", gain, 1e-6),
            ("noise_snr_db", noise_snr_db, None),
            ("wander", wander, 0.0),
            ("mask_s", mask_s, 0.0),
            ("lead_drop", lead_drop, 0),
        ):
            if bounds is not None and (bounds[0] > bounds[1] or (low is not None and bounds[0] < low)):
                least = "" if low is None else f", from {low:g} on"
                raise InputError(f"ECGViews expected {name}: a range (low, high){least}; got {bounds}.")
        fs = sampling_rate_hz
        self.n_views = n_views
        self.n_local = n_local
        self.crop = crop
        self.local_crop = local_crop
        self.p = p
        transforms: list[Transform | None] = [
            None if stretch is None else ea.TimeStretch(factor=stretch),
            None if shift_s is None else ea.TimeShift(fs, shift=shift_s, circular=False),
            None if gain is None else ea.AmplitudeScale(scale=gain),
            None if noise_snr_db is None else ea.GaussianNoise(snr_db=noise_snr_db),
            None if wander is None else ea.BaselineWander(fs, amplitude=wander),
            None if mask_s is None else ea.TimeMask(fs, duration=mask_s),
            None if lead_drop is None else ea.LeadMask(n_leads=lead_drop),
        ]
        self.transforms = [transform for transform in transforms if transform is not None]

    def __call__(self, batch: Float[Tensor, "b c t"], *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch; a generator on the batch's device makes them reproducible."""
        return Views(
            [self._view(batch, self.crop, generator) for _ in range(self.n_views)],
            [self._view(batch, self.local_crop, generator) for _ in range(self.n_local)],
        )

    def _view(self, x: Tensor, crop: float, generator: torch.Generator | None) -> Tensor:
        x = ea.RandomCrop(n_samples=max(1, round(crop * x.shape[-1]))).apply(x, generator)
        for transform in self.transforms:
            x = _with_probability(self.p, transform, x, generator)
        return x


def _with_probability(p: float, transform: Transform, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Change a sample with probability p; unlike `transform(x)`, never asks the device which samples those are."""
    device = x.device if generator is None else generator.device
    chosen = torch.rand(len(x), 1, 1, generator=generator, device=device).to(x.device) < p
    return torch.where(chosen, transform.apply(x, generator), x)
