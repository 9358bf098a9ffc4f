import datasets
import numpy as np
import torch
from torch import nn

from bam_core.data import SplitDataset
from bam_core.training import embedding
from bam_core.training.embedding import embed


class Spy(nn.Linear):
    """Remembers where it was called."""

    def forward(self, x):
        self.seen = (x.device.type, self.weight.device.type, self.training)
        return super().forward(x)


def rows(n):
    values = datasets.Dataset.from_dict({"x": np.arange(3.0 * n).reshape(n, 3).tolist()})
    return SplitDataset(values, lambda columns, facts: torch.tensor(columns["x"], dtype=torch.float32), {})


def test_all_rows_in_order():
    module = Spy(3, 2)
    dataset = rows(11)
    expected = module(torch.arange(33.0).reshape(11, 3)).detach()
    torch.testing.assert_close(embed(module, dataset, batch_size=4), expected)
    assert module.seen == ("cpu", "cpu", False)


def test_an_accelerator_is_used_and_left(monkeypatch):
    device, module, moved = torch.device("cuda"), Spy(3, 2), []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: device)
    monkeypatch.setattr(Spy, "to", lambda self, to: moved.append(to))
    monkeypatch.setattr(embedding, "move_data_to_device", lambda batch, to: moved.append(to) or batch)
    assert embed(module, rows(5), batch_size=4).device.type == "cpu"
    assert moved == [device, device, device, torch.device("cpu")]
    moved.clear()
    embed(nn.Identity(), rows(5))
    assert moved == [torch.device("cpu")]  # nothing to gain without parameters
