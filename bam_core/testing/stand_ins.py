"""What objectives are tried on: a small network, and views with noise."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from bam_core.tokens import TokenEncoder, Tokens, kept
from bam_core.views import Views

N, CHANNELS, STEPS, WIDTH = 32, 2, 40, 8


class Pooled(TokenEncoder):
    """Waves of any length -> (b, WIDTH), with running statistics, and with dropout; every step is a token.

    Args:
        plain: without both, so that a row does not depend on the others.
    """

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        norm: list[nn.Module] = [] if plain else [nn.BatchNorm1d(16)]
        body = nn.Sequential(
            nn.Conv1d(CHANNELS, 16, 5, padding=2), *norm, nn.ReLU(), nn.Conv1d(16, WIDTH, 3, padding=1)
        )
        self.trunk = _Steps(body)
        self.pool = _Mean(nn.Dropout(0.0 if plain else 0.1))

    @property
    def dropout(self) -> nn.Module:
        """A part with a mode of its own."""
        return cast(_Mean, self.pool).dropout

    def grid(self, view: Tensor) -> tuple[int, ...]:
        """The steps of a wave."""
        return (view.shape[-1],)

    def patches(self, view: Tensor) -> Tensor:
        """(b, steps, channels) the values of every step."""
        return view.transpose(1, 2)


class _Steps(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, *, keep: Tensor | None = None) -> Tokens:
        if keep is not None:
            shown = torch.zeros(len(x), x.shape[-1], device=x.device, dtype=x.dtype).scatter(1, keep, 1.0)
            x = x * shown[:, None]
        return Tokens(*kept(self.body(x).transpose(1, 2), keep))


class _Mean(nn.Module):
    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, tokens: Tokens) -> Tensor:
        pooled: Tensor = self.dropout(tokens.values.transpose(1, 2).mean(dim=-1))
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
