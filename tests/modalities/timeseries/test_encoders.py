import math

import pytest
import torch
from ragged import pad
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bam_core.errors import InputError
from modalities.timeseries import MODALITY
from modalities.timeseries.encoders import DilatedConv, InceptionTime, SeriesEncoder

SMALL = {
    "resnet1d": {"width": 8},
    "rocket": {"length": 120, "d": 16, "n_dilations": 4, "n_thresholds": 2},
    "inceptiontime": {"width": 4, "n_modules": 4},
    "dilated": {"width": 8, "n_blocks": 3, "d": 20},
    "patch_transformer": {"patch": 8, "width": 32, "depth": 2},
}
EVERY = pytest.mark.parametrize("name", SMALL)


def make(name, channels=3, **options):
    return MODALITY.encoders[name](in_channels=channels, **{**SMALL[name], **options})


def test_every_encoder_is_tested():
    assert set(SMALL) == set(MODALITY.encoders)


@EVERY
@pytest.mark.parametrize("length", [1, 5, 24, 500, 1111])
def test_one_vector_a_series_of_any_length(name, length):
    for channels in (1, 6):
        out = make(name, channels)(torch.randn(4, channels, length))
        assert out.ndim == 2
        assert len(out) == 4
        assert out.isfinite().all()


@EVERY
@pytest.mark.parametrize("context", [None, 16])
def test_an_embedding_does_not_depend_on_padding(name, context, ragged):
    network = make(name, context=context).eval()
    alone = torch.cat([network(one[None]) for one in ragged])
    torch.testing.assert_close(network(pad(ragged, to=60)), alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(pad(ragged, to=97, filler=5.0)), alone, rtol=1e-4, atol=1e-5)


@EVERY
def test_nor_does_training(name, ragged):
    network = make(name).train()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    first, second = network(pad(ragged)), network(pad(ragged, to=97, filler=5.0))
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


@EVERY
def test_every_parameter_learns(name, ragged):
    network = make(name)
    for batch in (torch.randn(4, 3, 64), pad(ragged)):
        network.zero_grad()
        network(batch).square().sum().backward()
        for parameter, p in network.named_parameters():
            assert p.grad is not None, parameter
            assert p.grad.isfinite().all(), parameter
        assert sum(p.grad.abs().sum() > 0 for p in network.parameters()) > 0.8 * len(list(network.parameters()))


@EVERY
def test_a_long_series_is_the_average_of_its_windows(name):
    network = make(name, context=32).eval()
    x = torch.randn(2, 3, 80)
    parts = [network(x[..., :32]), network(x[..., 32:64]), network(x[..., 64:])]
    expected = (32 * parts[0] + 32 * parts[1] + 16 * parts[2]) / 80
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


@EVERY
def test_windows_one_by_one(name, ragged):
    network = make(name).eval()
    found = network.embed_windows(pad(ragged), window=10, hop=5)
    assert found.starts == tuple(range(0, 45, 5))
    assert found.steps[1].tolist() == [10, 8, 3, 0, 0, 0, 0, 0, 0]
    torch.testing.assert_close(found.embeddings[3, 2], network(ragged[3][None, :, 10:20])[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.embeddings[1, 2], network(ragged[1][None, :, 10:13])[0], rtol=1e-4, atol=1e-5)
    short = network.embed_windows(torch.randn(2, 3, 4), window=10)
    assert short.steps.tolist() == [[4], [4]]


@EVERY
def test_nothing_waits_for_a_gpu(name):
    """Fake tensors raise on every look at a value, and on every mix of devices."""
    with FakeTensorMode():
        with torch.device("cuda"):
            network = make(name, context=32)
        x = torch.empty(4, 3, 50, device="cuda")
        length = torch.empty(4, dtype=torch.long, device="cuda")
        for batch in (x, {"signal": x, "length": length}):
            assert network(batch).device.type == "cuda"


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_sizes_as_published():
    ts2vec = DilatedConv(in_channels=1)
    assert len(ts2vec.blocks) == 11
    assert ts2vec(torch.randn(2, 1, 40)).shape == (2, 320)
    assert n_parameters(ts2vec) == 637_248
    inception = InceptionTime(in_channels=1)
    assert [branch.kernel_size[0] for branch in inception.blocks[0].branches] == [40, 20, 10]
    assert n_parameters(inception) == 420_192


def test_the_receptive_field_of_dilated_convolutions():
    network = DilatedConv(in_channels=1, n_blocks=2, width=4, d=4, dropout=0)
    x = torch.zeros(1, 1, 201, requires_grad=True)
    steps = network.blocks[2](network.blocks[1](network.blocks[0](network.projection(x), None), None), None)
    steps[0, :, 100].sum().backward()
    reached = x.grad[0, 0].nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (100 - 14, 100 + 14)  # 2 * (1 + 2 + 4) on either side
    assert math.log2(29 + 3) == 2 + 3


def test_wrong_options():
    with pytest.raises(InputError, match="context of at least two steps; got 1"):
        make("resnet1d", context=1)
    with pytest.raises(InputError, match="a window and a hop of at least one step; got 0 and 0"):
        make("resnet1d").embed_windows(torch.ones(1, 3, 8), window=0)
    with pytest.raises(InputError, match=r"expected series .* got \(3, 8\)"):
        make("resnet1d")(torch.ones(3, 8))
    with pytest.raises(NotImplementedError):
        SeriesEncoder()(torch.ones(1, 1, 8))


@pytest.mark.parametrize("name", ["resnet1d", "rocket"])
def test_parts_follow_the_length_of_the_series(name, ragged):
    torch.manual_seed(0)
    network = make(name, parts=3).eval()
    alone = torch.cat([network(pad([one])) for one in ragged])
    torch.testing.assert_close(network(pad(ragged, to=97, filler=5.0)), alone, rtol=1e-4, atol=1e-5)
    assert alone.shape[1] == (16 if name == "rocket" else 3 * 32)


def test_a_network_has_at_least_one_part():
    with pytest.raises(InputError, match="at least one part; got 0"):
        make("resnet1d", parts=0)


@EVERY
def test_a_gradient_through_series_with_and_without_lengths(name, ragged):
    network = make(name).train()
    (network(torch.randn(4, 3, 40)).sum() + network(pad(ragged)).square().sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
