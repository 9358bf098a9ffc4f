"""Parameters spread over two ranks: every rank holds half, and training gives the weights of one process."""

import pytest
import torch
from launch import run
from torch import nn

from bam_core import BAMObjective
from bam_core.sharding import shard, to_full, unsharded

B, D = 24, 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(D, D), nn.GELU())

    def forward(self, x):
        return x + self.layers(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, D)
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def train(rank, world_size, micro_batch):
    torch.manual_seed(0)
    batch = torch.randn(B, 4)
    model = BAMObjective(
        Encoder(), lambda x: [x, torch.sin(x)], projector=nn.Linear(D, D), momentum=0.9, micro_batch=micro_batch
    ).double()
    n_weights = sum(p.numel() for p in model.parameters())
    if world_size > 1:
        shard(model, "cpu")
    optimizer = torch.optim.AdamW(model.student.parameters(), lr=0.05)
    for _ in range(3):
        model(batch[rank * B // world_size :][: B // world_size].double()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.update_teacher()
    with torch.no_grad():  # as `bam replay`'s look at a step does
        model(batch[rank * B // world_size :][: B // world_size].double())
    model.update_teacher()
    with unsharded(model):
        embeddings = torch.cat([model.embed(batch.double(), teacher=teacher) for teacher in (False, True)])
    return {
        "embeddings": embeddings,
        "weights": torch.cat([to_full(p.detach()).flatten() for p in model.parameters()]),
        "share": sum(p.to_local().numel() if world_size > 1 else p.numel() for p in model.parameters()) / n_weights,
        "units": [name for name, m in model.named_modules() if type(m).__name__.startswith("FSDP")],
    }


def train_both(rank, world_size):
    return [train(rank, world_size, micro_batch) for micro_batch in (None, 5)]


@pytest.mark.slow
def test_two_ranks_train_as_one_and_hold_half():
    blocks = [f"encoder.blocks.{k}" for k in range(3)]
    units = ["", "student", *(f"student.{b}" for b in blocks), "teacher", *(f"teacher.module.{b}" for b in blocks)]
    expected = train(0, 1, None)
    for results in run(train_both, 2):
        for result in results:
            assert result["units"] == units
            assert 0.4 < result["share"] < 0.6
            for what in ("weights", "embeddings"):
                assert torch.allclose(result[what], expected[what], rtol=1e-10, atol=1e-12)
