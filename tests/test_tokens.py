"""Tokens and the parts of an encoder that makes them; every encoder that has them is in test_token_encoders.py."""

import pytest
import torch
from torch import nn

from bam_core.errors import InputError
from bam_core.tokens import SummaryPool, TokenEncoder, Tokens, kept


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, view, *, keep=None):
        return Tokens(*kept(self.linear(view), keep), summary=view.mean(dim=1))


class Encoder(TokenEncoder):
    def __init__(self, pool):
        super().__init__()
        self.trunk, self.pool = Trunk(), pool

    def grid(self, view):
        return (view.shape[1],)


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, tokens):
        return self.scale * tokens.values.sum(dim=1)


def test_values_at_places():
    values = torch.arange(24).reshape(2, 4, 3)
    found = kept(values, torch.tensor([[3, 0], [1, 1]]))
    assert found.values.tolist() == [values[0, [3, 0]].tolist(), values[1, [1, 1]].tolist()]
    assert kept(values, None).place.tolist() == [[0, 1, 2, 3]] * 2
    assert kept(values[..., 0], torch.tensor([[3, 0], [1, 1]])).values.tolist() == [[9, 0], [15, 15]]


@pytest.mark.parametrize("keep", [torch.zeros(2), torch.zeros(3, 1).long(), torch.zeros(2, 1), torch.ones(2, 4).bool()])
def test_places_that_are_none(keep):
    with pytest.raises(InputError, match=r"keep as whole numbers of shape \(b, k\), here \(2, k\)"):
        kept(torch.zeros(2, 4, 3), keep)


def test_an_encoder_is_its_trunk_and_its_pool():
    view = torch.randn(5, 4, 2)
    network = Encoder(Pool())
    torch.testing.assert_close(network(view), network.trunk.linear(view).sum(dim=1))
    assert Encoder(SummaryPool())(view).equal(view.mean(dim=1))
    assert network.grid(view) == (4,)


def test_a_pool_of_summaries_needs_one():
    with pytest.raises(InputError, match="a summary, such as a class token; these have none"):
        SummaryPool()(Tokens(torch.zeros(2, 3, 4), torch.zeros(2, 3).long()))


def test_weights_from_before_there_was_a_trunk():
    network, fresh = Encoder(SummaryPool()), Encoder(SummaryPool())
    before = {name.removeprefix("trunk."): value for name, value in network.state_dict().items()}
    assert set(before) == {"linear.weight", "linear.bias"}
    fresh.load_state_dict(before)
    assert fresh.trunk.linear.weight.equal(network.trunk.linear.weight)
    nn.ModuleDict({"encoder": fresh}).load_state_dict({f"encoder.{name}": value for name, value in before.items()})
    assert set(before) == {"linear.weight", "linear.bias"}
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"trunk.other"'):
        fresh.load_state_dict({**before, "other": torch.zeros(1)})


def test_weights_of_today():
    network, fresh = Encoder(Pool()), Encoder(Pool())
    fresh.load_state_dict(network.state_dict())
    assert fresh.trunk.linear.weight.equal(network.trunk.linear.weight)
    partly = {name: value for name, value in network.state_dict().items() if name != "trunk.linear.bias"}
    with pytest.raises(RuntimeError, match=r'Missing key.*"trunk.linear.bias"'):
        fresh.load_state_dict(partly)
