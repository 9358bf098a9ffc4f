"""Ranks that are done leave together, and an error of one reaches the test."""

import pytest
import torch
import torch.distributed as dist
from launch import run

from bam_core.collectives import leave_group, world_size


def leave(rank, ranks):
    before = world_size()
    leave_group()
    return [before, world_size(), int(dist.is_initialized())]


def fail(rank, ranks):
    if rank == 1:
        raise ValueError("of the second rank")
    dist.barrier()


@pytest.mark.slow
def test_ranks_leave_their_group():
    assert run(leave, 2) == [[2, 1, 0]] * 2
    leave_group()  # without a group it does nothing


@pytest.mark.slow
def test_an_error_of_a_rank_reaches_the_test():
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match=r"of the second rank"):
        run(fail, 2)
