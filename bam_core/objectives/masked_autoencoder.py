"""The objective `masked_autoencoder` of recipes: hidden patches are reconstructed from those that are shown."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.terms.masked_autoencoder import MaskedAutoencoder
from bam_core.protocols import ViewFn


def make_masked_autoencoder(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    hidden: float = 0.75,
    normalise: bool = True,
    decoder_width: int = 128,
    decoder_depth: int = 2,
    decoder_heads: int = 4,
    micro_batch: int | None = None,
) -> Objective:
    """Masked autoencoder in every global view, see `bam_core.objectives.terms.masked_autoencoder`.

    It needs no pairs of views: `views.n_views: 1` is enough.

    Args:
        encoder: a `bam_core.tokens.TokenEncoder` with a method `patches`.
        view_fn: batch -> views; local views are not looked at.
        total_steps: not used.
        hidden: share of the places that are hidden.
        normalise: bring every patch to mean 0 and deviation 1 before it is reconstructed.
        decoder_width: of the decoder's tokens; a multiple of 4 and of its heads.
        decoder_depth: layers of the decoder.
        decoder_heads: heads of its attention.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: settings that do not fit.

    Source: He et al., CVPR 2022, arXiv 2111.06377, section 3.
    """
    term = MaskedAutoencoder(
        hidden=hidden,
        normalise=normalise,
        decoder_width=decoder_width,
        decoder_depth=decoder_depth,
        decoder_heads=decoder_heads,
    )
    return Objective(encoder, view_fn, {"masked_autoencoder": term}, projector=nn.Identity(), micro_batch=micro_batch)
