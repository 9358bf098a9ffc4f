"""The term `masked_autoencoder`: from the places that are shown, what lies at the hidden ones is reconstructed."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.collectives import mean_over_ranks, world_size
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.masks import Masks, draw_subsets
from bam_core.objectives.pairs import check_several
from bam_core.objectives.terms.jepa import Predictor
from bam_core.objectives.tokens_needed import token_encoder
from bam_core.terms import TermOutput
from bam_core.tokens import Tokens, kept
from bam_core.views import Drawn


class MaskedAutoencoder(nn.Module):
    r"""Reconstruction of hidden patches, the mean over hidden places of the squared error of the decoder's guess:

    .. math:: \mathrm{mean}\, (\hat x - \tilde x)^2, \quad \tilde x = (x - m) / \sqrt{s^2 + 10^{-6}},

    with mean m and deviation s of every patch x. In every global view random places are hidden; the encoder sees the
    others alone. A small transformer, the decoder, is given their tokens and a learnt token with the position of every
    hidden place. Places behind the end of a series are not reconstructed. The scalar `error_of_mean` is what guessing
    zero costs. Over several ranks the mean is over the hidden places of all of them.

    Args:
        hidden: share of the places that are hidden, in (0, 1).
        normalise: bring every patch to mean 0 and deviation 1; else reconstruct it as it is.
        decoder_width: of the decoder's tokens; a multiple of 4 and of its heads.
        decoder_depth: layers of the decoder.
        decoder_heads: heads of its attention.

    Shape:
        Of every global view the tokens (b, k, d) of what is shown -> a number.

    Raises:
        InputError: settings that do not fit; in `wishes`, an encoder without tokens or without patches, or a batch of
            one.

    Source: He et al., CVPR 2022, arXiv 2111.06377, section 3: three quarters hidden and patches normalised are the
    paper's, whose decoder for a ViT-L has 8 blocks of width 512. Positions of the decoder are fixed sines.
    """

    def __init__(
        self,
        *,
        hidden: float = 0.75,
        normalise: bool = True,
        decoder_width: int = 128,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
    ) -> None:
        super().__init__()
        if not 0 < hidden < 1:
            raise InputError(f"masked_autoencoder expected a share of hidden places in (0, 1); got hidden={hidden}.")
        self.hidden, self.normalise = hidden, normalise
        self.decoder = Predictor(decoder_width, decoder_depth, decoder_heads)
        self._drawn: list[_Hidden] = []

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """For every global view, the student's tokens of the places that are shown."""
        tokens = token_encoder("masked_autoencoder", encoder)
        patches = getattr(tokens, "patches", None)
        if patches is None:
            raise InputError(
                "masked_autoencoder expected an encoder whose places are patches of numbers: patch_transformer, vit, "
                f"or one of yours with a method `patches`; {type(encoder).__name__} has none."
            )
        check_several("masked_autoencoder", drawn)
        self._drawn, wishes = [], list[Wish]()
        for view in range(drawn.n_global):
            grid = tokens.grid(drawn.parts(view)[0])
            masks = draw_subsets(drawn.rand, grid, n_targets=1, share=(self.hidden, self.hidden))
            with torch.no_grad():
                self._drawn.append(_Hidden(grid, masks, self._targets(patches(drawn.view(view)))))
            wishes.append(Wish(view, head=None, keep=masks.context, tokens=True))
        return wishes

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Reconstruct."""
        found = [self._view(hidden, cast(Tokens, look.tokens)) for hidden, look in zip(self._drawn, looks, strict=True)]
        loss, error_of_mean = torch.stack(found).mean(dim=0).unbind()
        return TermOutput(loss, {"error_of_mean": error_of_mean.detach()})

    def _targets(self, patches: Float[Tensor, "b n k"]) -> Float[Tensor, "b n k"]:
        x = patches.float() if patches.element_size() < 4 else patches
        if not self.normalise:
            return x
        return (x - x.mean(dim=2, keepdim=True)) * (x.var(dim=2, keepdim=True, correction=0) + 1e-6).rsqrt()

    def _view(self, hidden: "_Hidden", shown: Tokens) -> Float[Tensor, "2"]:
        places = hidden.masks.targets.flatten(1)
        wanted = kept(hidden.patches, places).values
        there = _there(hidden, shown, places)
        guesses = self.decoder(shown, hidden.masks.targets, hidden.grid, there[:, None], hidden.patches)
        with torch.autocast(wanted.device.type, enabled=False):
            weights = there / mean_over_ranks(there.sum().float()).clamp_min(1 / world_size())  # ranks may differ
            guess = guesses[:, 0].to(wanted.dtype)
            errors = [functional.mse_loss(some, wanted, reduction="none") for some in (guess, torch.zeros_like(guess))]
            return torch.stack([(weights * error.mean(dim=2)).sum() for error in errors])


class _Hidden(NamedTuple):
    grid: tuple[int, ...]
    masks: Masks
    patches: Float[Tensor, "b n k"]


def _there(hidden: _Hidden, shown: Tokens, places: Tensor) -> Bool[Tensor, "b a"]:
    """Which hidden places are to be reconstructed: patches of something, of samples of which something is shown.

    A place behind the end of a series holds zeros only; so does a flat patch, which has nothing to reconstruct.
    """
    varied = kept(hidden.patches, places).values.any(dim=2)
    return varied if shown.present is None else varied & shown.present.any(dim=1, keepdim=True)


TERM = MaskedAutoencoder
