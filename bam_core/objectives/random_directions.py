"""Normal numbers and random directions for terms, from the generators of the batch: the same on any number of ranks."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import all_gather, world_size
from bam_core.views import Drawn


def normal_from(uniform: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape"]:
    """Standard normal numbers, one of every two in [0, 1).

    Example:
        >>> numbers = normal_from(torch.rand(10000, 2, generator=torch.Generator().manual_seed(0)))
        >>> bool(numbers.mean().abs() < 0.05), bool((numbers.std() - 1).abs() < 0.05)
        (True, True)

    Source: Box & Muller, 1958.
    """
    radius = (-2 * torch.log1p(-uniform[..., 0])).sqrt()
    return radius * (2 * math.pi * uniform[..., 1]).cos()


def random_directions(drawn: Drawn, width: int, n: int, *, like: Float[Tensor, "..."]) -> Float[Tensor, "width n"]:
    """Unit vectors as columns, evenly spread over the sphere; every rank gets the same.

    Args:
        drawn: the views of the batch; every sample's generator gives its share of the numbers.
        width: of the vectors.
        n: how many.
        like: a tensor of the wanted type.
    """
    each = math.ceil(2 * width * n / (drawn.batch_size * world_size()))
    uniform = all_gather(drawn.rand(each)).flatten()[: 2 * width * n]
    vectors = normal_from(uniform.view(width, n, 2)).to(like.dtype)
    unit: Tensor = vectors / torch.linalg.vector_norm(vectors, dim=0)
    return unit
