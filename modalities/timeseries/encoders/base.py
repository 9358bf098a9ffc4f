"""What the encoders of this modality share: one vector for a series of any length, and one for every window of it."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from modalities.timeseries.padded import Padded, padded, steps_before


class WindowEmbeddings(NamedTuple):
    """One vector for every window of every series.

    Attributes:
        embeddings: (b, n, d); those of windows behind the end of a series mean nothing.
        steps: (b, n) steps of the series that lie in the window; 0 behind its end.
        starts: first step of each of the n windows.
    """

    embeddings: Float[Tensor, "b n d"]
    steps: Int[Tensor, "b n"]
    starts: tuple[int, ...]


class SeriesEncoder(nn.Module):
    """Encoder of series; a network fills in `encode(signal, valid)`, which sees at most `context` steps at once.

    Args:
        context: longest stretch that the network sees at once, in steps; a longer series is cut into windows of that
            length, and their embeddings are averaged, each weighted by the steps in it. None: the whole series.
        in_channels: of the series; None: any.

    Shape:
        Series (b, c, t), or {"signal": (b, c, t), "length": (b,)} -> (b, d).

    Raises:
        InputError: a context below two steps, no series, or series of other channels.
    """

    def __init__(self, context: int | None = None, in_channels: int | None = None) -> None:
        super().__init__()
        if context is not None and context < 2:
            raise InputError(f"an encoder expected a context of at least two steps; got {context}.")
        self.context = context
        self.in_channels = in_channels

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a series; steps outside `valid` (b, 1, t) are zero and must not count."""
        raise NotImplementedError

    def forward(self, batch: Any) -> Float[Tensor, "b d"]:
        """One vector a series."""
        signal, valid = self._padded(batch)
        if self.context is None or signal.shape[-1] <= self.context:
            return self.encode(signal, valid)
        windows = self.embed_windows(batch, window=self.context)
        weights = windows.steps / windows.steps.sum(dim=1, keepdim=True).clamp_min(1)
        return (windows.embeddings * weights[..., None]).sum(dim=1)

    def embed_windows(self, batch: Any, *, window: int, hop: int | None = None) -> WindowEmbeddings:
        """One vector for every window; the last one of a series may be shorter.

        Args:
            batch: as in `forward`.
            window: length of a window in steps.
            hop: steps from one window to the next; default: `window`.

        Raises:
            InputError: a window or a hop below one.

        Example:
            >>> from modalities.timeseries.encoders import ResNet1d
            >>> found = ResNet1d(in_channels=1, width=8).embed_windows(torch.randn(4, 1, 100), window=40, hop=30)
            >>> tuple(found.embeddings.shape), found.starts, found.steps[0].tolist()
            ((4, 3, 32), (0, 30, 60), [40, 40, 40])
        """
        hop = window if hop is None else hop
        if window < 1 or hop < 1:
            raise InputError(f"embed_windows expected a window and a hop of at least one step; got {window} and {hop}.")
        signal, valid = self._padded(batch)
        b, c, t = signal.shape
        n = max(0, math.ceil((t - window) / hop)) + 1
        reach = (n - 1) * hop + window
        if valid is None and reach > t:
            valid = torch.ones(b, 1, t, dtype=torch.bool, device=signal.device)
        cut = functional.pad(signal, (0, max(0, reach - t))).unfold(-1, window, hop)
        cut = cut.transpose(1, 2).reshape(b * n, c, window)
        starts = torch.arange(n, device=signal.device) * hop
        length = torch.full((b, 1), t, device=signal.device) if valid is None else valid.sum(dim=-1)
        steps = (length - starts).clamp(0, window)
        within = None if valid is None else steps_before(steps.flatten(), window)
        embeddings = self.encode(cut, within).reshape(b, n, -1)
        return WindowEmbeddings(embeddings, steps, tuple(range(0, n * hop, hop)))

    def _padded(self, batch: Any) -> Padded:
        return series_of(batch, self.in_channels, type(self).__name__)


def series_of(batch: Any, in_channels: int | None, name: str) -> Padded:
    """The series of a batch, see `padded`.

    Args:
        batch: a tensor or a dict.
        in_channels: that they should have; None: any.
        name: of the network that asks.

    Raises:
        InputError: no series, or series of other channels.
    """
    series = padded(batch)
    if in_channels not in (None, series.signal.shape[1]):
        raise InputError(
            f"this {name} expected series of {in_channels} channel(s), (b, {in_channels}, time); got "
            f"{tuple(series.signal.shape)}. Choose views that make what the encoder takes."
        )
    return series


def check_context(n_steps: int, context: int | None, name: str, unit: str = "context") -> None:
    """Refuse tokens of more steps than a network sees at once; embeddings of such a series are averages of windows.

    Raises:
        InputError: `n_steps` is more than `context`.
    """
    if context is not None and n_steps > context:
        raise InputError(
            f"tokens of this {name} expected series within its context of {context} steps; got {n_steps}. Cut the "
            f"views shorter, or set the encoder's {unit} to at least as much."
        )
