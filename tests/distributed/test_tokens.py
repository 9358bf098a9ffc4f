"""Prediction of hidden tokens on two ranks, whose series end early to different degrees, is that of one process."""

import pytest
import torch
from launch import run
from ragged import pad
from torch.nn.parallel import DistributedDataParallel

from bam_core.objectives.jepa import make_jepa
from bam_core.sharding import shard, to_full, unsharded
from modalities.timeseries.encoders import PatchTransformer

LENGTHS = [40, 40, 38, 40, 9, 17, 5, 12]
B = len(LENGTHS)
OPTIONS = {"predictor_width": 16, "predictor_depth": 1, "predictor_heads": 2, "n_targets": 3, "momentum": 0.9}


def batch(step, rows=slice(None)):
    signals = [torch.randn(2, t, generator=torch.Generator().manual_seed(B * step + t)) for t in LENGTHS]
    return {name: part[rows] for name, part in pad(signals, to=40, filler=0.0).items()}


def twice(series):
    return [series, {**series, "signal": series["signal"].sin()}]


def train(rank, world_size, kind):
    """Losses, scalars and weights of some steps; views are as they are, masks follow from the generators."""
    torch.manual_seed(0)
    encoder = PatchTransformer(in_channels=2, patch=4, width=8, depth=2, heads=2, dropout=0.0)
    objective = make_jepa(encoder, twice, total_steps=10, **OPTIONS)
    objective.initialize(batch(0))
    model = objective
    if world_size > 1 and kind == "ddp":
        model = DistributedDataParallel(objective)
    elif world_size > 1:
        shard(objective, "cpu")
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
    values = []
    for step in range(3):
        rows = slice(rank * B // world_size, (rank + 1) * B // world_size)
        generators = [torch.Generator().manual_seed(2 * step + part) for part in range(2)]
        out = model(batch(step, rows), generator=generators if world_size == 1 else [generators[rank]])
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.update_teacher()
        values.append(torch.stack([out.loss.detach(), out.error_of_mean]))
    with unsharded(objective):
        embeddings = objective.embed(batch(0), teacher=True)
    return {
        "values": torch.stack(values),
        "embeddings": embeddings,
        "weights": torch.cat([to_full(p.detach()).flatten() for p in objective.parameters()]),
    }


def train_both(rank, world_size):
    return {kind: train(rank, world_size, kind) for kind in ("ddp", "fsdp")}


@pytest.mark.slow
def test_two_ranks_equal_one_process():
    expected = train(0, 1, "alone")
    for results in run(train_both, 2):
        for kind, found in results.items():
            for name, value in found.items():
                torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=f"{kind}, {name}")
