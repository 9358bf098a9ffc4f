"""A vision transformer over patches of the log-mel."""

import math
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from bam_core.tokens import TokenEncoder, Tokens, kept
from modalities.audio.encoders.base import MelEncoder
from modalities.timeseries.encoders.base import check_context
from modalities.timeseries.encoders.layers import every
from modalities.timeseries.padded import MeanAndMaxPool, as_batch, padded, shown


class MelViT(MelEncoder, TokenEncoder):
    """Square patches of the log-mel as tokens, timm's transformer blocks between them, average and maximum.

    Args:
        mel: what a log-mel is, a fact of the data.
        patch: side of a patch, in bands and frames.
        width: of the tokens; a multiple of `heads`, and of 4. 192, 12 and 3 are ViT-Tiny.
        depth: blocks.
        heads: of the attention.
        context_s: see `MelEncoder`; the cost of a stretch grows with the square of its patches.

    Shape:
        Clips -> (b, 2 * width).

    Raises:
        InputError: a width that is no multiple of 4 and of `heads`.

    Example:
        >>> import torch
        >>> from modalities.audio.mel import mel_settings
        >>> network = MelViT(mel=mel_settings(sampling_rate_hz=8000), width=64, depth=2, heads=4)
        >>> network({"signal": torch.randn(4, 1, 8000), "length": torch.tensor([8000, 900, 7000, 400])}).shape
        torch.Size([4, 128])

    Source: Gong et al., "AST", Interspeech 2021, arXiv 2104.01778; Dosovitskiy et al., ICLR 2021, arXiv 2010.11929.
    Positions are fixed sines, so that lengths may vary, and tokens are pooled instead of a class token.
    """

    trunk: "MelTrunk"

    def __init__(
        self,
        *,
        mel: dict[str, object],
        patch: int = 16,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
        context_s: float | None = 10.0,
    ) -> None:
        super().__init__(mel, context_s)
        if width % 4 or width % heads:
            raise InputError(f"MelViT expected a width that is a multiple of 4 and of heads; got {width} and {heads}.")
        self.trunk = MelTrunk(self.log_mel, patch, width, depth, heads, self.context)
        self.pool = MeanAndMaxPool()

    def grid(self, view: Any) -> tuple[int, ...]:
        """Patches of a log-mel: along the bands, and along time."""
        signal = padded(view).signal
        is_mel = signal.shape[1] == self.log_mel.n_mels
        frames = signal.shape[-1] if is_mel else signal.shape[-1] // self.log_mel.hop + 1
        return math.ceil(self.log_mel.n_mels / self.trunk.patch), math.ceil(frames / self.trunk.patch)

    def patches(self, view: Any) -> Float[Tensor, "b n k"]:
        """The log-mel in every patch, zeros where those at the end are filled up."""
        mel, patch = padded(self.trunk.log_mel(view)).signal, self.trunk.patch
        x = functional.pad(mel, (0, -mel.shape[-1] % patch, 0, -mel.shape[1] % patch))
        return functional.unfold(x[:, None], patch, stride=patch).transpose(1, 2)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a clip; see `SeriesEncoder.encode`."""
        embeddings: Tensor = self.pool(self.trunk(as_batch(signal, valid)))
        return embeddings


class MelTrunk(nn.Module):
    """Tokens of a `MelViT`: the patches of a log-mel, band after band, (b, 1, t) -> (b, patches, width).

    Args:
        log_mel: makes log-mels of waveforms.
        patch: see `MelViT`, like all below.
        width: of the tokens.
        depth: blocks.
        heads: of the attention.
        context: frames of the longest clip.

    Raises:
        InputError: in a call, a clip longer than the context.
    """

    def __init__(self, log_mel: nn.Module, patch: int, width: int, depth: int, heads: int, context: int | None) -> None:
        super().__init__()
        from timm.models.vision_transformer import Block

        self.log_mel, self.patch, self.context = log_mel, patch, context
        self.tokens = nn.Conv2d(1, width, patch, stride=patch)
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, view: Any, *, keep: Tensor | None = None) -> Tokens:
        """Tokens of all patches, or of those to keep (b, k)."""
        signal, valid = padded(self.log_mel(view))
        check_context(signal.shape[-1], self.context, MelViT.__name__, "context_s")
        x = functional.pad(signal, (0, -signal.shape[-1] % self.patch, 0, -signal.shape[1] % self.patch))
        x = self.tokens(x[:, None])
        n_bands = x.shape[2]
        x, place = kept((x + _positions(x)).flatten(2).transpose(1, 2), keep)
        present = every(valid, self.patch)
        present = None if present is None else kept(present[:, 0].repeat(1, n_bands), keep).values
        seen = shown(present)
        for block in self.blocks:
            x = block(x, attn_mask=None if seen is None else seen[:, None, None])
        return Tokens(self.norm(x), place, present)


def _positions(x: Float[Tensor, "b d m n"]) -> Float[Tensor, "d m n"]:
    from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed

    _, d, m, n = x.shape
    table: Tensor = build_sincos2d_pos_embed([m, n], dim=d, device=x.device)
    return table.T.reshape(d, m, n).to(x.dtype)
