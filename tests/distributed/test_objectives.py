"""Every registered objective is one objective on any number of processes: losses, weights, statistics."""

import pytest
import torch
from launch import run
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bam_core.batch_norm import with_global_batch_norm
from bam_core.config.registry import keyword_parameters, load_objective, objective_names

DRAW = {
    "jepa",
    "masked_autoencoder",
    "masked_bam",
    "msbreg",
    "lejepa",
    "visreg",
}  # from the generators of the parts: tests/objectives has their tests
NAMES = sorted(set(objective_names()) - DRAW)
B, STEPS, TOLERANCE = 16, 3, 1e-10
SMALL = {"n_prototypes": 12, "projector_hidden": 16, "projector_out": 8, "queue_size": 24}


def views(x):
    return [x, torch.sin(x), x + 0.3 * x.roll(1, dims=1)]


def batch(seed):
    return torch.randn(B, 6, generator=torch.Generator().manual_seed(seed))


def made(name):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    encoder = with_global_batch_norm(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 5)))
    factory = load_objective(name)
    takes = {p.name for p in keyword_parameters(factory)}
    objective = factory(encoder, views, total_steps=10, **{k: v for k, v in SMALL.items() if k in takes})
    objective.initialize(batch(seed=100))
    return objective


def trained(rank, world_size, name):
    """Mean loss of the ranks at every step, and all tensors in the end."""
    objective = made(name)
    model = DistributedDataParallel(objective) if world_size > 1 else objective
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for step in range(STEPS):
        loss = model(batch(step)[rank * B // world_size : (rank + 1) * B // world_size]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
        losses.append(loss.detach())
    tensors = {k: v for k, v in objective.state_dict().items() if isinstance(v, torch.Tensor)}
    return {"losses": torch.stack(losses), "tensors": tensors}


def all_trained(rank, world_size):
    return {name: trained(rank, world_size, name) for name in NAMES}


@pytest.fixture(autouse=True)
def _default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_equal_one_process(world_size):
    apart = run(all_trained, world_size)
    for name in NAMES:
        one = trained(0, 1, name)
        mean_loss = torch.stack([found[name]["losses"] for found in apart]).mean(dim=0)
        assert torch.allclose(mean_loss, one["losses"], rtol=TOLERANCE, atol=0), name
        for found in apart:
            tensors = found[name]["tensors"]
            assert tensors.keys() == one["tensors"].keys()
            for key, value in one["tensors"].items():
                assert torch.allclose(tensors[key], value, rtol=TOLERANCE, atol=TOLERANCE), (name, key)


def statistics(rank, world_size, momentum, affine):
    """Output, gradient and running statistics of images whose number differs from rank to rank."""
    torch.manual_seed(0)
    norm = with_global_batch_norm(nn.BatchNorm2d(3, momentum=momentum, affine=affine)).double()
    x = (5 + torch.randn(6, 3, 4, 2, dtype=torch.float64)).requires_grad_()
    rows = slice(None) if world_size == 1 else slice(0, 4) if rank == 0 else slice(4, 6)
    out = norm(x[rows])
    (out * torch.arange(out[0].numel(), dtype=out.dtype).view(out[0].shape)).square().sum().backward()
    norm.eval()
    return {
        "out": out.detach(),
        "gradient": x.grad[rows],
        "mean": norm.running_mean,
        "variance": norm.running_var,
        "count": norm.num_batches_tracked,
        "evaluated": norm(x[rows]).detach(),  # nothing is exchanged
    }


def all_statistics(rank, world_size):
    return {f"{momentum} {affine}": statistics(rank, world_size, momentum, affine) for momentum, affine in SETTINGS}


SETTINGS = [(0.1, True), (None, False)]


@pytest.mark.slow
def test_batch_normalisation_is_that_of_the_joined_batch():
    first, second = run(all_statistics, 2)
    for case, one in all_statistics(0, 1).items():
        for key in ("out", "gradient", "evaluated"):
            assert torch.allclose(torch.cat([first[case][key], second[case][key]]), one[key], rtol=1e-10, atol=1e-12)
        for key in ("mean", "variance", "count"):
            assert torch.allclose(first[case][key], one[key])
            assert torch.equal(first[case][key], second[case][key])
