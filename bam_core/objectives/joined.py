"""The rows of a view that terms compare, of all ranks together."""

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import all_gather
from bam_core.errors import InputError


def rows_of_ranks(rows: Float[Tensor, "b p"], *, term: str) -> Float[Tensor, "n p"]:
    """The rows of a view on all ranks, by rank; differentiable.

    Raises:
        InputError: fewer than two, which leaves nothing to compare.
    """
    joined = all_gather(rows).flatten(0, 1)
    if len(joined) < 2:
        raise InputError(f"the term {term!r} expected at least two samples in a batch; got one. Take larger batches.")
    return joined


def own_places(rows: Float[Tensor, "b p"], rank: int) -> Tensor:
    """(b,) where this rank's rows are among those of all ranks."""
    return torch.arange(len(rows), device=rows.device) + rank * len(rows)
