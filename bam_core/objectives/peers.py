"""The projector of BAM's peers: of BAM's widths, but with batch normalisation, as the papers of the peers have it.

The peers see the encoder, views and batches that BAM sees, and are trained by the same loop; only the terms differ.
Their losses are lightly's (extra `peers`), imported when an objective is made.
"""

from bam_core.projector import Projector


def peer_projector(hidden: int, out: int, n_layers: int, *, batch_norm: bool = True) -> Projector:
    """A projector, by default with batch normalisation of its hidden layers."""
    return Projector(hidden_features=hidden, out_features=out, n_layers=n_layers, batch_norm=batch_norm)
