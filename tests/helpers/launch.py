"""Run a function in several gloo processes and collect what it returns."""

import gc
import os
import sys
import tempfile
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PATIENCE = timedelta(seconds=60)  # a rank that waits for another in vain fails after that
SHARED = ["torch", "torch.nn.parallel", "torch.distributed.fsdp", "lightning.pytorch", "einops", "jaxtyping", "pytest"]


def _worker(rank, world_size, folder, environment, function, args):
    """Save what the function returns, and end; an exception goes on to the test.

    Threads of gloo that outlive the interpreter abort the process now and then. So a rank that is done frees what
    holds them, waits until the others are done, and leaves without taking the interpreter down.
    """
    os.environ.update(
        environment, OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo",
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_WORLD_SIZE=str(world_size),
        GROUP_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT="29500", TORCHELASTIC_RUN_ID="test",
    )  # fmt: skip
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size, timeout=PATIENCE)
    torch.save(function(rank, world_size, *args), f"{folder}/{rank}.pt")
    gc.collect()
    if dist.is_initialized():
        dist.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run(function, world_size, *args):
    """Results of function(rank, world_size, *args) of every rank; it must be importable.

    The ranks are forked from a process that has imported the large packages once and has started no thread. They find
    this process's environment, and what torchrun would put there.
    """
    mp.set_forkserver_preload(SHARED)
    with tempfile.TemporaryDirectory() as folder:
        given = (world_size, folder, dict(os.environ), function, args)
        mp.start_processes(_worker, given, nprocs=world_size, start_method="forkserver")
        return [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in range(world_size)]
