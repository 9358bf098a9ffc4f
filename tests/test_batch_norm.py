import pytest
import torch
from torch import nn

from bam_core import InputError
from bam_core.batch_norm import GlobalBatchNorm, with_global_batch_norm


class Own(nn.BatchNorm1d):
    def forward(self, input):
        return super().forward(input).relu()


def test_layers_are_replaced_with_their_tensors_and_modes():
    frozen = nn.BatchNorm2d(3, eps=0.5, momentum=None).eval()
    net = nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.ModuleDict({"a": frozen}), Own(4), nn.GroupNorm(2, 4))
    before = {k: v.data_ptr() for k, v in net.state_dict().items()}
    assert with_global_batch_norm(net) is net
    assert [type(m) for m in (net[0], net[1]["a"], net[2], net[3])] == [
        GlobalBatchNorm,
        GlobalBatchNorm,
        Own,
        nn.GroupNorm,
    ]
    assert {k: v.data_ptr() for k, v in net.state_dict().items()} == before
    assert (net[1]["a"].training, net[1]["a"].eps, net[1]["a"].momentum, net[0].affine) == (False, 0.5, None, False)
    assert net[0].training


def test_on_one_process_it_is_torchs():
    torch.manual_seed(0)
    plain, ours = nn.BatchNorm1d(4), with_global_batch_norm(nn.BatchNorm1d(4))
    x = torch.randn(8, 4, 5)
    assert torch.equal(plain(x), ours(x))
    assert torch.equal(plain.running_var, ours.running_var)


def test_a_vector_is_no_batch():
    with pytest.raises(InputError, match=r"GlobalBatchNorm expected \(n, 4, ...\); got \(4,\)"):
        GlobalBatchNorm(4)(torch.randn(4))
