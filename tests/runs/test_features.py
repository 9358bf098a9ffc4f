import datasets
import numpy as np
import pytest
import torch
from torch import nn

from bam_core.data import SplitDataset, row_budget
from bam_core.data.row_budget import rows_at_a_time
from bam_core.runs import features
from bam_core.runs.features import embed


class Spy(nn.Linear):
    """Remembers where it was called."""

    def forward(self, x):
        self.seen = (x.device.type, self.weight.device.type, self.training)
        return super().forward(x)


def rows(n):
    values = datasets.Dataset.from_dict({"x": np.arange(3.0 * n).reshape(n, 3).tolist()})
    return SplitDataset(values, lambda columns, facts: torch.tensor(columns["x"], dtype=torch.float32), {})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"shape": [12, 5000], "in_channels": 12}, 512),
        ({"image_size": [224, 224], "in_channels": 3}, 445),
        ({"longest": 9_600_000, "in_channels": 1}, 6),  # ten minutes at 16 kHz
        ({"longest": 10**9}, 1),
        ({}, 512),
    ],
)
def test_long_rows_come_few_at_a_time(facts, expected):
    assert rows_at_a_time(facts) == expected


def test_all_rows_in_order(monkeypatch):
    monkeypatch.setattr(row_budget, "MOST_ROWS", 4)
    module = Spy(3, 2)
    dataset = rows(11)
    expected = module(torch.arange(33.0).reshape(11, 3)).detach()
    torch.testing.assert_close(embed(module, dataset), expected)
    assert module.seen == ("cpu", "cpu", False)


def test_an_accelerator_is_used_and_left(monkeypatch):
    monkeypatch.setattr(row_budget, "MOST_ROWS", 4)
    device, module, moved = torch.device("cuda"), Spy(3, 2), []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: device)
    monkeypatch.setattr(Spy, "to", lambda self, to: moved.append(to))
    monkeypatch.setattr(features, "move_data_to_device", lambda batch, to: moved.append(to) or batch)
    assert embed(module, rows(5)).device.type == "cpu"
    assert moved == [device, device, device, torch.device("cpu")]
    moved.clear()
    embed(nn.Identity(), rows(3))
    assert moved == [torch.device("cpu")]  # nothing to gain without parameters
