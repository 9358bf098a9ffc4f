import math

import pytest
import torch
from torch import nn

from bam_core import Projector
from bam_core.errors import InputError
from bam_core.training.module import decay_groups
from modalities.image.encoders import ImageEncoder, caformer_m36, cnn, timm_encoder, vit
from modalities.image.encoders.paper import sincos_positions
from modalities.image.encoders.saliency import saliency

FACTS = {"in_channels": 3, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
FULL = {**FACTS, "image_size": [224, 224]}
TINY = {**FACTS, "image_size": [32, 32], "size": "tiny", "patch": 8}


def count(module, frozen=None):
    return sum(p.numel() for p in module.parameters() if frozen is None or p.requires_grad != frozen)


def images(b=2, size=32):
    return torch.rand(b, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("size", "width", "total"), [("small", 384, 21_665_664), ("base", 768, 85_798_656)])
def test_vit_has_the_parameters_of_the_paper_and_two_frozen_tables(size, width, total):
    blocks = 12 * (12 * width**2 + 13 * width)  # qkv, projection, MLP of 4 d; biases; two norms
    with torch.device("meta"):
        network = vit(size=size, **FULL)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {
        f"trunk.network.{name}" for name in ("patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed")
    }
    fixed = 16 * 16 * 3 * width + width + 197 * width
    assert count(network) == total == blocks + fixed + width + 2 * width  # class token, last norm
    assert count(network, frozen=True) == fixed


def test_caformer_has_gelu_everywhere_and_no_scaled_residuals():
    import timm

    with torch.device("meta"):
        network = caformer_m36(**FACTS)
        original = timm.create_model("caformer_m36", num_classes=0)
    left_out = [n for n, _ in original.named_parameters() if "res_scale" in n or ".act" in n]
    assert len(left_out) == 2 * 21 + 36 * 2 + 15 * 2  # 21 blocks of attention; StarReLU has scale and bias
    assert {n for n, _ in network.network.named_parameters()} == {
        n for n, _ in original.named_parameters() if n not in left_out
    }
    assert not any(type(m).__name__ == "StarReLU" for m in network.modules())
    assert count(network) == 52_548_480 == count(original) - 2 * (18 * 384 + 3 * 576) - 51 * 2
    assert network(torch.rand(1, 3, 96, 96, device="meta")).shape == (1, 576)


@pytest.mark.parametrize(("width", "total"), [(384, 35_139_584), (768, 36_712_448), (576, 35_926_016)])
def test_projector_of_the_paper(width, total):
    with torch.device("meta"):
        projector = Projector(width, hidden_features=4096, out_features=4096, standardize=False)
    assert count(projector) == total == width * 4096 + 4096 + 2 * (4096**2 + 4096)
    assert [type(m) for m in projector] == [type(projector[0]), nn.GELU] * 2 + [type(projector[0])]


def test_frozen_tables_stay_and_matrices_decay():
    network = vit(**TINY)
    before = {n: p.clone() for n, p in network.named_parameters() if not p.requires_grad}
    groups = decay_groups(network)
    optimiser = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.4)
    network(images()).square().sum().backward()
    optimiser.step()
    assert all(torch.equal(dict(network.named_parameters())[n], p) for n, p in before.items())
    decaying, still = ({id(p) for p in group["params"]} for group in groups)
    for name, p in network.named_parameters():
        place = (id(p) in decaying) - (id(p) in still)
        assert place == (0 if name in before else -1 if name.endswith("bias") or "norm" in name else 1), name


def test_positions_are_sines_and_cosines_of_column_and_row():
    table = sincos_positions(3, 5, 16)
    assert table.shape == (15, 16)
    for row in range(3):
        for column in range(5):
            angles = [[place / 10_000 ** (i / 4) for i in range(4)] for place in (column, row)]
            expected = [f(a) for axis in angles for f in (math.sin, math.cos) for a in axis]
            assert table[5 * row + column].tolist() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(InputError, match="a multiple of 4 features; got 6"):
        sincos_positions(2, 2, 6)
    stored = vit(**TINY).network.pos_embed[0]
    assert torch.equal(stored[1:], sincos_positions(4, 4, 192))
    assert not stored[0].any()


def test_the_patch_projection_is_random_and_unbiased():
    torch.manual_seed(0)
    first, second = (vit(**TINY).network.patch_embed.proj for _ in range(2))
    assert not torch.equal(first.weight, second.weight)
    bound = math.sqrt(6 / (3 * 8 * 8 + 192))
    assert first.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert first.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not first.bias.any()


def test_the_output_is_the_class_token():
    network = vit(**TINY).eval()
    tokens = network.network.forward_features(network.standardise(images()))
    torch.testing.assert_close(network(images()), tokens[:, 0])


@pytest.mark.parametrize(("patch", "size"), [(8, 32), (4, 32), (16, 48)])
def test_other_patches_and_resolutions(patch, size):
    network = vit(**{**TINY, "patch": patch, "image_size": [size, 2 * size]})
    assert network(torch.rand(2, 3, size, 2 * size)).shape == (2, 192)
    assert network(images()).shape == (2, 192)


def test_wrong_shapes():
    with pytest.raises(InputError, match=r"divide the width 192, .* got 5 heads, patch 8"):
        vit(**TINY, heads=5)
    with pytest.raises(InputError, match=r"images of \[32, 32\] pixels in whole patches; got 3 heads, patch 5"):
        vit(**{**TINY, "patch": 5})


def test_saliency_is_the_attention_of_the_class_token():
    """Against the attention of the unfused computation, caught on its way through dropout."""
    network = vit(**TINY, heads=4).eval()
    attention = network.network.blocks[-1].attn
    attention.fused_attn = False
    caught = []
    attention.attn_drop.register_forward_hook(lambda module, args, out: caught.append(out))
    network(images())
    expected = caught[0][:, :, 0, 1:].sum(dim=1).reshape(2, 4, 4)
    torch.testing.assert_close(saliency(network, images()), expected)
    assert saliency(network, torch.rand(2, 3, 16, 32)).shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("model", "depths", "channels"), [("resnet10t", None, 1), ("swin_tiny_patch4_window7_224", 1, 3)]
)
def test_saliency_without_a_class_token_is_the_strength_of_the_features(model, depths, channels):
    options = {"depths": [depths] * 4, "window_size": 2} if depths else {}
    network = timm_encoder(model=model, **{**FACTS, "image_size": [64, 64]}, options=options).eval()
    with torch.no_grad():
        features = network.network.forward_features(network.standardise(images(2, 64)))
        torch.testing.assert_close(saliency(network, images(2, 64)), features.sum(dim=channels))


def test_networks_without_saliency_say_so():
    with pytest.raises(InputError, match=r"expected a network of timm.*got SmallCNN"):
        saliency(cnn(**FACTS), images())
    with pytest.raises(InputError, match=r"expected a network of timm.*got Flatten"):
        saliency(nn.Flatten(), images())
    network = timm_encoder(
        model="vit_tiny_patch16_224", options={"class_token": False, "global_pool": "avg", "depth": 1}, **FULL
    )
    with pytest.raises(InputError, match=r"VisionTransformer returns \(1, 196, 192\)"):
        saliency(network, images(1, 224))


def test_encoders_are_image_encoders():
    assert isinstance(vit(**TINY), ImageEncoder)
