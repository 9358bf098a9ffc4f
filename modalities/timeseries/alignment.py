"""Whether series begin at the same moment, told from the series alone."""

import math
from typing import Any

import torch

from modalities.timeseries.padded import padded

ALIGNED = 0.91  # chosen on training splits of thirteen sets, see docs/results.md
_MOST_SERIES = 256
_MOST_SHIFTS = 2**27  # pairs of series times steps: some seconds


def alignment(batch: Any) -> float:
    """How much of the likeness of nearest neighbours is there without shifting them in time.

    Two series are compared by their correlation, as they are and at the best of all shifts. For every series the
    highest value over all others is taken; the result is the mean of the first divided by the mean of the second.
    Near 1, series begin at the same moment, as heartbeats cut around their R peak do. Far below 1, they begin anywhere.
    Series of unequal length are not cut around one moment, whatever they resemble; for them the result is 0.

    Args:
        batch: series (b, c, t), or {"signal": (b, c, t), "length": (b,)}; at most 256 of them are compared,
            fewer beyond 2,048 steps.

    Returns:
        A number up to 1; 1 for fewer than two series that vary; 0 for series of unequal length.

    Example:
        >>> wave = torch.sin(torch.linspace(0, 20, 100))
        >>> starts = torch.randint(100, (20,), generator=torch.Generator().manual_seed(0)).tolist()
        >>> round(alignment(torch.stack([wave.roll(start) for start in starts])[:, None]), 1) < 1
        True
    """
    signal, valid = padded(batch)
    if valid is not None and not valid.all():
        return 0.0
    most = min(_MOST_SERIES, max(2, math.isqrt(_MOST_SHIFTS // signal.shape[-1])))
    signal = signal[:most].float()
    centred = signal - signal.mean(dim=-1, keepdim=True)
    norms = torch.linalg.vector_norm(centred.flatten(1), dim=1)
    centred, norms = centred[norms > 0], norms[norms > 0]
    if len(centred) < 2:
        return 1.0
    spectra = torch.fft.rfft(centred / norms[:, None, None])
    at_once, shifted = [], []
    for row, spectrum in enumerate(spectra):
        correlation = torch.fft.irfft((spectrum.conj() * spectra).sum(dim=1), n=centred.shape[-1])
        correlation[row] = -math.inf
        at_once.append(correlation[:, 0].max())
        shifted.append(correlation.max())
    return float(torch.stack(at_once).mean() / torch.stack(shifted).mean().clamp_min(1e-6))
