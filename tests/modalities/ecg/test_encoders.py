import pytest
import torch
from torch import nn

from modalities.ecg.encoders import XResNet1d, xresnet1d50
from modalities.timeseries.encoders import ResNet1d


@pytest.mark.parametrize("length", [20, 140, 1000])
def test_one_vector_a_record_of_any_length(length):
    x = torch.randn(3, 12, length)
    assert xresnet1d50(in_channels=12)(x).shape == (3, 512)
    assert ResNet1d(in_channels=12, width=16)(x).shape == (3, 64)


def test_xresnet1d50_has_fifty_layers():
    """The stem counts one layer less than its three, as in ResNet-50 with its head: 3 + 16 blocks of three, + head."""
    network = xresnet1d50(in_channels=12)
    body = [m for name, m in network.named_modules() if isinstance(m, nn.Conv1d) and "shortcut" not in name]
    assert len(body) == 3 + 3 * (3 + 4 + 6 + 3)
    assert [b.body[1][0].in_channels for b in network.blocks] == [64] * 16
    assert network.blocks[-1].body[2].out_channels == 256


def test_blocks_start_as_their_shortcut():
    block = XResNet1d(in_channels=1, layers=(2,)).eval().blocks[1]
    x = torch.relu(torch.randn(2, 256, 30))
    assert torch.allclose(block(x), x)


def test_every_parameter_learns():
    for network in (xresnet1d50(in_channels=2), ResNet1d(in_channels=2, width=8)):
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm1d):
                nn.init.ones_(norm.weight)
        network(torch.randn(4, 2, 200)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
