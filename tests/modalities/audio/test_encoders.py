import pytest
import torch
from ragged import pad
from torch import nn

from bam_core.errors import InputError
from bam_core.runs.pretrained import PretrainedEncoder
from modalities.audio import MODALITY
from modalities.audio.encoders import MelCNN, MelViT
from modalities.audio.mel import LogMel, mel_settings

RATE = 4000
MEL = {**mel_settings(sampling_rate_hz=RATE, n_mels=20), "mean": [-5.0] * 20, "std": [2.0] * 20}
SMALL = {
    "cnn": {"mel": MEL, "width": 4, "d": 16},
    "vit": {"mel": MEL, "patch": 8, "width": 32, "depth": 2, "heads": 2},
    "resnet1d": {"in_channels": 1, "width": 8},
}
EVERY = pytest.mark.parametrize("name", SMALL)
ON_MEL = pytest.mark.parametrize("name", ["cnn", "vit"])


def make(name, **options):
    return MODALITY.encoders[name](**{**SMALL[name], **options})


def clips(*lengths, to=None, filler=0.0):
    return pad([torch.randn(1, n, generator=torch.Generator().manual_seed(n)) for n in lengths], to=to, filler=filler)


def test_every_encoder_is_tested():
    assert set(SMALL) == set(MODALITY.encoders)


@EVERY
@pytest.mark.parametrize("length", [100, 1500, 9000])
def test_one_vector_a_clip_of_any_length(name, length):
    network = make(name)
    equal = network(torch.randn(3, 1, length))
    assert equal.ndim == 2
    assert equal.isfinite().all()
    assert network(clips(length, 120, 4000)).shape == equal.shape


@EVERY
def test_an_embedding_does_not_depend_on_padding(name):
    network = make(name).eval()
    lengths = (3000, 1900, 450, 101)
    alone = torch.cat([network(clips(n)["signal"]) for n in lengths])
    torch.testing.assert_close(network(clips(*lengths)), alone, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(network(clips(*lengths, to=5000, filler=3.0)), alone, rtol=1e-3, atol=1e-4)


@EVERY
def test_nor_does_training(name):
    network = make(name).train()
    lengths = (3000, 1900, 450, 101)
    torch.testing.assert_close(
        network(clips(*lengths)), network(clips(*lengths, to=5000, filler=3.0)), rtol=1e-3, atol=1e-4
    )


@ON_MEL
def test_a_log_mel_is_taken_as_it_is(name):
    network = make(name).eval()
    batch = clips(3000, 700)
    torch.testing.assert_close(network(LogMel(MEL)(batch)), network(batch))


@ON_MEL
def test_long_clips_are_averages_of_their_windows(name):
    network = make(name, context_s=0.32).eval()
    mel = LogMel(MEL)(torch.randn(2, 1, 3200))  # 81 frames
    parts = [network(mel[..., :32]), network(mel[..., 32:64]), network(mel[..., 64:])]
    torch.testing.assert_close(network(mel), (32 * parts[0] + 32 * parts[1] + 17 * parts[2]) / 81, rtol=1e-4, atol=1e-5)
    found = network.embed_windows(clips(3200, 1000), window=32)
    assert found.steps.tolist() == [[32, 32, 17], [26, 0, 0]]
    assert network(clips(6000, 200)).isfinite().all()


@EVERY
def test_every_parameter_learns(name):
    network = make(name)
    network(clips(3000, 700, 1500, 2000)).square().sum().backward()
    for parameter, p in network.named_parameters():
        assert p.grad is not None, parameter
        assert p.grad.isfinite().all(), parameter
    assert sum(p.grad.abs().sum() > 0 for p in network.parameters()) > 0.8 * len(list(network.parameters()))


def test_the_first_layer_is_in_no_file_but_in_the_facts(tmp_path):
    options = {"name": "cnn", **SMALL["cnn"]}
    saved = PretrainedEncoder("audio", options, facts={"mel": MEL})
    assert not [key for key in saved.state_dict() if "log_mel" in key]
    saved.save_pretrained(tmp_path)
    loaded = PretrainedEncoder.from_pretrained(tmp_path)
    batch = clips(3000, 700)
    assert torch.equal(loaded(batch), saved(batch))
    assert loaded.encoder.log_mel.mean.flatten().tolist() == MEL["mean"]


def test_half_precision_and_double():
    batch = clips(3000, 700)
    network = make("cnn").eval()
    expected = network(batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(batch).float(), expected, rtol=0.1, atol=0.1)
    doubled = {**batch, "signal": batch["signal"].double()}
    torch.testing.assert_close(network.double()(doubled).float(), expected, rtol=1e-3, atol=1e-4)


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_sizes_as_documented():
    mel = mel_settings(sampling_rate_hz=16000)
    assert n_parameters(MelCNN(mel=mel)) == 879_840
    assert n_parameters(MelViT(mel=mel)) == 5_388_096
    assert MelCNN(mel=mel)(torch.randn(2, 1, 800)).shape == (2, 512)
    assert MelViT(mel=mel, depth=1)(torch.randn(2, 1, 800)).shape == (2, 384)


def test_the_log_mel_of_a_tone():
    settings = mel_settings(sampling_rate_hz=8000, n_mels=40)
    low, high = (
        LogMel(settings)(torch.sin(2 * torch.pi * hz * torch.arange(4000) / 8000)[None, None])[0, :, 25]
        for hz in (300, 2000)
    )
    assert low.argmax() < high.argmax()
    silence = LogMel(settings)(torch.zeros(1, 1, 4000))[0, :, 25]
    assert (high.max() - silence.max()).item() == pytest.approx(65 * 0.23, abs=3)  # nepers of power, of 65 dB
    louder = LogMel(settings)(2 * torch.sin(2 * torch.pi * 300 * torch.arange(4000) / 8000)[None, None])[0, :, 25]
    assert (louder.max() - low.max()).item() == pytest.approx(6.02 * 0.2303, abs=0.01)


def test_wrong_options_and_batches():
    with pytest.raises(InputError, match="width that is a multiple of 4 and of heads; got 30 and 3"):
        make("vit", width=30, heads=3)
    with pytest.raises(InputError, match="context of at least two steps; got 1"):
        make("cnn", context_s=0.01)
    with pytest.raises(InputError, match="at least two bands, a window of two samples and a hop of one; got 1 bands"):
        LogMel(mel_settings(sampling_rate_hz=8000, n_mels=1))
    with pytest.raises(InputError, match=r"waveforms \(b, 1, t\) or log-mels \(b, 20, frames\); got \(2, 3, 50\)"):
        make("cnn")(torch.zeros(2, 3, 50))


def test_blocks_of_the_transformer_start_differently():
    first, second = make("vit").trunk.blocks
    assert not torch.equal(first.attn.qkv.weight, second.attn.qkv.weight)
    assert all(isinstance(block, nn.Module) for block in (first, second))
