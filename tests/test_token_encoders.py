"""Every encoder that has tokens: hidden places have no influence, and files from before there were tokens."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bam_core import PretrainedEncoder
from bam_core.config.registry import load_modality
from bam_core.errors import InputError
from bam_core.tokens import TokenEncoder
from modalities.image.encoders import ImageEncoder, ViTEncoder, timm_encoder

BEFORE = Path(__file__).parent / "fixtures" / "version_0_1" / "token_encoders"
IMAGES = {"in_channels": 3, "image_size": [32, 32], "mean": [0.5] * 3, "std": [0.2] * 3}
MEL = {"sampling_rate_hz": 2000, "frame_ms": 25.0, "hop_ms": 10.0, "mean": [0.0] * 12, "std": [1.0] * 12}


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


def changed_series(view, place):
    signal = view["signal"].clone()
    signal[..., 4 * place : 4 * place + 4] += 1
    return {**view, "signal": signal}


def changed_mel(view, place):
    mel = view["signal"].clone()
    band, frame = divmod(place, 5)
    mel[:, 4 * band : 4 * band + 4, 4 * frame : 4 * frame + 4] += 1
    return {**view, "signal": mel}


def changed_image(view, place):
    images = view.clone()
    row, column = divmod(place, 4)
    images[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 0
    return images


def changed_row(view, place):
    numeric, missing, categorical = view["numeric"].clone(), view["missing"].clone(), view["categorical"].clone()
    if place < 3:
        numeric[:, place] += 0.5
    else:
        categorical[:, place - 3] = 1 - categorical[:, place - 3]
    return {"numeric": numeric, "missing": missing, "categorical": categorical}


SERIES = {"in_channels": 2, "patch": 4, "width": 8, "depth": 2, "heads": 2}
ROWS = {"n_numeric": 3, "cardinalities": [2, 2], "quantiles": [[-1.0, 0.0, 0.5, 1.0]] * 3, "width": 8, "n_bins": 3}
EVERY = {
    ("timeseries", "patch_transformer"): (
        SERIES, {"signal": noise(3, 2, 19), "length": torch.tensor([19, 9, 3])}, (5,), changed_series,
    ),
    ("ecg", "patch_transformer"): (
        SERIES, {"signal": noise(2, 2, 20), "length": torch.tensor([20, 20])}, (5,), changed_series,
    ),
    ("audio", "vit"): (
        {"mel": MEL, "patch": 4, "width": 8, "depth": 2, "heads": 2},
        {"signal": noise(3, 12, 20), "length": torch.tensor([20, 7, 12])}, (3, 5), changed_mel,
    ),
    ("image", "vit_tiny"): (
        {**IMAGES, "patch": 8, "width": 8, "depth": 2, "heads": 2}, noise(2, 3, 27, 32), (4, 4), changed_image,
    ),
    ("image", "vit"): ({**IMAGES, "size": "tiny", "patch": 8}, noise(2, 3, 32, 32), (4, 4), changed_image),
    ("tabular", "ft_transformer"): (
        {**ROWS, "depth": 2, "n_heads": 2},
        {
            "numeric": noise(3, 3), "missing": torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0]]).bool(),
            "categorical": torch.tensor([[0, 1], [1, 1], [0, 0]]),
        },
        (5,), changed_row,
    ),
}  # fmt: skip


def made(name):
    modality, encoder = name
    options, view, grid, change = EVERY[name]
    torch.manual_seed(0)
    network = load_modality(modality).encoders[encoder](**options).eval()
    return network, view, grid, change


def test_every_encoder_with_tokens_is_here():
    found = {
        (entry.name, name)
        for entry in entry_points(group="bam_ssl.modalities")
        for name, factory in load_modality(entry.name).encoders.items()
        if issubclass(factory if isinstance(factory, type) else factory.__annotations__["return"], TokenEncoder)
    }
    assert found == set(EVERY)


@pytest.mark.parametrize("name", EVERY, ids="-".join)
def test_what_is_hidden_has_no_influence(name):
    network, view, grid, change = made(name)
    n = torch.tensor(grid).prod().item()
    b = 2 if isinstance(view, torch.Tensor) else len(next(iter(view.values())))
    assert network.grid(view) == grid
    assert network.ordered == (name[0] != "tabular")
    order = torch.rand(b, n, generator=torch.Generator().manual_seed(1)).argsort(dim=1)
    order[:] = order[0]
    shown, hidden = order[:, : n // 2], order[0, n // 2 :]
    with torch.no_grad():
        before = network.trunk(view, keep=shown)
        everything = network.trunk(view)
        assert before.place.equal(shown)
        for place in hidden.tolist():
            other = change(view, place)
            after = network.trunk(other, keep=shown)
            assert after.values.equal(before.values)
            assert (after.summary is None) == (before.summary is None)
            assert before.summary is None or after.summary.equal(before.summary)
            assert not torch.allclose(network.trunk(other).values[0], everything.values[0])  # the change is one
        other = change(view, shown[0, 0].item())
        assert not torch.allclose(network.trunk(other, keep=shown).values[0], before.values[0])


@pytest.mark.parametrize("name", [("timeseries", "patch_transformer"), ("audio", "vit")], ids="-".join)
def test_tokens_behind_the_end_are_absent_and_have_no_influence(name):
    network, view, grid, _ = made(name)
    whole = network.trunk(view)
    patches = (view["length"] + 3) // 4
    columns = torch.arange(grid[-1]).expand(3, grid[-1]) < patches[:, None]
    assert whole.present.equal(columns.repeat(1, grid[0] if len(grid) == 2 else 1))
    keep = torch.arange(whole.present.shape[1] - 1, -1, -1).expand(3, -1).contiguous()  # absent ones come first
    some = network.trunk(view, keep=keep)
    assert some.present.equal(whole.present.flip(1))
    torch.testing.assert_close(some.values.flip(1)[whole.present], whole.values[whole.present])
    alone = {"signal": view["signal"][1:2, ..., : 4 * patches[1]], "length": view["length"][1:2]}
    torch.testing.assert_close(network.trunk(alone).values[0], whole.values[1][whole.present[1]])
    nothing = network.trunk(view, keep=torch.full((3, 1), grid[-1] - 1))
    assert nothing.present.tolist() == [[True], [False], [False]]
    assert nothing.values.isfinite().all()


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [(("timeseries", "patch_transformer"), {"context": 16}, "context"), (("audio", "vit"), {"context_s": 0.16}, "_s")],
    ids=["series", "audio"],
)
def test_tokens_of_more_than_the_context_are_refused(name, option, said):
    options, view, *_ = EVERY[name]
    network = load_modality(name[0]).encoders[name[1]](**options, **option)
    assert network(view).isfinite().all()
    with pytest.raises(InputError, match=rf"within its context of 16 steps; got (19|20). Cut the views.*{said}"):
        network.trunk(view)


def test_a_trunk_refuses_other_channels():
    network = made(("timeseries", "patch_transformer"))[0]
    with pytest.raises(InputError, match=r"this PatchTransformer expected series of 2 channel\(s\)"):
        network.trunk(noise(2, 3, 16))


@pytest.mark.parametrize(
    ("model", "has_tokens"),
    [("vit_tiny_patch16_224", True), ("deit_tiny_distilled_patch16_224", False), ("resnet10t", False)],
)
def test_networks_of_timm_with_tokens(model, has_tokens):
    network = timm_encoder(model=model, **IMAGES).eval()
    assert isinstance(network, ImageEncoder)
    assert isinstance(network, ViTEncoder) == has_tokens
    if has_tokens:
        images = noise(2, 3, 32, 32)
        torch.testing.assert_close(network(images), network.network(network.standardise(images)))
        assert network.probe_features(images).shape == (2, 2 * 192)


@pytest.mark.parametrize("folder", ["patch_transformer", "mel_vit", "vit_tiny", "ft_transformer"])
def test_encoders_saved_before_there_were_tokens(folder):
    network = PretrainedEncoder.from_pretrained(BEFORE / folder)
    stored = load_file(BEFORE / folder / "views_and_embeddings.safetensors")
    views = {name.removeprefix("view."): x for name, x in stored.items() if name.startswith("view.")}
    expected = {name.removeprefix("embeddings."): x for name, x in stored.items() if name.startswith("embeddings.")}
    views["parts"] = {name: x for name, x in views.items() if name not in expected}
    assert expected
    for name, embeddings in expected.items():
        with torch.no_grad():
            torch.testing.assert_close(network(views[name]), embeddings, rtol=1e-4, atol=1e-5)
