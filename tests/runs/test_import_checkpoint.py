"""Files laid out as the released checkpoints are, written here: student and teacher, wrapped in all ways."""

import argparse
import socket

import pytest
import torch
from torch import nn

from bam_core import DataError, InputError, PretrainedEncoder, Projector
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.import_checkpoint import import_checkpoint
from modalities.image.encoders import vit

TINY = ["encoder.size=tiny", "encoder.patch=8", "encoder.image_size=[32, 32]"]
FACTS = {"in_channels": 3, "image_size": [32, 32], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.fixture(scope="module")
def networks():
    """A student and a teacher as the authors' code has them: timm's network, and a projector."""
    torch.manual_seed(0)
    return {role: vit(**FACTS, size="tiny", patch=8).eval() for role in ("student", "teacher")}


def recipe(*overrides):
    return load_recipe(find_recipe("imagenet_vit"), [*TINY, *overrides])


def named(network, prefix):
    head = Projector(192, hidden_features=8, out_features=8, standardize=False).state_dict()
    weights = {f"{prefix}backbone.{k}": v for k, v in network.network.state_dict().items()}
    return weights | {f"{prefix}proj_head.{k}": v for k, v in head.items()}


def released(networks, path, **more):
    """With a teacher."""
    model = named(networks["student"], "student.module.") | named(networks["teacher"], "teacher.")
    optimizer = torch.optim.AdamW(nn.Linear(2, 2).parameters()).state_dict()
    state = {
        "model": model,
        "optimizer": optimizer,
        "epoch": 400,
        "args": argparse.Namespace(arch="vit_base", lr=4.8e-3),
    }
    torch.save({**state, "boxes": torch.rand(10, 4), "fp16_scaler": {"scale": 1.0}, **more}, path)
    return path


@pytest.mark.parametrize("network", ["student", "teacher", None])
def test_student_or_teacher(networks, tmp_path, network):
    file = released(networks, tmp_path / "a.pth")
    taken = import_checkpoint(file, recipe(), tmp_path / "encoder", network=network)
    n = len(networks["student"].network.state_dict())
    assert taken == (network or "teacher", n, 6, 400)
    loaded = PretrainedEncoder.from_pretrained(tmp_path / "encoder")
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(loaded(images), networks[network or "teacher"](images))
    assert loaded.facts["mean"] == FACTS["mean"]
    assert loaded.facts["image_size"] == [32, 32]
    assert loaded.source == {"checkpoint": "a.pth", "network": network or "teacher", "epoch": 400}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "",
        "module._orig_mod.",
        "_orig_mod.module.",
        "student._orig_mod.module.",
        "student.",
        "teacher._orig_mod.",
    ],
)
def test_any_wrapping(networks, tmp_path, prefix):
    torch.save({"model": named(networks["student"], prefix)}, tmp_path / "a.pth")
    taken = import_checkpoint(tmp_path / "a.pth", recipe(), tmp_path / "encoder")
    assert taken.network == next((role for role in ("student", "teacher") if role in prefix), None)
    assert (taken.n_left, taken.epoch) == (6, None)


@pytest.mark.parametrize("key", ["model", "state_dict", None])
def test_a_backbone_alone(networks, tmp_path, key):
    weights = networks["student"].network.state_dict()
    torch.save(weights if key is None else {key: weights}, tmp_path / "a.pth")
    assert import_checkpoint(tmp_path / "a.pth", recipe(), tmp_path / "encoder").n_left == 0
    torch.save(networks["student"].state_dict(), tmp_path / "b.pth")
    import_checkpoint(tmp_path / "b.pth", recipe(), tmp_path / "encoder b")


def test_every_tensor_without_a_place_is_listed(networks, tmp_path):
    model = named(networks["teacher"], "teacher.")
    model["teacher.backbone.norm.gamma"] = model.pop("teacher.backbone.norm.weight")
    model["teacher.backbone.blocks.3.attn.qkv.weight"] = torch.zeros(3, 3)
    torch.save({"model": model}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="3 tensor") as error:
        import_checkpoint(tmp_path / "a.pth", recipe(), tmp_path / "encoder")
    for line in (
        "norm.gamma: the encoder has no such tensor",
        "norm.weight: the file has none for it",
        r"blocks.3.attn.qkv.weight: (3, 3) in the file, (576, 192) in the encoder",
    ):
        assert line in str(error.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pth"]


def test_another_network_is_refused(networks, tmp_path):
    file = released(networks, tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"not one of this encoder; \d+ tensor\(s\)[\s\S]*and \d+ more"):
        import_checkpoint(file, recipe("encoder.size=small"), tmp_path / "encoder")


class Evil:
    def __reduce__(self):
        return (print, ("ran",))


def test_files_that_cannot_be_used(networks, tmp_path, capsys):
    file, folder = tmp_path / "a.pth", tmp_path / "encoder"
    with pytest.raises(DataError, match=r"expected a checkpoint at .*a.pth'; there is none"):
        import_checkpoint(file, recipe(), folder)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match=r"a.pth cannot be read"):
        import_checkpoint(file, recipe(), folder)
    torch.save({"model": named(networks["student"], ""), "args": Evil()}, file)
    with pytest.raises(DataError, match=r"holds objects of .*print.* that could run code"):
        import_checkpoint(file, recipe(), folder)
    assert "ran" not in capsys.readouterr().out
    torch.save([1], file)
    with pytest.raises(DataError, match="expected a dict; got list"):
        import_checkpoint(file, recipe(), folder)
    torch.save({"model": {}, "epoch": 3}, file)
    with pytest.raises(DataError, match="expected weights under 'model'; it holds model, epoch"):
        import_checkpoint(file, recipe(), folder)
    torch.save({"model": named(networks["student"], "")}, file)
    with pytest.raises(InputError, match="has no teacher; it has one network, unnamed"):
        import_checkpoint(file, recipe(), folder, network="teacher")
    folder.mkdir()
    with pytest.raises(InputError, match=r"expected a new folder; .*encoder' exists"):
        import_checkpoint(file, recipe(), folder)


def test_the_command(networks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # nothing is fetched
    file = released(networks, tmp_path / "a.pth")
    command = ["import-checkpoint", str(file), "-o", str(tmp_path / "encoder")]
    assert main([*command, *TINY]) == 0
    out = capsys.readouterr().out
    assert "tensors of the teacher, epoch 400; all found their place" in out
    assert "6 tensors of its projector were left out" in out
    assert main([*command, *TINY]) == 1
    assert "expected a new folder" in capsys.readouterr().err
    assert main(["import-checkpoint", str(file), "-o", str(tmp_path / "b"), "--network", "student", *TINY]) == 0
