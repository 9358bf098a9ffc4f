"""Iterative normalisation: features that are uncorrelated and of equal deviation, by matrix products alone."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.collectives import all_gather
from bam_core.objectives.pairs import check_positive

_TINY = 1e-5  # on the diagonal of the covariance


def whitening_matrix(covariance: Float[Tensor, "p p"], *, iterations: int) -> Float[Tensor, "p p"]:
    """About the inverse root of a covariance, by Newton's iterations.

    Example:
        >>> whitening_matrix(torch.diag(torch.tensor([4.0, 1.0])), iterations=12).round(decimals=3).tolist()
        [[0.5, 0.0], [0.0, 1.0]]
    """
    trace = covariance.diagonal().sum()
    scaled, found = covariance / trace, torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    for _ in range(iterations):
        found = 1.5 * found - 0.5 * found @ found @ found @ scaled
    return found / trace.sqrt()


class IterativeNorm(nn.Module):
    """Whitens features by the samples of all ranks; in evaluation mode by what was found in training.

    Few iterations whiten strong directions and leave weak ones as they are, which is gentler than an exact inverse.

    Args:
        width: p.
        iterations: of Newton; 5 are the paper's.
        momentum: of the running mean and matrix.

    Shape:
        (n, p) -> (n, p).

    Raises:
        InputError: settings that are not positive.

    Source: Huang et al., IterNorm, CVPR 2019, arXiv 1904.03441, algorithm 1.
    """

    running_mean: Tensor
    running_matrix: Tensor

    def __init__(self, width: int, *, iterations: int = 5, momentum: float = 0.1) -> None:
        super().__init__()
        check_positive("IterativeNorm", width=width, iterations=iterations, momentum=momentum)
        self.iterations, self.momentum = iterations, momentum
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_matrix", torch.eye(width))

    def forward(self, rows: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
        """Whiten."""
        with torch.autocast(rows.device.type, enabled=False):
            x = rows.float() if rows.element_size() < 4 else rows
            if not self.training:
                kept: Tensor = (x - self.running_mean.to(x.dtype)) @ self.running_matrix.to(x.dtype)
                return kept.to(rows.dtype)
            joined = all_gather(x).flatten(0, 1)
            mean = joined.mean(dim=0)
            centred = joined - mean
            tiny = _TINY * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
            matrix = whitening_matrix(centred.T @ centred / len(joined) + tiny, iterations=self.iterations)
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_matrix.lerp_(matrix.to(self.running_matrix.dtype), self.momentum)
            white: Tensor = (x - mean) @ matrix
            return white.to(rows.dtype)
