"""The loss of several ranks is that of one process on the joined batch: value, diagnostics and gradients."""

import pytest
import torch
from launch import run
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bam_core import BAMObjective, InputError, bam_loss

B, D = 6, 5  # samples in the global batch, width


def batch():
    return torch.randn(B, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def views(x, n_views):
    return [torch.sin((v + 1) * x) for v in range(n_views)]


def loss_of_rank(rank, world_size, options, with_teacher):
    share = B // world_size
    x = batch()[rank * share : (rank + 1) * share]
    z = torch.cat(views(x, options["n_views"])).requires_grad_()
    teacher = torch.cos(2 * z.detach()) if with_teacher else None
    out = bam_loss(z, teacher, **options)
    out.loss.backward()
    return {"values": torch.stack([v.detach() for v in out]), "gradient": z.grad / world_size}


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize(
    ("options", "with_teacher"),
    [
        ({"n_views": 2}, False),
        ({"n_views": 4, "n_global": 2, "top_k": 3}, True),
        ({"n_views": 3, "n_global": 2, "n_target": 1, "mask_positives": False}, False),
    ],
)
def test_ranks_equal_one_process(world_size, options, with_teacher):
    together = loss_of_rank(0, 1, options, with_teacher)
    apart = run(loss_of_rank, world_size, options, with_teacher)
    n_views = options["n_views"]
    for part in apart:
        assert torch.allclose(part["values"], together["values"], atol=1e-10)
    gradient = torch.cat([part["gradient"].view(n_views, -1, D) for part in apart], dim=1)
    assert torch.allclose(gradient, together["gradient"].view(n_views, B, D), atol=1e-10)


def objective():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(D, 8), nn.GELU(), nn.Linear(8, 4))
    made = BAMObjective(encoder.double(), lambda x: views(x, 2), projector=nn.Linear(4, 4).double(), momentum=0.9)
    made.initialize(batch())
    return made


def train_with_ddp(rank, world_size):
    made = objective()
    model = DistributedDataParallel(made) if world_size > 1 else made
    optimizer = torch.optim.SGD(made.student.parameters(), lr=0.5)
    share = B // world_size
    for _ in range(3):
        model(batch()[rank * share : (rank + 1) * share]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        made.update_teacher()
    return torch.cat([p.detach().flatten() for p in made.parameters()])


@pytest.mark.slow
def test_training_with_ddp_gives_the_weights_of_one_process():
    one = train_with_ddp(0, 1)
    for weights in run(train_with_ddp, 2):
        assert torch.allclose(weights, one, atol=1e-10)


def one_sample_each(rank, world_size):
    bam_loss(torch.randn(2, 3))  # one sample a rank, two in all: fine
    return torch.tensor(1)


@pytest.mark.slow
def test_one_sample_a_rank_is_enough():
    assert run(one_sample_each, 2) == [1, 1]
    with pytest.raises(InputError, match="at least two samples in the global batch"):
        bam_loss(torch.randn(2, 3))
