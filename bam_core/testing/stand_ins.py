"""What objectives are tried on: a small network, and views with noise."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bam_core.views import Views

N, CHANNELS, STEPS, WIDTH = 32, 2, 40, 8


class Pooled(nn.Module):
    """Waves of any length -> (b, WIDTH), with running statistics, and with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(CHANNELS, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, WIDTH, 3, padding=1)
        )
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """One vector a wave."""
        pooled: Tensor = self.dropout(self.body(x).mean(dim=-1))
        return pooled


class NoisyViews:
    """Two views with noise of their own; what is embedded is the wave at half its height."""

    def __init__(self, lengths: Sequence[int] = (STEPS, STEPS), local: Sequence[int] = ()) -> None:
        self.lengths, self.local = lengths, local

    def __call__(self, batch: Tensor, *, generator: torch.Generator | None = None) -> Views:
        """Views of the wanted lengths."""
        made = [
            batch[..., :n] + 0.3 * torch.randn(batch[..., :n].shape, generator=generator)
            for n in (*self.lengths, *self.local)
        ]
        return Views(made[: len(self.lengths)], made[len(self.lengths) :])

    def untouched(self, batch: Tensor) -> Tensor:
        """Not the batch itself, so that it is seen whether this is asked."""
        return batch / 2
