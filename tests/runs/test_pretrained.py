import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from bam_core import DataError, RecipeError
from bam_core.runs.pretrained import PretrainedEncoder


@pytest.fixture
def saved(tmp_path):
    encoder = PretrainedEncoder("ecg", {"name": "resnet1d", "in_channels": 2, "width": 8}, {"shape": [2, 50]})
    encoder.save_pretrained(tmp_path / "encoder")
    return encoder, tmp_path / "encoder"


def test_it_comes_back_in_one_line(saved):
    encoder, folder = saved
    loaded = PretrainedEncoder.from_pretrained(folder)
    x = torch.randn(3, 2, 70)
    assert torch.equal(loaded(x), encoder(x))
    assert not loaded.training
    assert loaded.facts == {"shape": [2, 50]}
    assert {f.name for f in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}


def test_weights_of_another_network_are_refused(saved):
    _, folder = saved
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in weights if name.endswith("weight")))
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(DataError, match=r"not those of the network[\s\S]*Missing key"):
        PretrainedEncoder.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"expected an encoder's model.safetensors"):
        PretrainedEncoder.from_pretrained(folder)


@pytest.mark.parametrize(
    ("file", "content"), [("config.json", b"{"), ("model.safetensors", b""), ("config.json", b"[]")]
)
def test_damaged_files_are_refused(saved, file, content):
    _, folder = saved
    (folder / file).write_bytes(content)
    with pytest.raises(
        DataError, match=r"expected the config.json and the model.safetensors of an encoder; they are dam"
    ):
        PretrainedEncoder.from_pretrained(folder)


def test_a_python_file_in_the_config_is_not_run_unasked(saved, tmp_path):
    _, folder = saved
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    config = json.loads((folder / "config.json").read_text())
    config["modality"] = f"{tmp_path}/evil.py:MODALITY"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RecipeError, match="trusted=True"):
        PretrainedEncoder.from_pretrained(folder)
    with pytest.raises(SystemExit, match="ran"):
        PretrainedEncoder.from_pretrained(folder, trusted=True)
