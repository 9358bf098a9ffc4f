"""Parts from a Python file of one's own, and weights to start from: every door that a recipe has."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from bam_core import PretrainedEncoder
from bam_core.changed_views import ChangedViews
from bam_core.config.build import build
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.config.trust import remember
from bam_core.errors import DataError, InputError, RecipeError
from bam_core.probes.metrics import metric_of_weights, metric_title
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.runs.evaluate_run import evaluate_run
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import load_encoder
from bam_core.training.checkpoints import newest_checkpoint
from bam_core.views import Views

pytestmark = pytest.mark.usefixtures("quick_pictures")

MINE = """
import numpy as np
import torch
from torch import nn

from modalities.timeseries import MODALITY


class Encoder(nn.Module):
    def __init__(self, *, in_channels: int, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv1d(in_channels, width, 9)

    def forward(self, view):
        return self.layer(view).amax(dim=-1)


class MyViews:
    def __init__(self, *, noise: float) -> None:
        self.noise = noise

    def __call__(self, batch, *, generator=None):
        draw = lambda: torch.randn(batch.shape, generator=generator)
        return [batch + self.noise * draw() for _ in range(2)]


def read(*, n_series: int):
    return MODALITY.example(n_series=n_series)


def flip(view, *, generator, p: float = 0.5):
    turned = torch.rand(len(view), 1, 1, generator=generator) < p
    return torch.where(turned, -view, view)


def doubled(view):
    return 2 * view


def agreement(labels, scores):
    return np.mean(labels == scores.argmax(axis=1))


def nothing(labels, scores):
    raise ValueError("no idea")


word = "not callable"
"""
RECIPE = {
    "modality": "timeseries",
    "data": {"reader": "mine.py:read", "n_series": 64},
    "views": {
        "name": "mine.py:MyViews",
        "noise": 0.1,
        "changes": ["mine.py:doubled", {"name": "mine.py:flip", "p": 1}],
    },
    "encoder": {"name": "mine.py:Encoder", "width": 6},
    "objective": {"projector_hidden": 8, "projector_out": 4},
    "train": {"epochs": 1, "batch_size": 16, "accelerator": "cpu"},
    "evaluate": {
        "metrics": ["accuracy", "mine.py:agreement"],
        "fractions": [1.0],
        "bootstrap": 100,
        "baselines": "none",
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setenv("BAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def written(folder, **sections):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **sections}))
    return path


def test_a_run_of_parts_from_a_file(folder):
    path = written(folder)
    run = pretrain(load_recipe(path, trusted=True), folder / "run", progress=False)
    shutil.move(path, folder / "elsewhere.yaml")
    results = evaluate_run(run)
    for probe in ("knn", "linear"):
        ours = [results.row("bam", probe, 1.0, metric) for metric in results.metrics]
        assert ours[0].mean == pytest.approx(ours[1].mean)
        assert ours[0].spread == pytest.approx(ours[1].spread)
    assert results.title(results.metrics[1]).startswith("mine.py:agreement")
    encoder = load_encoder(run)  # trusted on this machine since the run
    assert type(encoder.encoder).__name__ == "Encoder"
    assert encoder(torch.randn(3, 2, 20)).shape == (3, 6)


DOORS = {
    "encoder": {"encoder": {"name": "mine.py:Encoder"}},
    "views": {"views": {"name": "mine.py:MyViews"}},
    "reader": {"data": {"reader": "mine.py:read"}},
    "change": {"views": {"name": "series", "changes": ["mine.py:doubled"]}},
    "options": {"views": {"name": "series", "changes": [{"name": "mine.py:flip", "p": 0.1}]}},
    "metric": {"evaluate": {"metrics": ["mine.py:agreement"]}},
}


@pytest.mark.parametrize("door", DOORS)
def test_a_file_that_nobody_trusts_does_not_run(folder, door):
    (folder / "mine.py").write_text("raise SystemExit('it ran')")
    path = folder / "recipe.yaml"
    smoke = yaml.safe_load(find_recipe("smoke/timeseries").read_text())
    path.write_text(yaml.safe_dump({**smoke, **DOORS[door]}))
    with pytest.raises(RecipeError, match=r"wants to run the Python file .*mine\.py"):
        load_recipe(path)
    (folder / "mine.py").write_text(MINE)
    assert load_recipe(path, trusted=True).recipe.modality == "timeseries"


def test_a_saved_encoder_from_a_file_asks_for_trust(folder):
    config = {"name": f"{folder}/mine.py:Encoder", "in_channels": 2}
    with pytest.raises(RecipeError, match="wants to run the Python file"):
        PretrainedEncoder("timeseries", config)
    assert PretrainedEncoder("timeseries", config, trusted=True)(torch.zeros(2, 2, 9)).shape == (2, 4)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"encoder": {"name": "mine.py:Encodr"}}, r"the file defines no 'Encodr'; did you mean 'Encoder'\?"),
        ({"encoder": {"name": "mine.py:word"}}, r"encoder.name '.*' expected a callable; got str"),
        ({"encoder": {"name": "mine.py:Encoder", "wdth": 3}}, "encoder.wdth: no such key; did you mean 'width'"),
        ({"encoder": {"name": "rocke"}}, r"did you mean 'rocket'\? Known: .*; or give 'path/to/file.py:NAME'"),
        ({"views": {"name": "series", "changes": "mine.py:flip"}}, r"views.changes: expected a list, .*mine.py"),
        (
            {"views": {"name": "series", "changes": ["flip"]}},
            "views.changes expected 'path/to/file.py:NAME'; got 'flip'",
        ),
        ({"views": {"name": "series", "changes": [{"p": 1}]}}, "views.changes.name: is missing"),
        (
            {"views": {"name": "series", "changes": [{"name": "mine.py:flip", "q": 1}]}},
            r"views.changes.q: no such key. Known: p\.",
        ),
        ({"evaluate": {"metrics": ["acuracy"]}}, r"no such metric; did you mean 'accuracy'\? Known: .*file.py:NAME"),
        (
            {"encoder": {"name": "rocket", "weights": 3}},
            "encoder.weights: expected a folder or a file .safetensors, got 3",
        ),
    ],
)
def test_mistakes_are_named(folder, section, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(written(folder, **section), trusted=True)


def test_changes_come_after_the_views_and_follow_from_the_generator(folder):
    def views(changes, seed=0):
        section = {"name": "mine.py:MyViews", "noise": 0.1, "changes": changes}
        parts = build(load_recipe(written(folder, views=section), trusted=True))
        batch = parts.dataset("train").__getitems__([0, 1, 2])
        return parts.view_fn(batch, generator=torch.Generator().manual_seed(seed))

    plain = views([])
    for changed, factor in ((["mine.py:doubled"], 2), (["mine.py:doubled", {"name": "mine.py:flip", "p": 1.0}], -2)):
        for before, after in zip(plain, views(changed).global_views, strict=True):
            torch.testing.assert_close(after, factor * before)
    drawn = views(["mine.py:flip"]).global_views
    assert all(a.equal(b) for a, b in zip(drawn, views(["mine.py:flip"]).global_views, strict=True))


def test_changed_views_keep_what_the_views_have():
    class Some:
        loader = "a loader"

        def __call__(self, batch):
            return Views([batch], [batch[:, :1]])

        def untouched(self, batch):
            return batch

    changed = ChangedViews(Some(), [lambda view: -view])
    made = changed(torch.ones(2, 3))
    assert (made.global_views[0].tolist(), made.local_views[0].tolist()) == ([[-1.0] * 3] * 2, [[-1.0]] * 2)
    assert (changed.loader, changed.untouched(5)) == ("a loader", 5)
    assert not hasattr(changed, "calibrate")


def test_a_metric_from_a_file_is_one_of_weighted_rows(folder):
    rng = np.random.default_rng(0)
    labels, scores, weights = rng.integers(3, size=40), rng.random((40, 3)), rng.integers(4, size=40).astype(float)
    ours = metric_of_weights(f"{folder}/mine.py:agreement", labels, scores)
    plain = metric_of_weights("accuracy", labels, scores)
    assert ours(weights) == pytest.approx(plain(weights))
    assert metric_title(f"{folder}/mine.py:agreement") == "mine.py:agreement"
    with pytest.raises(InputError, match=r"'mine.py:nothing' expected to return a number .* ValueError: no idea"):
        metric_of_weights(f"{folder}/mine.py:nothing", labels, scores)(weights)


def test_the_protocol_knows_a_metric_by_what_its_file_holds(folder):
    (folder / "other").mkdir()
    shutil.copy(folder / "mine.py", folder / "other" / "mine.py")
    here, there = (EvaluationProtocol(metrics=(f"{place}/mine.py:agreement",)) for place in (folder, folder / "other"))
    assert here.hash() == there.hash() != EvaluationProtocol(metrics=("accuracy",)).hash()
    (folder / "other" / "mine.py").write_text(MINE + "# changed")
    assert here.hash() != there.hash()


def started(folder, weights, **encoder):
    section = {"name": "mine.py:Encoder", "width": 6, "weights": str(weights), **encoder}
    remember([f"{folder}/mine.py:Encoder"])
    recipe = load_recipe(written(folder, encoder=section))
    parts = build(recipe)
    parts.objective(1)
    return parts


@pytest.fixture
def saved(folder):
    """A saved encoder, and its tensors."""
    config = {"name": f"{folder}/mine.py:Encoder", "in_channels": 2, "width": 6}
    encoder = PretrainedEncoder("timeseries", config, trusted=True)
    encoder.save_pretrained(folder / "run" / "encoder")
    return encoder.encoder.state_dict()


@pytest.mark.parametrize("form", ["encoder", "run", "file", "own names", "relative"])
def test_weights_to_start_from(folder, saved, form):
    encoder = folder / "run" / "encoder"
    save_file(saved, folder / "own.safetensors")
    places = {"encoder": encoder, "run": folder / "run", "file": encoder / "model.safetensors"}
    parts = started(folder, {**places, "own names": folder / "own.safetensors", "relative": "run"}[form])
    assert all(value.equal(saved[name]) for name, value in parts.encoder.state_dict().items())
    assert "weights" not in parts.encoder_config
    assert parts.resolved.recipe.encoder["weights"].startswith(str(folder))


def test_weights_without_a_place_are_listed(folder, saved):
    other = {"layer.weight": torch.zeros(6, 1, 9), "layer.offset": torch.zeros(6)}
    save_file(other, folder / "other.safetensors")
    with pytest.raises(
        DataError, match=r"encoder.weights: .*other.safetensors' is not one of this encoder; 3"
    ) as error:
        started(folder, folder / "other.safetensors")
    for line in (
        "layer.offset: the encoder has no such tensor",
        "layer.bias: the file has none for it",
        "layer.weight: (6, 1, 9) in the file, (6, 2, 9) in the encoder",
        "Take the encoder and the options that these weights were trained with.",
    ):
        assert line in str(error.value)
    with pytest.raises(DataError, match="2 tensor"):
        started(folder, folder / "run", width=5)


def test_weights_that_are_none(folder):
    (folder / "empty").mkdir()
    torch.save({}, folder / "a.pth")
    (folder / "damaged.safetensors").write_bytes(b"no weights")
    for name, said in (("nowhere", "is not there"), ("empty", "holds no weights"), ("a.pth", "holds no weights")):
        with pytest.raises(DataError, match=f"expected the folder of an encoder .*{name}', which {said}"):
            started(folder, folder / name)
    with pytest.raises(DataError, match="is damaged, or holds no safetensors"):
        started(folder, folder / "damaged.safetensors")


def test_a_run_goes_on_without_the_weights_that_it_began_with(folder, saved):
    recipe = load_recipe(written(folder, encoder={**RECIPE["encoder"], "weights": str(folder / "run")}), trusted=True)
    run = pretrain(recipe, folder / "new", progress=False)
    shutil.rmtree(folder / "run")
    before = load_file(run / "encoder" / "model.safetensors")
    shutil.rmtree(run / "encoder")
    assert newest_checkpoint(run / "checkpoints") is not None
    pretrain(recipe, run, progress=False)
    after = load_file(run / "encoder" / "model.safetensors")
    assert all(value.equal(before[name]) for name, value in after.items())
    assert not after["encoder.layer.weight"].equal(saved["layer.weight"])
