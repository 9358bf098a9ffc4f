import pytest
import torch

from bam_core import InputError
from modalities.ecg import MODALITY
from modalities.ecg.views import ECGViews

OFF = {"stretch": None, "gain": None, "noise_snr_db": None, "wander": None, "mask_s": None, "lead_drop": None}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(b=64, leads=12, t=500):
    data = MODALITY.example(n_records=b, n_leads=leads, seconds=t / 100)
    rows = data.splits["train"].with_format("numpy")[:]
    return MODALITY.collate(rows, data.facts)


def one_view(x, seed=0, **options):
    made = ECGViews(sampling_rate_hz=100, n_views=1, crop=1.0, **{**OFF, "p": 1.0, **options})
    return made(x, generator=generator(seed)).global_views[0]


def test_shapes_of_global_and_local_views():
    views = ECGViews(sampling_rate_hz=100, n_views=3, n_local=2, crop=0.8, local_crop=0.4)(batch(8))
    assert [v.shape for v in views.global_views] == [(8, 12, 400)] * 3
    assert [v.shape for v in views.local_views] == [(8, 12, 200)] * 2


def test_everything_off_is_the_window_itself():
    x = batch(8)
    assert torch.equal(one_view(x), x)
    window = ECGViews(sampling_rate_hz=100, n_views=1, crop=0.5, **OFF)(x, generator=generator()).global_views[0]
    starts = [(x[i].unfold(-1, 250, 1) == window[i][:, None]).all(-1).all(0).nonzero() for i in range(len(x))]
    assert all(len(s) == 1 for s in starts)
    assert len({int(s) for s in starts}) > 3


def test_gain_is_log_uniform_within_its_range():
    factor = (one_view(batch(400), gain=(0.5, 2.0)) / batch(400)).nanmedian(-1).values[:, 0]
    assert 0.5 <= factor.min() < 0.6
    assert 1.7 < factor.max() <= 2.0
    assert factor.log().mean().abs() < 0.1


def test_noise_has_the_wanted_ratio():
    x = batch(400)
    noise = one_view(x, noise_snr_db=(10.0, 10.0)) - x
    ratio = 10 * (x.var(-1, correction=0) / noise.var(-1, correction=0)).log10()
    assert ratio.mean().item() == pytest.approx(10, abs=0.2)


def test_wander_is_slow():
    drift = one_view(batch(64), wander=(0.2, 0.2)) - batch(64)
    power = torch.fft.rfft(drift - drift.mean(-1, keepdim=True)).abs().square().mean((0, 1))
    assert power[: 5 * 1 + 1].sum() > 0.95 * power.sum()  # up to 1 Hz at 5 s


def test_mask_covers_one_stretch_of_all_leads():
    masked = (one_view(batch(64), mask_s=(0.2, 0.5)) == 0).all(1)
    lengths = masked.sum(1)
    assert 20 <= lengths.min() <= lengths.max() <= 51
    edges = (masked[:, 1:] != masked[:, :-1]).sum(1)
    assert edges.max() <= 2


def test_leads_are_dropped_but_never_all():
    dropped = (one_view(batch(64), lead_drop=(1, 6)) == 0).all(-1).sum(1)
    assert dropped.min() >= 1
    assert dropped.max() <= 6
    assert torch.equal(one_view(batch(16, leads=1), lead_drop=(1, 6)), batch(16, leads=1))


def test_stretch_and_shift_move_the_signal():
    x = batch(16)
    assert not torch.allclose(one_view(x, stretch=(1.1, 1.1)), x)
    shifted = one_view(x, shift_s=(0.5, 0.5))
    assert torch.equal(shifted[..., 50:], x[..., :-50])
    assert (shifted[..., :50] == 0).all()


def test_p_is_the_share_of_changed_samples():
    x = batch(800, leads=1)
    changed = (one_view(x, gain=(2.0, 2.0), p=0.3) != x).any(-1).float().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_views": 0}, "n_views >= 1"),
        ({"n_local": -1}, "n_local >= 0"),
        ({"crop": 1.5}, "0 < crop <= 1, a fraction of the record; got 1.5"),
        ({"local_crop": 0.0}, "0 < local_crop <= 1"),
        ({"p": 2.0}, r"p in \[0, 1\]; got 2.0"),
        ({"gain": (2.0, 1.0)}, "gain: .*2.0, 1.0"),
        ({"wander": (-1.0, 1.0)}, "wander"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        ECGViews(sampling_rate_hz=100, **options)
