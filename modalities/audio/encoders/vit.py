"""A vision transformer over patches of the log-mel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from modalities.audio.encoders.base import MelEncoder
from modalities.timeseries.encoders.layers import every
from modalities.timeseries.padded import max_over_time, mean_over_time


class MelViT(MelEncoder):
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
        >>> from modalities.audio.mel import mel_settings
        >>> network = MelViT(mel=mel_settings(sampling_rate_hz=8000), width=64, depth=2, heads=4)
        >>> network({"signal": torch.randn(4, 1, 8000), "length": torch.tensor([8000, 900, 7000, 400])}).shape
        torch.Size([4, 128])

    Source: Gong et al., "AST", Interspeech 2021, arXiv 2104.01778; Dosovitskiy et al., ICLR 2021, arXiv 2010.11929.
    Positions are fixed sines, so that lengths may vary, and tokens are pooled instead of a class token.
    """

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
        from timm.models.vision_transformer import Block

        if width % 4 or width % heads:
            raise InputError(f"MelViT expected a width that is a multiple of 4 and of heads; got {width} and {heads}.")
        self.patch = patch
        self.tokens = nn.Conv2d(1, width, patch, stride=patch)
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def encode(self, signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b d"]:
        """One vector a clip; see `SeriesEncoder.encode`."""
        x = functional.pad(signal, (0, -signal.shape[-1] % self.patch, 0, -signal.shape[1] % self.patch))
        x = self.tokens(x[:, None])
        n_bands = x.shape[2]
        x = (x + _positions(x)).flatten(2).transpose(1, 2)
        present = every(valid, self.patch)
        seen = None
        if present is not None:
            present = present.repeat(1, 1, n_bands)
            seen = present[:, None].clone()  # (b, 1, 1, tokens)
            seen[..., 0] = True  # attention among nothing is not a number; empty windows are weighted with zero
        for block in self.blocks:
            x = block(x, attn_mask=seen)
        x = self.norm(x).transpose(1, 2)
        return torch.cat([mean_over_time(x, present), max_over_time(x, present)], dim=1)


def _positions(x: Float[Tensor, "b d m n"]) -> Float[Tensor, "d m n"]:
    from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed

    _, d, m, n = x.shape
    table: Tensor = build_sincos2d_pos_embed([m, n], dim=d, device=x.device)
    return table.T.reshape(d, m, n).to(x.dtype)
