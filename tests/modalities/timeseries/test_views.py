import numpy as np
import pytest
import torch
from ragged import pad
from torch._subclasses.fake_tensor import FakeTensorMode

from bam_core import BAMObjective, InputError
from modalities.timeseries.alignment import alignment
from modalities.timeseries.encoders import ResNet1d
from modalities.timeseries.positions import Windows, draw_windows, permute, progress, warp
from modalities.timeseries.views import PRESETS, SeriesViews

STRETCHED = {"window": (0.7, 1.0), "resize": True, "time_warp": (0.0, 0.3)}
OFF = {
    "resize": True,
    "time_warp": None,
    "permutation": None,
    "scale": None,
    "magnitude_warp": None,
    "jitter": None,
    "mask": None,
    "channel_drop": None,
}
ALL_ON = {"permutation": (2, 4), "overlap": 0.5}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def waves(b=64, channels=3, t=200):
    """Sines of different phases, on different levels."""
    phase = torch.rand(b, channels, 1, generator=generator(1)) * 6.28
    return torch.sin(torch.linspace(0, 12, t) + phase) + phase


def one_view(x, seed=0, **options):
    made = SeriesViews(n_views=1, **{**OFF, "window": (1.0, 1.0), "p": 1.0, **options})
    return made(x, generator=generator(seed)).global_views[0]


def all_views(x, seed=0, **options):
    made = SeriesViews(**{**STRETCHED, **options})(x, generator=generator(seed))
    return [*made.global_views, *made.local_views]


def test_shapes_of_global_and_local_views():
    made = SeriesViews(n_views=3, n_local=2, window=(0.5, 0.8), resize=True, local_window=(0.1, 0.3))(waves(8))
    assert [tuple(v.shape) for v in made.global_views] == [(8, 3, 160)] * 3
    assert [tuple(v.shape) for v in made.local_views] == [(8, 3, 60)] * 2


def test_series_of_unequal_length_keep_their_proportions(ragged):
    batch = pad(ragged, to=60)
    for view, fraction in zip(all_views(batch, n_local=1), (1.0, 1.0, 0.4), strict=True):
        assert view["length"].tolist() == [max(1, round(fraction * one.shape[1])) for one in ragged]
        assert view["signal"].shape == (5, 3, round(fraction * 60))
        for signal, length in zip(view["signal"], view["length"], strict=True):
            assert (signal[:, length:] == 0).all()
            assert signal.isfinite().all()


def test_windows_that_keep_their_pace_have_lengths():
    x = waves(50)
    view = one_view(x, window=(0.3, 0.6), resize=False)
    assert 60 <= view["length"].min() < 70
    assert 110 < view["length"].max() <= 120
    for signal, length, whole in zip(view["signal"], view["length"], x, strict=True):
        windows = whole.unfold(-1, int(length), 1)  # (c, n, length)
        nearest = (windows - signal[:, None, :length]).abs().amax(dim=(0, 2)).min()
        assert nearest < 1e-4
    assert torch.is_tensor(one_view(x, window=(0.5, 0.5), resize=False))


def test_the_generator_decides_everything(ragged):
    for x in (waves(8), pad(ragged)):
        first, again, other = (all_views(x, seed, **ALL_ON) for seed in (1, 1, 2))
        signals = [[v["signal"] if isinstance(v, dict) else v for v in views] for views in (first, again, other)]
        assert all(torch.equal(a, b) for a, b in zip(signals[0], signals[1], strict=True))
        assert not torch.equal(signals[0][0], signals[2][0])
        assert not torch.equal(signals[0][0], signals[0][1])


def test_everything_off_is_the_window_itself(ragged):
    x = waves(8)
    torch.testing.assert_close(one_view(x), x)
    batch = pad(ragged)
    view = one_view(batch)
    torch.testing.assert_close(view["signal"], batch["signal"])
    assert torch.equal(view["length"], batch["length"])


def test_what_lies_behind_the_end_is_never_seen(ragged):
    first = all_views(pad(ragged, to=60), **ALL_ON)
    second = all_views(pad(ragged, to=60, filler=1e6), **ALL_ON)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a["signal"], b["signal"])


def test_windows_lie_everywhere_in_the_series():
    length = torch.full((2000, 1, 1), 10.0)
    found = draw_windows(length, (0.4, 0.6), generator())
    assert found.length.unique().tolist() == [4, 5, 6]
    assert found.start.min() == 0
    assert (found.start + found.length).max() == 10
    of_four = found.start[found.length == 4]
    assert torch.bincount(of_four.long()).min() > 0.5 * len(of_four) / 7  # seven places, all about as likely


def test_a_stretched_window_is_interpolated():
    x = torch.arange(100.0).expand(200, 1, 100)
    view = one_view(x, window=(0.5, 0.9))
    assert view.shape[-1] == 90
    slope = view.diff(dim=-1)
    torch.testing.assert_close(slope, slope[..., :1].expand_as(slope), atol=1e-4, rtol=1e-4)
    assert 0.5 < slope.min() < 0.6
    assert 0.9 < slope.max() <= 1.0001


def test_overlapping_windows_share_a_stretch():
    x = torch.arange(200.0).expand(300, 1, 200)
    options = {**OFF, "window": (0.2, 0.3), "p": 1.0}
    for overlap, least in ((0.5, 0.5 * 40), (1.0, 40)):
        views = SeriesViews(n_views=3, overlap=overlap, **options)(x, generator=generator()).global_views
        start = torch.stack([v[..., 0] for v in views]).amax(0)
        end = torch.stack([v[..., -1] for v in views]).amin(0)
        assert (end - start + 1).min() >= least - 1.1
    views = SeriesViews(n_views=2, **options)(x, generator=generator()).global_views
    assert (
        torch.maximum(views[0][..., 0], views[1][..., 0]) > torch.minimum(views[0][..., -1], views[1][..., -1])
    ).any()


def test_windows_around_a_core():
    length = torch.full((500, 1, 1), 50.0)
    core = Windows(torch.full_like(length, 45), torch.full_like(length, 5))
    found = draw_windows(length, (0.02, 0.4), generator(), core)
    assert (found.start <= 45).all()
    assert (found.start + found.length == 50).all()
    assert found.length.min() == 5


def test_time_warp_keeps_order_and_ends():
    x = torch.arange(100.0).expand(64, 2, 100)
    view = one_view(x, time_warp=(0.3, 0.3))
    assert (view.diff(dim=-1) > 0).all()
    torch.testing.assert_close(view[..., [0, -1]], x[..., [0, -1]])
    assert (view - x).abs().amax() > 3
    assert torch.equal(view[:, 0], view[:, 1])


def test_warp_of_a_short_series_ends_at_its_end():
    length = torch.tensor([5.0, 9.0])[:, None, None]
    time = progress(9, length)
    bent = warp(time, torch.tensor([[[2.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]))
    assert bent[0, 0, 4:].tolist() == [1.0] * 5
    assert bent[0, 0, 1] > time[0, 0, 1]
    torch.testing.assert_close(bent[1], time[1])


def test_permutation_moves_whole_pieces():
    x = torch.arange(90.0).expand(200, 1, 90)
    view = one_view(x, permutation=(3, 3))
    jumps = (view.diff(dim=-1).round() != 1).sum(dim=(1, 2))
    assert jumps.max() <= 2
    assert (jumps == 2).float().mean() > 0.4
    torch.testing.assert_close(view.sort(dim=-1).values, x)
    assert torch.equal(one_view(x, permutation=(1, 1)), one_view(x))


def test_permutation_leaves_the_padding_behind():
    length = torch.tensor([4.0])[:, None, None]
    order = permute(progress(6, length), length, torch.tensor([[[0.5]]]), torch.tensor([[2.0, 1.0]]))
    assert order[0, 0].tolist() == [2, 3, 0, 1, 4, 5]


def test_scale_is_log_uniform_for_every_channel():
    x = waves(400)
    factor = (one_view(x, scale=(0.5, 2.0)) / x).median(dim=-1).values
    assert 0.5 <= factor.min() < 0.55
    assert 1.8 < factor.max() <= 2.001
    assert factor.log().mean().abs() < 0.1
    assert (factor[:, 0] != factor[:, 1]).all()


def test_magnitude_warp_is_smooth():
    x = torch.ones(400, 2, 100)
    log = one_view(x, magnitude_warp=(0.3, 0.3)).log()
    assert log.std(dim=0).mean().item() == pytest.approx(0.3 * 0.85, abs=0.05)  # less between knots than at them
    assert log.diff(dim=-1).abs().max() < 0.3 * 8 / 33


def test_jitter_is_relative_to_each_channel(ragged):
    x = torch.randn(100, 2, 500) * torch.tensor([1.0, 100.0])[:, None] + 1000
    noise = one_view(x, jitter=(0.2, 0.2)) - x
    torch.testing.assert_close(noise.std(dim=-1).mean(0), torch.tensor([0.2, 20.0]), rtol=0.05, atol=0)
    short = pad([torch.randn(1, 50) * 3], to=5000)
    noise = one_view(short, jitter=(0.5, 0.5))["signal"] - short["signal"]
    assert noise[0, 0, :50].std() == pytest.approx(1.5, rel=0.4)


def test_mask_covers_one_stretch():
    hidden = (one_view(waves(100) + 10, mask=(0.1, 0.3)) == 0).all(dim=1)
    assert 19 <= hidden.sum(-1).min() <= hidden.sum(-1).max() <= 61
    assert (hidden[:, 1:] != hidden[:, :-1]).sum(-1).max() <= 2
    short = (one_view(pad([torch.ones(1, 10)] * 50, to=100), mask=(0.5, 0.5))["signal"][..., :10] == 0).sum(-1)
    assert set(short.flatten().tolist()) <= {4, 5, 6}


def test_channels_are_dropped_but_never_all():
    dropped = (one_view(waves(300, 4) + 10, channel_drop=(0.25, 1.0)) == 0).all(-1).sum(1)
    assert set(dropped.tolist()) == {1, 2, 3}
    alone = waves(16, 1)
    assert torch.equal(one_view(alone, channel_drop=(0.5, 1.0)), one_view(alone))


def test_masks_of_missing_values_move_but_keep_their_amplitude():
    known = (torch.rand(100, 2, 200, generator=generator()) < 0.9).float()
    x = torch.cat([(waves(100, 2) + 10) * known, known], dim=1)
    options = {"scale": (2.0, 2.0), "jitter": (0.1, 0.1), "magnitude_warp": (0.5, 0.5), "mask_channels": True}
    view = one_view(x, **options)
    torch.testing.assert_close(view[:, 2:], known)
    assert not torch.allclose(view[:, :2], x[:, :2])
    dropped = one_view(x, channel_drop=(0.5, 0.5), mask_channels=True) == 0
    assert torch.equal(dropped[:, :2].all(-1), dropped[:, 2:].all(-1))
    assert (dropped[:, :2].all(-1).sum(1) == 1).all()
    hidden = one_view(x, mask=(0.5, 0.5), mask_channels=True)
    assert (hidden[:, 2:].mean(-1) < 0.6).all()
    with pytest.raises(InputError, match="a mask for every channel; got 3 channels in all"):
        one_view(waves(4), mask_channels=True)


def test_p_is_the_share_of_changed_samples():
    x = waves(1000, 1)
    changed = (one_view(x, scale=(2.0, 2.0), p=0.3) != one_view(x)).any(-1).float().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.06)


def test_a_series_of_one_step():
    for view in all_views(torch.ones(4, 2, 1), n_local=1, **ALL_ON):
        assert view.shape == (4, 2, 1)
        assert view.isfinite().all()


def test_nothing_waits_for_a_gpu():
    """Fake tensors raise on every look at a value, and on every mix of devices."""
    with FakeTensorMode():
        x = torch.empty(4, 2, 50, device="cuda")
        length = torch.empty(4, dtype=torch.long, device="cuda")
        for batch in (x, {"signal": x, "length": length}):
            for options in ({}, STRETCHED, STRETCHED | {"resize": False}, {"mask_channels": True}):
                made = SeriesViews(n_local=1, **ALL_ON, **options)(batch)
                for view in (*made.global_views, *made.local_views):
                    tensors = view.values() if isinstance(view, dict) else [view]
                    assert {tensor.device.type for tensor in tensors} == {"cuda"}


def test_an_objective_trains_on_both_kinds_of_views(ragged):
    for batch, options in ((waves(16), STRETCHED | {"n_local": 1}), (pad(ragged), {}), (waves(16), {})):
        objective = BAMObjective(ResNet1d(in_channels=3, width=8), SeriesViews(**options))
        out = objective(batch, generator=generator())
        out.loss.backward()
        assert out.loss.isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_views": 0}, "n_views >= 1 and n_local >= 0; got 0 and 0"),
        ({"n_local": -1}, "n_local >= 0; got 2 and -1"),
        ({"window": (0.0, 0.5)}, r"window as \(lowest, highest\), each > 0 and <= 1; got \(0.0, 0.5\)"),
        ({"local_window": (0.5, 1.5)}, "local_window"),
        ({"mask": (0.5, 0.2)}, r"mask as \(lowest, highest\), each >= 0 and <= 1; got \(0.5, 0.2\)"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"jitter": (-0.1, 1.0)}, r"jitter .*, each >= 0; got \(-0.1, 1.0\)"),
        ({"permutation": (0, 3)}, "permutation"),
        ({"channel_drop": (0.0, 2.0)}, "channel_drop"),
        ({"p": 2.0}, r"p in \[0, 1\]; got 2.0"),
        ({"overlap": -0.5}, r"overlap in \[0, 1\]; got -0.5"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        SeriesViews(**options)


def shifted_waves(b=40, t=128):
    """One shape that begins anywhere."""
    shape = torch.randn(t, generator=generator(2))
    starts = torch.randint(t, (b,), generator=generator(3)).tolist()
    return torch.stack([(shape - shape.mean()).roll(start) for start in starts])[:, None]


def alignment_by_hand(x):
    """Pair by pair and shift by shift."""
    x = (x - x.mean(dim=-1, keepdim=True)).double().numpy()
    rows = [row / np.linalg.norm(row) for row in x]
    at_once, shifted = [], []
    for i, one in enumerate(rows):
        others = [row for j, row in enumerate(rows) if j != i]
        at_once.append(max((one * other).sum() for other in others))
        shifted.append(max((one * np.roll(other, k, -1)).sum() for other in others for k in range(x.shape[-1])))
    return np.mean(at_once) / np.mean(shifted)


def test_alignment_is_that_of_all_pairs_and_shifts():
    x = torch.randn(9, 2, 16, generator=generator())
    assert alignment(x) == pytest.approx(alignment_by_hand(x), rel=1e-4)
    assert alignment(torch.zeros(3, 1, 8)) == 1
    assert alignment(torch.randn(1, 1, 8)) == 1
    assert alignment({"signal": x, "length": torch.full((9,), 16)}) == pytest.approx(alignment(x), rel=1e-5)
    assert alignment({"signal": x, "length": torch.arange(8, 17)}) == 0


def test_alignment_of_long_series_looks_at_fewer(monkeypatch):
    x = torch.randn(9, 1, 16, generator=generator())
    monkeypatch.setattr("modalities.timeseries.alignment._MOST_SHIFTS", 3 * 3 * 16)
    assert alignment(x) == alignment(x[:3])
    monkeypatch.setattr("modalities.timeseries.alignment._MOST_SHIFTS", 1)
    assert alignment(x) == alignment(x[:2])


def test_auto_is_settled_by_the_data():
    series = shifted_waves()
    anywhere, at_once = SeriesViews(), SeriesViews()
    anywhere.calibrate(series + 0.1 * torch.randn(series.shape, generator=generator()))
    at_once.calibrate(series[:1] + 0.1 * torch.randn(series.shape, generator=generator()))
    assert anywhere.alignment < 0.9 < at_once.alignment
    for views, aligned in ((anywhere, False), (at_once, True)):
        assert {name: getattr(views, name) for name in PRESETS[aligned]} == PRESETS[aligned]
    asked = SeriesViews(window=(0.5, 0.7), resize=True)
    asked.calibrate(series)
    assert (asked.window, asked.resize, asked.time_warp) == ((0.5, 0.7), True, None)
    nothing_left = SeriesViews(**STRETCHED)
    nothing_left.calibrate(series)
    assert nothing_left.alignment is None
