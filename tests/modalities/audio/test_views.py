import pytest
import torch
from ragged import pad

from bam_core import InputError
from modalities.audio import changes
from modalities.audio.changes import Clips
from modalities.audio.mel import LogMel, mel_settings
from modalities.audio.views import LogMelViews, WaveformViews

RATE = 4000
MEL = mel_settings(sampling_rate_hz=RATE, n_mels=20)
OFF = {"mix_snr_db": None, "gain_db": None}
OFF_MEL = {**OFF, "resize_time": None, "resize_bands": None, "equalize": None, "mask_time": None, "mask_bands": None}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(*lengths, to=None, filler=0.0):
    noise = [torch.randn(1, n, generator=generator(n)) for n in lengths]
    return pad(noise, to=to, filler=filler)


def waveform_views(batch, seed=0, **options):
    made = WaveformViews(sampling_rate_hz=RATE, **options)(batch, generator=generator(seed))
    return [*made.global_views, *made.local_views]


def log_mel_views(batch, seed=0, **options):
    made = LogMelViews(mel=MEL, sampling_rate_hz=RATE, **options)(batch, generator=generator(seed))
    return [*made.global_views, *made.local_views]


BOTH = pytest.mark.parametrize("views", [waveform_views, log_mel_views])


def moments(b=400, c=1, t=100):
    """A batch that tells where and in which band it was cut from."""
    steps = torch.arange(float(t)) + torch.arange(1.0, c + 1)[:, None] * 1000
    return Clips(steps.repeat(b, 1, 1), torch.full((b,), t))


def test_shapes_and_lengths():
    batch = clips(4000, 2000, 400)
    first, second, local = waveform_views(batch, n_local=1, window=(0.5, 0.8), local_window=(0.2, 0.2))
    assert first["signal"].shape == second["signal"].shape == (3, 1, 3200)
    assert local["length"].tolist() == [800, 400, 80]
    for length, whole in zip(first["length"].tolist(), (4000, 2000, 400), strict=True):
        assert 0.5 * whole <= length <= 0.8 * whole
    spectrograms = log_mel_views(batch, n_local=1, window=(1.0, 1.0), **OFF_MEL)
    assert [tuple(v["signal"].shape) for v in spectrograms] == [(3, 20, 101), (3, 20, 101), (3, 20, 51)]
    assert spectrograms[0]["length"].tolist() == [101, 51, 11]


@BOTH
def test_nothing_stands_behind_the_end(views):
    for view in views(clips(4000, 1000, 150, 3000), n_local=1):
        assert view["signal"].isfinite().all()
        for signal, length in zip(view["signal"], view["length"], strict=True):
            assert length >= 1
            assert (signal[:, length:] == 0).all()


@BOTH
def test_what_lies_behind_the_end_is_never_seen(views):
    first, second = (views(clips(900, 500, 700, to=1000, filler=f), n_local=1) for f in (0.0, 1e6))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a["signal"], b["signal"])


def test_everything_off_is_the_clip_itself():
    batch = clips(900, 500, 700)
    for view in waveform_views(batch, window=(1.0, 1.0), **OFF):
        assert torch.equal(view["signal"], batch["signal"])
        assert torch.equal(view["length"], batch["length"])
    expected = LogMel(MEL)(batch)
    for view in log_mel_views(batch, window=(1.0, 1.0), p=1.0, **OFF_MEL):
        torch.testing.assert_close(view["signal"], expected["signal"])
        assert torch.equal(view["length"], expected["length"])
    for view in log_mel_views(batch, window=(1.0, 1.0), p=0.0):
        torch.testing.assert_close(view["signal"], expected["signal"], rtol=1e-4, atol=1e-4)


def test_batches_without_lengths():
    batch = torch.randn(4, 1, 1000)
    view = waveform_views(batch, window=(0.5, 0.5), **OFF)[0]
    assert view["signal"].shape == (4, 1, 500)
    assert view["length"].tolist() == [500] * 4


def test_windows_lie_everywhere_and_have_a_limit():
    found = changes.cut_window(moments(2000, t=10), (0.4, 0.6), 10, generator())
    assert found.length.unique().tolist() == [4, 5, 6]
    of_four = found.signal[found.length == 4][:, 0] - 1000
    assert (of_four[:, 1:4].diff() == 1).all()
    assert torch.bincount(of_four[:, 0].long(), minlength=7).min() > 0.5 * len(of_four) / 7
    limited = changes.cut_window(moments(500), (0.5, 1.0), 20, generator())
    assert limited.signal.shape == (500, 1, 20)
    assert (limited.length == 20).all()
    assert limited.signal[:, 0, 0].max() == 1080
    assert waveform_views(clips(4000, 4000), longest_s=0.25)[0]["length"].tolist() == [1000, 1000]


def test_gain_is_in_decibels():
    whole = Clips(torch.ones(500, 1, 4), torch.full((500,), 4))
    gain = 20 * changes.amplify(whole, (-6.0, 12.0), 1.0, generator()).signal[:, 0].log10()
    assert (gain == gain[:, :1]).all()
    assert -6.001 <= gain.min() < -5.5
    assert 11.5 < gain.max() <= 12.001
    assert abs(gain.mean() - 3) < 0.5


def test_a_background_is_another_clip_at_its_ratio():
    tones = torch.stack([torch.sin(torch.arange(2000) * (0.1 + 0.1 * i)) * 10.0**-i for i in range(4)])[:, None]
    batch = Clips(tones, torch.full((4,), 2000))
    added = changes.mix(batch, (10.0, 10.0), 1.0, generator()).signal - tones
    ratio = 10 * (tones.square().mean(-1) / added.square().mean(-1)).log10()
    torch.testing.assert_close(ratio, torch.full((4, 1), 10.0), atol=0.5, rtol=0)
    likeness = torch.nn.functional.cosine_similarity(
        torch.fft.rfft(added[:, 0]).abs()[:, None], torch.fft.rfft(tones[:, 0]).abs()[None], dim=-1
    )
    assert (likeness.diagonal() < 0.1).all()  # never itself
    assert (likeness.amax(dim=1) > 0.9).all()


def test_a_short_background_is_repeated():
    batch = pad([torch.ones(1, 1000), torch.tensor([[1.0, -1.0, 2.0]])])
    mixed = changes.mix(Clips(**batch), (0.0, 0.0), 1.0, generator()).signal
    added = (mixed - batch["signal"])[0, 0]
    torch.testing.assert_close(added[3:], added[:-3])
    assert added.unique().numel() >= 3
    assert (mixed[1, 0, 3:] == 0).all()


def test_alone_or_beside_silence():
    alone = Clips(torch.randn(1, 1, 50), torch.tensor([50]))
    assert torch.equal(changes.mix(alone, (0.0, 0.0), 1.0, generator()).signal, alone.signal)
    silent = Clips(torch.stack([torch.zeros(1, 50), torch.ones(1, 50)]), torch.tensor([50, 50]))
    mixed = changes.mix(silent, (0.0, 0.0), 1.0, generator()).signal
    assert torch.equal(mixed, silent.signal)


def test_time_is_stretched_or_squeezed():
    slow = changes.resize_time(moments(), (0.5, 0.5), 1.0, generator())
    assert (slow.length == 100).all()
    steps = slow.signal.diff(dim=-1)[..., 1:-2]
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5), atol=1e-3, rtol=0)
    assert slow.signal.min() < 1001
    assert slow.signal.max() > 1098
    fast = changes.resize_time(moments(), (2.0, 2.0), 1.0, generator())
    assert (fast.length == 50).all()
    torch.testing.assert_close(fast.signal[0, 0, :50], 1000.5 + 2 * torch.arange(50.0))
    assert (fast.signal[..., 50:] == 0).all()
    same = changes.resize_time(moments(), (1.0, 1.0), 1.0, generator())
    torch.testing.assert_close(same.signal, moments().signal)


def test_bands_are_stretched_or_squeezed():
    batch = Clips(torch.arange(20.0)[:, None].repeat(300, 1, 5), torch.full((300,), 5))
    zoomed = changes.resize_bands(batch, (0.5, 0.5), 1.0, generator()).signal
    slope = zoomed[:, 1:-1].diff(dim=1)
    torch.testing.assert_close(slope, torch.full_like(slope, 0.5), atol=1e-4, rtol=0)
    assert zoomed.min() == 0
    assert zoomed.max() > 18.5
    squeezed = changes.resize_bands(batch, (2.0, 2.0), 1.0, generator()).signal
    assert squeezed.amin(dim=1).max() < 0.51
    assert squeezed.amax(dim=1).min() > 18.49
    assert ((squeezed > 0) & (squeezed < 19)).sum(dim=1).min() >= 8
    same = changes.resize_bands(batch, (1.0, 1.0), 1.0, generator()).signal
    torch.testing.assert_close(same, batch.signal)


def test_the_equaliser_is_smooth_and_the_same_at_all_times():
    batch = Clips(torch.zeros(500, 40, 6), torch.full((500,), 5))
    curves = changes.equalize(batch, (0.5, 0.5), 1.0, generator()).signal
    assert (curves[..., :5] == curves[..., :1]).all()
    assert (curves[..., 5] == 0).all()
    assert 0.35 < curves[..., 0].std() < 0.5  # knots have 0.5, and what lies between them less
    assert curves[..., 0].diff(dim=1).abs().max() < 0.5


def test_masks_are_one_stretch():
    batch = Clips(torch.ones(500, 20, 50), torch.full((500,), 40))
    hidden = changes.mask_time(batch, (0.1, 0.5), 1.0, generator()).signal == 0
    assert (hidden.all(dim=1) == hidden.any(dim=1)).all()
    count = hidden[:, 0, :40].sum(dim=-1)
    assert 3 <= count.min() < count.max() <= 21
    assert (hidden[:, 0, :40].int().diff(dim=-1) != 0).sum(dim=-1).max() <= 2
    hidden = changes.mask_bands(batch, (0.25, 0.25), 1.0, generator()).signal == 0
    assert (hidden.all(dim=-1) == hidden.any(dim=-1)).all()
    assert set(hidden[..., 0].sum(dim=-1).tolist()) <= {4, 5, 6}


def test_p_is_the_share_of_changed_samples():
    batch = Clips(torch.rand(1000, 8, 30) + 1, torch.full((1000,), 30))
    for change, bounds in (
        (changes.amplify, (6.0, 6.0)),
        (changes.mix, (0.0, 0.0)),
        (changes.resize_time, (0.5, 0.5)),
        (changes.resize_bands, (0.5, 0.5)),
        (changes.equalize, (1.0, 1.0)),
        (changes.mask_time, (0.5, 0.5)),
        (changes.mask_bands, (0.5, 0.5)),
    ):
        changed = (change(batch, bounds, 0.3, generator()).signal - batch.signal).abs().amax(dim=(1, 2)) > 1e-3
        assert changed.float().mean().item() == pytest.approx(0.3, abs=0.06), change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_views": 0}, "n_views >= 1 and n_local >= 0; got 0 and 0"),
        ({"n_local": -1}, "n_local >= 0; got 2 and -1"),
        ({"longest_s": 0.0}, r"longest_s > 0 and p in \[0, 1\]; got 0.0 and 0.5"),
        ({"p": 1.5}, r"p in \[0, 1\]; got 3.0 and 1.5"),
        ({"window": (0.0, 0.5)}, r"window as \(lowest, highest\), each > 0 and <= 1; got \(0.0, 0.5\)"),
        ({"local_window": (0.5, 1.5)}, "local_window"),
        ({"mix_snr_db": (5.0, 0.0)}, r"mix_snr_db as \(lowest, highest\); got \(5.0, 0.0\)"),
        ({"gain_db": (5.0, 0.0)}, "gain_db"),
        ({"resize_time": (0.0, 1.0)}, r"resize_time as \(lowest, highest\), each > 0; got"),
        ({"resize_bands": (0.0, 1.0)}, "resize_bands"),
        ({"equalize": (-1.0, 1.0)}, "equalize"),
        ({"mask_time": (0.0, 1.1)}, "mask_time"),
        ({"mask_bands": (-0.1, 1.0)}, "mask_bands"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        log_mel_views(clips(500), **{"p": 0.5, **options})
