"""A queue of embeddings of former batches, in which neighbours are looked for."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer

from bam_core.collectives import all_gather
from bam_core.errors import InputError

BLOCK = 1024  # rows whose cosines with the whole queue are held at a time


class SupportQueue(LazyModuleMixin, nn.Module):
    """The newest rows of all ranks, first in, first out; the same on every rank, and part of the state.

    Until the queue holds as many rows as neighbours are asked for, a row is its own neighbour.

    Args:
        size: rows that are kept, > 0.
        n_neighbours: to be found, in [1, size].

    Shape:
        Unit rows (b, p) -> (b, n_neighbours, p), the nearest first; no gradient.

    Raises:
        InputError: sizes out of range.

    Example:
        >>> queue, far = SupportQueue(4), torch.tensor([[0.0, -1.0]])
        >>> queue(far).tolist()
        [[[0.0, -1.0]]]
        >>> queue.push(torch.eye(2))
        >>> queue(far).tolist()
        [[[1.0, 0.0]]]
    """

    rows: Tensor
    count: Tensor

    def __init__(self, size: int, n_neighbours: int = 1) -> None:
        super().__init__()
        if not 1 <= n_neighbours <= size:
            raise InputError(
                f"a queue expected a number of neighbours from 1 to its queue_size of {size}; got {n_neighbours}."
            )
        self.size, self.n_neighbours = size, n_neighbours
        self.register_buffer("rows", UninitializedBuffer())
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def initialize_parameters(self, rows: Tensor) -> None:
        """Called by torch before the first pass."""
        if self.has_uninitialized_params():
            with torch.no_grad():
                self.rows.materialize((self.size, rows.shape[1]))  # type: ignore[attr-defined]
                self.rows.zero_()

    @torch.no_grad()
    def forward(self, rows: Float[Tensor, "b p"]) -> Float[Tensor, "b k p"]:
        """Find neighbours; (BLOCK, size) cosines at a time."""
        queue = self.rows.to(rows.dtype)
        empty = torch.arange(self.size, device=rows.device) >= self.count
        found = []
        for part in rows.split(BLOCK):
            places = (part @ queue.T).masked_fill(empty, -torch.inf).topk(self.n_neighbours, dim=1).indices
            found.append(queue[places])
        own = rows[:, None].expand(-1, self.n_neighbours, -1)
        return torch.where(self.count >= self.n_neighbours, torch.cat(found), own)

    @torch.no_grad()
    def push(self, rows: Float[Tensor, "b p"]) -> None:
        """Take the rows of all ranks, in place of the oldest."""
        joined = all_gather(rows.detach()).flatten(0, 1)
        n = len(joined)
        place = (self.count + torch.arange(n, device=rows.device))[-self.size :] % self.size
        self.rows.index_copy_(0, place, joined[-self.size :].to(self.rows.dtype))
        self.count += n
