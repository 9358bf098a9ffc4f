"""Run a function in several gloo processes and collect what it returns."""

import os
import tempfile
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PATIENCE = timedelta(seconds=60)  # a rank that waits for another in vain fails after that


def _worker(rank, world_size, folder, function, args):
    os.environ.update(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size, timeout=PATIENCE)
    try:
        torch.save(function(rank, world_size, *args), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def run(function, world_size, *args):
    """Results of function(rank, world_size, *args) of every rank; it must be importable."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_worker, (world_size, folder, function, args), nprocs=world_size)
        return [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in range(world_size)]
