"""Parts that an installed package announces by entry points: every group, from a stand-in of a distribution."""

import numpy as np
import pytest
import torch
import yaml

from bam_core import PretrainedEncoder
from bam_core.config.build import build
from bam_core.config.recipe import load_recipe
from bam_core.errors import RecipeError
from bam_core.probes.metrics import metric_of_weights, metric_title
from bam_core.probes.protocol import EvaluationProtocol

CODE = """
import numpy as np
import torch
from torch import nn

from modalities.timeseries import MODALITY


class Net(nn.Module):
    def __init__(self, *, in_channels: int, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv1d(in_channels, width, 9)

    def forward(self, view):
        return self.layer(view).amax(dim=-1)


class Noisy:
    def __init__(self, *, noise: float = 0.1) -> None:
        self.noise = noise

    def __call__(self, batch, *, generator=None):
        return [batch + self.noise * torch.randn(batch.shape, generator=generator) for _ in range(2)]


def read(*, n_series: int):
    return MODALITY.example(n_series=n_series)


def hits(labels, scores):
    return np.mean(labels == scores.argmax(axis=1))


word = "not callable"
"""
ENTRIES = """
[bam_ssl.encoders]
their_net = parts_of_others:Net
their_word = parts_of_others:word
their_gap = parts_of_others:gap
resnet1d = parts_of_others:Net

[bam_ssl.views]
their_views = parts_of_others:Noisy

[bam_ssl.readers]
their_reader = parts_of_others:read

[bam_ssl.metrics]
their_hits = parts_of_others:hits
"""
RECIPE = {
    "modality": "timeseries",
    "data": {"reader": "their_reader", "n_series": 64},
    "views": {"name": "their_views"},
    "encoder": {"name": "their_net", "width": 6},
    "objective": {"projector_hidden": 8, "projector_out": 4},
    "train": {"epochs": 1, "batch_size": 16, "accelerator": "cpu"},
    "evaluate": {"metrics": ["accuracy", "their_hits"], "baselines": "none"},
}


@pytest.fixture(autouse=True)
def distribution(tmp_path, monkeypatch):
    (tmp_path / "parts_of_others.py").write_text(CODE)
    about = tmp_path / "parts_of_others-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: parts-of-others\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)


def recipe(folder, **sections):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **sections}))
    return load_recipe(path)


def test_a_recipe_names_them_like_parts_of_the_modality(tmp_path):
    parts = build(recipe(tmp_path))
    assert (type(parts.encoder).__name__, type(parts.view_fn).__name__) == ("Net", "Noisy")
    batch = parts.dataset("train").__getitems__([0, 1])
    first, second = parts.view_fn(batch, generator=torch.Generator().manual_seed(0))
    assert parts.encoder(first).shape == (2, 6)
    assert not first.equal(second)
    saved = PretrainedEncoder("timeseries", parts.encoder_config)
    assert saved(torch.zeros(3, 2, 20)).shape == (3, 6)


def test_a_name_of_the_modality_is_the_modalitys(tmp_path):
    assert type(build(recipe(tmp_path, encoder={"name": "resnet1d", "width": 8})).encoder).__name__ == "ResNet1d"


def test_a_metric_is_one_of_weighted_rows():
    rng = np.random.default_rng(0)
    labels, scores, weights = rng.integers(3, size=40), rng.random((40, 3)), rng.integers(4, size=40).astype(float)
    theirs, ours = (metric_of_weights(name, labels, scores) for name in ("their_hits", "accuracy"))
    assert theirs(weights) == pytest.approx(ours(weights))
    assert metric_title("their_hits") == "their_hits"
    assert EvaluationProtocol(metrics=("their_hits",)).hash() != EvaluationProtocol(metrics=("accuracy",)).hash()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"encoder": {"name": "their_nets"}}, r"did you mean 'their_net'\? Known: .*resnet1d.*their_net"),
        (
            {"encoder": {"name": "their_word"}},
            r"'their_word' expected a callable; got str, from 'parts_of_others:word'",
        ),
        ({"encoder": {"name": "their_gap"}}, r"of the package 'parts-of-others' cannot be imported: AttributeError"),
        ({"encoder": {"name": "their_net", "widht": 3}}, "encoder.widht: no such key; did you mean 'width'"),
        ({"evaluate": {"metrics": ["their_hit"]}}, r"no such metric; did you mean 'their_hits'\?"),
    ],
)
def test_mistakes_are_named(tmp_path, section, said):
    with pytest.raises(RecipeError, match=said):
        recipe(tmp_path, **section)
