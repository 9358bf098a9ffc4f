from itertools import combinations

import numpy as np
import pytest
import torch
from ragged import pad

from bam_core.errors import InputError
from modalities.timeseries.encoders import Rocket


def by_hand(network, series, dilation_index, threshold_index):
    """The proportions of the whole series, tap by tap."""
    dilation, stride = network.dilations[dilation_index], network.strides[dilation_index]
    channels, steps = series.shape
    proportions = []
    for kernel, taps in enumerate(combinations(range(9), 3)):
        weights = network.kernels[dilation_index, kernel].view(channels, 9)
        chosen = weights.abs().sum(dim=1) > 0
        above = []
        for step in range(0, steps, stride):
            total = 0.0
            for channel in np.flatnonzero(chosen):
                for tap in range(9):
                    at = step + (tap - 4) * dilation
                    if 0 <= at < steps:
                        total += (2 if tap in taps else -1) * float(series[channel, at])
            above.append(total > float(network.thresholds[dilation_index, threshold_index, kernel]))
        proportions.append(np.mean(above))
    return torch.tensor(np.array(proportions), dtype=torch.float32)


def test_proportions_are_those_of_a_loop_over_taps():
    torch.manual_seed(0)
    series = torch.randn(20, 2, 50)
    network = Rocket(in_channels=2, length=50, d=4, n_dilations=3, n_thresholds=2, n_positions=20)
    network.calibrate(series)
    found = network.proportions(series[:1]).view(len(network.dilations), 2, 84)
    for index in range(len(network.dilations)):
        torch.testing.assert_close(found[index, 1], by_hand(network, series[0], index, 1), atol=0.021, rtol=0)
        assert (found[index, 1] - by_hand(network, series[0], index, 1)).abs().mean() < 1e-3  # ties aside


def test_calibration_spreads_the_features_and_repeats_itself():
    torch.manual_seed(0)
    series = torch.randn(100, 1, 80).cumsum(dim=-1)
    first, second = (Rocket(in_channels=1, length=80) for _ in range(2))
    for network in (first, second):
        network.calibrate(series)
    torch.testing.assert_close(first.thresholds, second.thresholds)
    features = (first.proportions(series) - first.shift) * first.scale
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(features.shape[1]), atol=1e-4, rtol=0)
    assert (features.std(dim=0, correction=0) < 1 + 1e-4).all()
    assert features.std(dim=0, correction=0).median() > 0.9
    plain = Rocket(in_channels=1, length=80).proportions(series)
    assert (first.thresholds != 0).float().mean() > 0.9
    assert plain.isfinite().all()


def test_only_the_last_layer_learns():
    network = Rocket(in_channels=3, length=40, d=8)
    assert [name for name, parameter in network.named_parameters() if parameter.requires_grad] == [
        "head.weight", "head.bias",
    ]  # fmt: skip
    network(torch.randn(4, 3, 40)).square().sum().backward()
    assert network.head.weight.grad.abs().sum() > 0


def test_parts_tell_when_something_happens():
    early, late = torch.zeros(2, 1, 1, 120)
    early[..., 10:20], late[..., 90:100] = 1.0, 1.0
    whole, parts = (Rocket(in_channels=1, length=120, n_dilations=1, parts=n) for n in (1, 4))
    torch.testing.assert_close(whole.proportions(early), whole.proportions(late))
    assert (parts.proportions(early) - parts.proportions(late)).abs().max() > 0.1


@pytest.mark.parametrize("parts", [1, 3])
def test_calibration_of_series_of_unequal_length(ragged, parts):
    network = Rocket(in_channels=3, longest=max(one.shape[-1] for one in ragged), d=8, parts=parts)
    network.calibrate(pad(ragged, to=97, filler=5.0))
    other = Rocket(in_channels=3, longest=max(one.shape[-1] for one in ragged), d=8, parts=parts)
    other.calibrate(pad(ragged))
    torch.testing.assert_close(network.thresholds, other.thresholds, rtol=1e-3, atol=1e-3)


def test_a_length_is_needed():
    with pytest.raises(InputError, match="expected length"):
        Rocket(in_channels=1)
    with pytest.raises(InputError, match="at least one"):
        Rocket(in_channels=1, length=50, parts=0)
