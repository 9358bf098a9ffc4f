"""The loss of several ranks is that of one process on the joined batch: value, diagnostics and gradients.

Processes are slow to start, so one group of them works through many cases.
"""

from itertools import product

import pytest
import torch
from launch import run
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bam_core import BAMObjective, InputError, bam_loss
from bam_core.loss import blocks

B, D = 24, 5  # samples in the global batch, width
TOLERANCE = {torch.float64: 1e-10, torch.float32: 3e-6}  # float32: sums in another order, in the network too
OPTIONS = [
    {},
    {"n_views": 4, "n_global": 2},
    {"n_views": 4, "n_global": 3, "n_target": 2, "top_k": 4},
    {"n_views": 3, "n_global": 2, "n_target": 1, "mask_positives": False},
    {"n_views": 1},
    {"iterations": 0},
    {"top_k": 3},
    {"epsilon": 0.005, "temperature": 0.01},
    {"positive_weight": 0.5},
    {"positive_weight": 0.3, "n_views": 4, "n_global": 3, "n_target": 2, "top_k": 4},
    {"positive_weight": 1.0, "n_views": 3, "n_global": 2, "n_target": 1},
]
CASES = list(product(OPTIONS, [False, True], ["dense", "stored", "streaming"], [torch.float64]))
CASES += product(OPTIONS[:2], [False, True], ["auto"], [torch.float64])  # one of these
MILD = [{**options, "epsilon": 0.05} for options in OPTIONS[:3]]  # sharper targets magnify rounding
CASES += product(MILD, [False, True], ["dense", "stored", "streaming"], [torch.float32])


def batch(dtype=torch.float64):
    return torch.randn(B, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def views(x, n_views):
    return [torch.sin((v + 1) * x) for v in range(n_views)]


def network(dtype):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, 8), nn.GELU(), nn.Linear(8, 4)).to(dtype)


def share_of(rank, world_size):
    return slice(rank * B // world_size, (rank + 1) * B // world_size)


def figures(rank, world_size, options, with_teacher, method, dtype):
    """Loss, diagnostics and the parameters' gradients, averaged by DistributedDataParallel."""
    model = network(dtype)
    wrapped = model if world_size == 1 else DistributedDataParallel(model)
    z = wrapped(torch.cat(views(batch(dtype)[share_of(rank, world_size)], options.get("n_views", 2))))
    out = bam_loss(z, torch.cos(2 * z.detach()) if with_teacher else None, method=method, **options)
    out.loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    return {"values": torch.stack([v.detach() for v in out]), "gradient": gradient}


def figures_of_all(rank, world_size, cases):
    blocks._MOST_ROWS, blocks._TILE_ELEMENTS["cpu"] = 6, 20  # many blocks, a last partial one, tiles across ranks
    return [figures(rank, world_size, *case) for case in cases]


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_equal_one_process(world_size):
    apart = run(figures_of_all, world_size, CASES)
    for case, *parts in zip(CASES, *apart, strict=True):
        options, with_teacher, _, dtype = case
        expected = figures(0, 1, options, with_teacher, "dense", dtype)
        tolerance = TOLERANCE[dtype]
        for part in parts:
            assert torch.allclose(part["values"][0], expected["values"][0], rtol=min(tolerance, 1e-6), atol=0), case
            assert torch.allclose(part["values"], expected["values"], rtol=tolerance, atol=tolerance), case
            error = (part["gradient"] - expected["gradient"]).norm() / expected["gradient"].norm()
            assert error <= tolerance, case


def objective():
    encoder = network(torch.float64)
    made = BAMObjective(encoder, lambda x: views(x, 2), projector=nn.Linear(4, 4).double(), momentum=0.9)
    made.initialize(batch())
    return made


def train_with_ddp(rank, world_size):
    made = objective()
    model = DistributedDataParallel(made) if world_size > 1 else made
    optimizer = torch.optim.SGD(made.student.parameters(), lr=0.5)
    for _ in range(3):
        model(batch()[share_of(rank, world_size)]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        made.update_teacher()
    return torch.cat([p.detach().flatten() for p in made.parameters()])


def message_of(n_samples, method):
    try:
        bam_loss(torch.randn(2 * n_samples + (n_samples == 5), 3), method=method)
    except InputError as error:
        return str(error)
    return "no error"


def other_things(rank, world_size):
    torch.manual_seed(rank)
    return {
        "weights": train_with_ddp(rank, world_size),
        "one sample a rank": message_of(1, "dense"),
        "uneven": [message_of(6 - rank * less, m) for less in (1, 2, 6) for m in ("auto", "dense", "streaming")],
        "even again": message_of(4, "streaming"),
    }


@pytest.fixture(scope="module")
def two_ranks():
    return run(other_things, 2)


@pytest.mark.slow
def test_training_with_ddp_gives_the_weights_of_one_process(two_ranks):
    one = train_with_ddp(0, 1)
    for results in two_ranks:
        assert torch.allclose(results["weights"], one, atol=1e-10)


@pytest.mark.slow
def test_one_sample_a_rank_is_enough(two_ranks):
    assert [results["one sample a rank"] for results in two_ranks] == ["no error"] * 2
    with pytest.raises(InputError, match="at least two samples in the global batch"):
        bam_loss(torch.randn(2, 3))


@pytest.mark.slow
def test_uneven_batches_are_an_error_on_every_rank_and_nobody_waits(two_ranks):
    """Fewer samples on the second rank, a number of rows that views do not divide, and no sample at all."""
    for results in two_ranks:
        got = [text.partition("got ")[2].partition(".")[0] for text in results["uneven"]]
        assert got == [*["[12, 11]"] * 3, *["[12, 8]"] * 3, *["[12, 0]"] * 3]
        assert all("expected the same number of rows on every rank" in text for text in results["uneven"])
        assert results["even again"] == "no error"
