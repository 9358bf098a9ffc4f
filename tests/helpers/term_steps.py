"""A step of an objective of one term, on a part of one batch, for tests that compare ranks with one process."""

import torch
from torch import nn

from bam_core.collectives import mean_over_ranks
from bam_core.objective import Objective


def step_of_each(terms, rank, world_size):
    """Loss and gradient by name of the term, averaged over ranks; halves of the batch have generators of their own.

    Args:
        terms: name -> factory of a term.
        rank: of this process.
        world_size: one or two.
    """
    found = {}
    for name, factory in terms.items():
        encoder = nn.Linear(5, 6).double()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.copy_(_rows(parameter.numel(), 1).reshape(parameter.shape))
        objective = Objective(encoder, lambda x: [x, x.sin()], {name: factory()}, projector=nn.Identity())
        generators = [torch.Generator().manual_seed(k) for k in range(2)][rank : rank + 2 // world_size]
        share = _rows(12, 5)[rank * 12 // world_size :][: 12 // world_size]
        loss = objective(share, generator=generators).loss
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in encoder.parameters()])
        found[name] = torch.cat([mean_over_ranks(loss.detach()[None]), mean_over_ranks(gradient)])
    return found


def _rows(n, p):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
