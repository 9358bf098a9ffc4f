"""The last layer of objectives that assign samples to learned directions: DINO and SwAV."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.loss.attention import unit_rows
from bam_core.objectives.peers import peer_projector


class Prototypes(nn.Module):
    """Cosines of rows with learned directions.

    Args:
        in_features: width of the rows.
        n_prototypes: number of directions.

    Shape:
        (n, in_features) -> (n, n_prototypes).

    Example:
        >>> bool((Prototypes(4, 10)(torch.randn(3, 4)).abs() <= 1).all())
        True

    Source: DINO's weight-normalised layer with its norms held at one (arXiv 2104.14294, appendix C), and SwAV's
    normalised prototypes (arXiv 2006.09882, section 3.1).
    """

    def __init__(self, in_features: int, n_prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(n_prototypes, in_features), std=0.02))

    def forward(self, rows: Float[Tensor, "n in_features"]) -> Float[Tensor, "n n_prototypes"]:
        """Compare every row with every direction."""
        return unit_rows(rows) @ unit_rows(self.weight, name="prototypes").T


def prototype_head(hidden: int, out: int, n_layers: int, n_prototypes: int, *, batch_norm: bool = True) -> nn.Module:
    """A projector with prototypes on top."""
    return nn.Sequential(peer_projector(hidden, out, n_layers, batch_norm=batch_norm), Prototypes(out, n_prototypes))
