"""What enters an encoder is counted once, whether the encoder is called or its trunk alone."""

import pytest
import torch
from torch import nn

from bam_core.planning.step_counter import StepCounter
from bam_core.tokens import TokenEncoder, Tokens, kept


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 4)

    def forward(self, view, *, keep=None):
        return Tokens(*kept(self.layer(view[..., None]), keep))


class Mean(nn.Module):
    def forward(self, tokens):
        return tokens.values.mean(1)


class Encoder(TokenEncoder):
    def __init__(self):
        super().__init__()
        self.trunk, self.pool = Trunk(), Mean()


class Sides(nn.Module):
    def __init__(self):
        super().__init__()
        self.sides = nn.ModuleDict({"a": Encoder(), "b": nn.Linear(3, 4)})


class Made(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder


@pytest.mark.parametrize(
    ("encoder", "call", "views"),
    [
        (Encoder(), lambda e, view: e(view), 1),
        (Encoder(), lambda e, view: e.trunk(view), 1),
        (Encoder(), lambda e, view: (e(view), e.trunk(view, keep=torch.tensor([[0]] * 5))), 2),
        (Sides(), lambda e, view: (e.sides["a"](view), e.sides["a"].trunk(view), e.sides["b"](view)), 3),
    ],
)
def test_views_that_enter(encoder, call, views):
    counter = StepCounter(Made(encoder))
    counter.on_train_batch_start(None)
    call(encoder, torch.randn(5, 3))
    counter.on_train_batch_end()
    assert counter.view_bytes == [views * 5 * 3 * 4]
    assert counter.largest_view == 3 * 4
    assert 0 < counter.forward_flops[0] <= counter.flops[0]
