"""Which samples a step sees: drawn from (seed, epoch) alone, so that a run can stop anywhere, and continue on another
number of processes."""

import math
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from bam_core.errors import DataError

STOPPING = tuple(s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGUSR1"))  # the last not on Windows
"""Signals at which a run stops after the step, with a checkpoint."""


class GlobalBatches(torch.utils.data.Sampler[list[int]]):
    """Batches of sample indices, this rank's share of every global batch.

    The order is a permutation from (seed, epoch); global batch k is its k-th stretch of `batch_size`; rank r takes
    the r-th equal part. A last smaller batch is left out; a data set smaller than one batch is one batch.

    Args:
        n_samples: size of the data set.
        batch_size: of the global batch.
        seed: of the order.
        rank: of this process.
        world_size: number of processes; must divide the batch size.
        groups: (n_samples,) what each sample belongs to, such as a person.
        groups_per_batch: make batches of about so many groups, as stretches of their samples, instead of mixing all.

    Raises:
        DataError: one sample only, or a batch that cannot be divided among the processes.

    Example:
        >>> batches = GlobalBatches(10, batch_size=4, seed=0)
        >>> [len(b) for b in batches]
        [4, 4]
    """

    def __init__(
        self,
        n_samples: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        groups: np.ndarray | None = None,
        groups_per_batch: int | None = None,
    ) -> None:
        if n_samples < 2:
            raise DataError(f"training expected at least two rows, to compare them; the data have {n_samples}.")
        batch_size = min(batch_size, n_samples - n_samples % world_size)
        if batch_size < 2 or batch_size % world_size:
            raise DataError(
                f"a global batch expected at least two samples and a multiple of {world_size} processes; got "
                f"{batch_size} (of {n_samples} samples). Change train.batch_size."
            )
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.groups_per_batch = groups_per_batch
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of the next pass."""
        self.epoch = epoch

    def start_at(self, epoch: int, batch: int) -> None:
        """Begin the next pass in the middle, to continue an interrupted one."""
        self.epoch, self.start = epoch, batch

    def draw_seed(self) -> tuple[int, int]:
        """What is drawn where data are read follows from this and the row; workers hold the state of their pass."""
        return self.seed, self.epoch

    def view_shards(self, wanted: int) -> range:
        """Places of this rank's shards among all the shards of a global batch, whose views are drawn apart.

        There are `wanted` of them, or the greatest common divisor of that and the batch. If they cannot be shared out
        equally among the ranks, every rank has one, and its views are those of this number of ranks only.

        Example:
            >>> [GlobalBatches(64, batch_size=16, seed=0, rank=1, world_size=w).view_shards(4) for w in (2, 4, 8)]
            [range(2, 4), range(1, 2), range(1, 2)]
        """
        total = math.gcd(wanted, self.batch_size)
        each = total // self.world_size if total % self.world_size == 0 else 1
        return range(self.rank * each, (self.rank + 1) * each)

    def __len__(self) -> int:
        return self.n_samples // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order()
        share = self.batch_size // self.world_size
        start, self.start = self.start, 0
        for k in range(start, len(self)):
            first = k * self.batch_size + self.rank * share
            yield order[first : first + share].tolist()

    def _order(self) -> np.ndarray:
        """All samples, in the order of this epoch."""
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.n_samples)
        if self.groups is None or self.groups_per_batch is None:
            return order
        turn = random.permutation(self.groups.max() + 1)
        order = order[np.argsort(turn[self.groups[order]], kind="stable")]
        size = max(1, self.batch_size // self.groups_per_batch)
        whole = len(order) - len(order) % size
        stretches = order[:whole].reshape(-1, size)
        return np.concatenate([stretches[random.permutation(len(stretches))].ravel(), order[whole:]])


def batch_loader(
    dataset: torch.utils.data.Dataset[Any], batches: Sequence[list[int]] | GlobalBatches, num_workers: int
) -> DataLoader[Any]:
    """A DataLoader that fetches whole batches."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=_unchanged,
        num_workers=num_workers,
        worker_init_fn=_leave_signals_to_the_run,
        pin_memory=torch.cuda.is_available(),
    )


def _leave_signals_to_the_run(worker: int) -> None:
    """Such signals often reach a whole group of processes; who trains decides when reading ends."""
    for signum in STOPPING:
        signal.signal(signum, signal.SIG_IGN)


def _unchanged(batch: Any) -> Any:
    return batch


def mixed_seed(*numbers: int) -> int:
    """A seed that depends on all the numbers, and is unrelated to that of other numbers.

    Example:
        >>> mixed_seed(0, 1) == mixed_seed(0, 1), mixed_seed(0, 1) == mixed_seed(1, 0)
        (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
