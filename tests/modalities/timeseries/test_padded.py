import pytest
import torch
from ragged import pad
from torch import nn

from bam_core.errors import InputError
from modalities.timeseries.padded import batch_norm, max_over_time, mean_over_time, padded


def test_what_lies_behind_the_end_is_zero(ragged):
    signal, valid = padded(pad(ragged, to=60, filler=9.0))
    assert valid.sum(dim=-1)[:, 0].tolist() == [7, 13, 29, 50, 3]
    assert (signal.masked_select(~valid.expand_as(signal)) == 0).all()
    assert padded(torch.ones(2, 1, 3)).valid is None


@pytest.mark.parametrize(
    ("batch", "got"),
    [
        (torch.ones(3, 4), r"got \(3, 4\)"),
        ([1, 2], "got list"),
        ({"signal": torch.ones(2, 1, 3)}, r"got \['signal'\]"),
        ({"signal": torch.ones(2, 3), "length": torch.ones(2)}, r"got \['length', 'signal'\]"),
    ],
)
def test_no_series(batch, got):
    with pytest.raises(InputError, match=rf"expected series as a tensor \(b, channels, time\).*{got}"):
        padded(batch)


def test_pooling_sees_the_valid_steps_only(ragged):
    signal, valid = padded(pad(ragged, to=60))
    for pooled, pool in ((mean_over_time, lambda x: x.mean(1)), (max_over_time, lambda x: x.amax(1))):
        expected = torch.stack([pool(one) for one in ragged])
        torch.testing.assert_close(pooled(signal, valid), expected)
        torch.testing.assert_close(pooled(ragged[0][None], None)[0], expected[0])
    nothing = torch.zeros_like(valid)
    assert (mean_over_time(signal, nothing) == 0).all()
    assert (max_over_time(signal, nothing) == 0).all()


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_batch_norm_sees_the_valid_steps_only(shape):
    """As the layer of torch on the valid steps alone, in outputs, gradients and running statistics."""
    series = [torch.randn(*shape, t) for t in (5, 9, 2)]
    signal = torch.zeros(3, *shape, 9)
    for row, one in zip(signal, series, strict=True):
        row[..., : one.shape[-1]] = one
    valid = (torch.arange(9) < torch.tensor([5, 9, 2])[:, None]).reshape(3, *[1] * len(shape), 9)
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    ours, torchs = kind(3), kind(3)
    nn.init.uniform_(ours.weight)
    torchs.load_state_dict(ours.state_dict())
    joined = torch.cat(series, dim=-1)[None]
    out, expected = batch_norm(ours, signal, valid), torchs(joined)
    torch.testing.assert_close(torch.cat([o[..., :t] for o, t in zip(out, (5, 9, 2), strict=True)], -1), expected[0])
    assert (out.masked_select(~valid.expand_as(out)) == 0).all()
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())
    for result in (out, expected):
        result.square().sum().mul(0.1).add(result.sum().sin()).backward()
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)
    torch.testing.assert_close(batch_norm(ours.eval(), signal, valid), ours(signal) * valid)
    torch.testing.assert_close(batch_norm(ours.train(), signal, None), torchs.train()(signal))
