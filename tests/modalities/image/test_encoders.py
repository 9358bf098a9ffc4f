import pytest
import torch

from bam_core.errors import InputError
from bam_core.runs.pretrained import PretrainedEncoder
from modalities.image import MODALITY
from modalities.image.encoders import Standardise, cnn, resnet18, timm_encoder, vit_tiny

FACTS = {"in_channels": 3, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
SIZED = {**FACTS, "image_size": [32, 32]}
SMALL = {
    "patches": {"in_channels": 3, "image_size": [32, 32], "n_patches": 16, "d": 20},
    "cnn": {**FACTS, "width": 4},
    "resnet18": {**SIZED, "width": 4},
    "vit_tiny": {**SIZED, "width": 12, "depth": 2},
    "vit": {**SIZED, "size": "tiny", "patch": 8},
    "timm": {**SIZED, "model": "resnet10t", "options": {"zero_init_last": False}},
}
EVERY = pytest.mark.parametrize("name", SMALL)


def make(name, **options):
    return MODALITY.encoders[name](**{**SMALL[name], **options})


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_every_encoder_is_tested():
    assert {*SMALL, "caformer_m36"} == set(MODALITY.encoders)  # too large for all of this: see test_paper_networks


@EVERY
@pytest.mark.parametrize("size", [16, 32, 48])
def test_one_vector_an_image_of_any_size(name, size):
    out = make(name)(images(3, 3, size, size))
    assert out.shape == make(name)(images(3, 3, 32, 32)).shape
    assert out.isfinite().all()


@EVERY
def test_grey_images(name):
    one = {"in_channels": 1, **({} if name == "patches" else {"mean": [0.5], "std": [0.2]})}
    assert make(name, **one)(images(3, 1, 32, 32)).shape[0] == 3


@EVERY
def test_bytes_and_fractions_are_the_same(name):
    network = make(name).eval()
    pixels = (images(4, 3, 32, 32) * 255).round().to(torch.uint8)
    torch.testing.assert_close(network(pixels), network(pixels / 255))


@EVERY
def test_every_parameter_learns_that_is_not_frozen(name):
    network = make(name)
    network(images(4, 3, 32, 32)).square().sum().backward()
    parameters = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)
    assert sum(p.grad.abs().sum() > 0 for p in parameters) > 0.8 * len(parameters)


def test_the_first_layer_standardises_and_is_in_the_facts_only(tmp_path):
    batch = images(2, 3, 5, 5)
    expected = (batch - torch.tensor(FACTS["mean"])[:, None, None]) / torch.tensor(FACTS["std"])[:, None, None]
    torch.testing.assert_close(Standardise(FACTS["mean"], FACTS["std"])(batch), expected)
    saved = PretrainedEncoder("image", {"name": "resnet18", **SMALL["resnet18"]}, facts=SIZED)
    assert not [key for key in saved.state_dict() if "standardise" in key]
    saved.save_pretrained(tmp_path)
    loaded = PretrainedEncoder.from_pretrained(tmp_path)
    batch = images(2, 3, 32, 32)
    assert torch.equal(loaded(batch), saved(batch))
    assert loaded.encoder.standardise.mean.flatten().tolist() == pytest.approx(FACTS["mean"])


def test_sizes_as_documented():
    assert n_parameters(resnet18(**SIZED)) == 11_168_832
    assert n_parameters(vit_tiny(**SIZED)) == 5_360_832
    assert n_parameters(cnn(**FACTS)) == 93_472
    with torch.no_grad():
        assert resnet18(**SIZED)(images(2, 3, 32, 32)).shape == (2, 512)
        assert vit_tiny(**SIZED, depth=1)(images(2, 3, 32, 32)).shape == (2, 192)
        assert cnn(**FACTS)(images(2, 3, 8, 8)).shape == (2, 512)


def test_small_images_keep_their_resolution():
    small, large = (resnet18(**{**SIZED, "image_size": [size, size]}, width=4).network for size in (64, 65))
    sizes = [
        network.layer1(network.maxpool(network.conv1(images(1, 3, 64, 64)))).shape[-1] for network in (small, large)
    ]
    assert sizes == [64, 16]
    assert vit_tiny(**SIZED, depth=1).network.patch_embed.patch_size == (4, 4)
    assert vit_tiny(**{**SIZED, "image_size": [96, 96]}, depth=1).network.patch_embed.patch_size == (16, 16)


def test_blocks_of_the_resnet_start_as_more_than_the_identity():
    """timm starts them at zero, and what is left of a narrow ResNet then sees one corner of a small image."""
    assert (resnet18(**SIZED, width=4).network.layer2[1].bn2.weight == 1).all()


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "caformer_s18", "resnet18"])
def test_networks_of_timm_take_the_size_of_the_data(model):
    options = {"options": {"patch_size": 8, "depth": 1}} if model.startswith("vit") else {}
    network = timm_encoder(model=model, **{**SIZED, "image_size": [64, 64]}, **options).eval()
    with torch.no_grad():
        assert network(images(1, 3, 64, 64)).ndim == network(images(1, 3, 32, 32)).ndim == 2


def test_wrong_options_and_batches():
    with pytest.raises(InputError, match="timm has no network 'resnet_18'; did you mean 'resnet18'"):
        timm_encoder(model="resnet_18", **SIZED)
    with pytest.raises(InputError, match=r"'resnet10t' does not take all of the options .*'colour'"):
        timm_encoder(model="resnet10t", **SIZED, options={"colour": 1})
    with pytest.raises(InputError, match=r"'resnet10t' does not take all of the options .*'img_size'"):
        timm_encoder(model="resnet10t", **SIZED, options={"img_size": 64})
    with pytest.raises(InputError, match="resnet18 expected a width of at least 1; got 0"):
        make("resnet18", width=0)
    with pytest.raises(InputError, match="cnn expected a width of at least 1; got 0"):
        make("cnn", width=0)
    with pytest.raises(InputError, match=r"multiple of heads, and a patch within images .* width 13, 3 heads, patch 4"):
        make("vit_tiny", width=13)
    with pytest.raises(InputError, match="patch 40"):
        make("vit_tiny", patch=40)
    with pytest.raises(InputError, match=r"expected images \(b, 3, height, width\); got \(2, 1, 32, 32\)"):
        make("cnn")(torch.zeros(2, 1, 32, 32))
