import json
import os
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bam_core import RecipeError
from bam_core.config.recipe import check_recipe, load_recipe
from bam_core.config.registry import load_objective
from bam_core.config.schema import Recipe, TrainSettings
from bam_core.config.shipped_recipes import find_recipe, header, recipe_names, shipped_recipes

RECIPES = sorted(shipped_recipes().rglob("*.yaml"))


def test_all_recipes_were_found():
    assert len(RECIPES) >= 4
    assert [find_recipe(name) for name in recipe_names()] == RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_explains_itself(path):
    resolved = load_recipe(path)
    assert check_recipe(yaml.safe_load(resolved.recipe.to_yaml())) == resolved
    assert len(header(path).partition("\n")[0]) > 20


def test_all_mistakes_come_at_once_with_the_nearest_key(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "modality: ecg\n"
        "data: {reader: exmaple}\n"
        "views: {name: ecg, mask: 1}\n"
        "encoder: {name: resnet1d, width: wide}\n"
        "objective: {name: bam, epsilo: 0.1}\n"
        "train: {epoch: 3, batch_size: 1}\n"
        "evaluate: {fractions: [2.0]}\n"
        "trian: {}\n"
    )
    with pytest.raises(RecipeError) as error:
        load_recipe(path, ["train.seed", "epochs=3", "train.epochs.x=1", "encoder.kernel_size=[}"])
    text = str(error.value)
    assert "has 13 mistake(s)" in text
    for line in (
        "override 'train.seed': expected key=value",
        "override 'epochs=3': no such key; did you mean 'train.epochs'?",
        "override 'encoder.kernel_size=[}': the value is not valid YAML",
        "data.reader 'exmaple' does not exist; did you mean 'example'? Known: wfdb, arrays",
        "views.mask: no such key; did you mean 'mask_s'?",
        "encoder.width: input should be a valid integer",
        "objective.epsilo: no such key; did you mean 'epsilon'?",
        "train.epoch: no such key; did you mean 'epochs'?",
        "train.batch_size: input should be greater than or equal to 2, got 1",
        "evaluate.fractions.0: input should be less than or equal to 1",
        "trian: no such key; did you mean 'train'?",
    ):
        assert line in text


def test_overrides_reach_every_section(smoke):
    recipe = smoke(
        "data.n_records=32", "views.crop=0.5", "encoder.width=4", "objective.top_k=8", "train.learning_rate=1e-3"
    ).recipe
    assert recipe.data["n_records"] == 32
    assert recipe.views["crop"] == 0.5
    assert recipe.encoder["width"] == 4
    assert recipe.objective == {"name": "bam", "top_k": 8}
    assert recipe.train.learning_rate == 1e-3


OF_BAM = "modality: ecg\ndata: {reader: example}\nviews: {name: ecg}\nencoder: {name: resnet1d}\n"


@pytest.mark.parametrize(
    ("overrides", "objective"),
    [
        ([], {"name": "bam", "epsilon": 0.04}),
        (["objective.name=bam"], {"name": "bam", "epsilon": 0.04}),
        (["objective.name=simclr"], {"name": "simclr"}),
        (["objective.temperature=0.3", "objective.name=simclr"], {"name": "simclr", "temperature": 0.3}),
        (["objective.name=swav", "objective.epsilon=0.1"], {"name": "swav", "epsilon": 0.1}),
        (["objective.name=swav", "objective.name=bam"], {"name": "bam", "epsilon": 0.04}),
        (["objective={name: vicreg, variance: 3.0}"], {"name": "vicreg", "variance": 3.0}),
    ],
)
def test_another_objective_does_not_inherit_options(tmp_path, overrides, objective):
    path = tmp_path / "recipe.yaml"
    path.write_text(OF_BAM + "objective: {name: bam, epsilon: 0.04}\n")
    assert load_recipe(path, overrides).recipe.objective == objective


@pytest.mark.parametrize(
    ("overrides", "data"),
    [
        ([], {"reader": "folder", "path": "FOLDER", "size": 64}),
        (["data.reader=folder", "data.path=a"], {"reader": "folder", "path": "a", "size": 64}),
        (["data.path=a.npz", "data.reader=arrays"], {"reader": "arrays", "path": "a.npz"}),
        (["data.reader=shards", "data.size=32"], {"reader": "shards", "size": 32}),
    ],
)
def test_another_reader_does_not_inherit_options(tmp_path, overrides, data):
    """`size` of folders is nothing that arrays know."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "modality: image\ndata: {reader: folder, path: FOLDER, size: 64}\nviews: {name: image}\nencoder: {name: cnn}\n"
    )
    assert load_recipe(path, overrides).recipe.data == data


def test_the_objective_of_a_recipe_that_names_none_is_bam(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(OF_BAM + "objective: {epsilon: 0.04}\n")
    assert load_recipe(path).recipe.objective == {"name": "bam", "epsilon": 0.04}
    assert load_recipe(path, ["objective.name=byol"]).recipe.objective == {"name": "byol"}
    with pytest.raises(RecipeError, match=r"objective\.epsilon: no such key"):
        load_recipe(path, ["objective.name=byol", "objective.epsilon=0.04"])


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=20))
def test_no_text_crashes_the_parser(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError):
        load_recipe(path)


def test_sections_are_required():
    with pytest.raises(RecipeError, match=r"data: field required[\s\S]*views: field required"):
        check_recipe({"modality": "ecg"})
    with pytest.raises(RecipeError, match=r"data.reader: is missing, one of wfdb"):
        check_recipe({"modality": "ecg", "data": {}, "views": {"name": "ecg"}, "encoder": {"name": "resnet1d"}})


def test_unknown_modality_and_objective():
    with pytest.raises(RecipeError, match=r"modality 'egc' is not installed; did you mean 'ecg'\?"):
        check_recipe({"modality": "egc"})
    with pytest.raises(RecipeError, match="objective 'nope' is not installed"):
        check_recipe({"modality": "ecg", "objective": {"name": "nope"}})
    with pytest.raises(RecipeError, match=r"modality file 'missing.py' does not exist"):
        check_recipe({"modality": "missing.py:MODALITY"})


SEISMIC = (
    "from dataclasses import replace\nfrom modalities.ecg import MODALITY as ECG\n"
    "MODALITY = replace(ECG, name='seismic')\nNUMBER = 3\n"
)
RAW = {"data": {"reader": "example"}, "views": {"name": "ecg"}, "encoder": {"name": "resnet1d"}}


def test_a_modality_in_one_file(tmp_path):
    (tmp_path / "seismic.py").write_text(SEISMIC)
    for spelt in (f"{tmp_path}/seismic.py:MODALITY", {"name": f"{tmp_path}/seismic.py:MODALITY"}):
        recipe = check_recipe({"modality": spelt, **RAW}).recipe
        assert recipe.modality == f"{tmp_path}/seismic.py:MODALITY"
        assert recipe.data == {"reader": "example"}
    with pytest.raises(RecipeError, match=r"defines no 'MODALITI'; did you mean 'MODALITY'\?"):
        check_recipe({"modality": f"{tmp_path}/seismic.py:MODALITI", **RAW})
    with pytest.raises(RecipeError, match=r"expected a bam_core.protocols.Modality; got int"):
        check_recipe({"modality": f"{tmp_path}/seismic.py:NUMBER", **RAW})
    with pytest.raises(RecipeError, match="modality: input should be a valid string"):
        check_recipe({"modality": {"name": "ecg", "path": "x"}, **RAW})
    assert check_recipe({"modality": {"name": "ecg"}, **RAW}).recipe.modality == "ecg"


def test_files_are_found_beside_the_recipe_or_in_the_current_folder(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "seismic.py").write_text(SEISMIC)
    (here / "mine.py").write_text("from bam_core.objectives.bam import make_bam as make_mine\n")
    raw = {"modality": {"name": "seismic.py:MODALITY"}, **RAW, "objective": {"name": "mine.py:make_mine"}}
    (there / "recipe.yaml").write_text(json.dumps(raw))
    monkeypatch.chdir(here)
    recipe = load_recipe(there / "recipe.yaml", trusted=True).recipe
    assert recipe.modality == f"{there}/seismic.py:MODALITY"
    assert recipe.objective["name"] == f"{here}/mine.py:make_mine"
    (there / "seismic.py").unlink()
    assert load_recipe(there / "recipe.yaml", trusted=True).recipe.modality == f"{here}/seismic.py:MODALITY"
    assert load_recipe(there / "recipe.yaml", ["modality=ecg"], trusted=True).recipe.modality == "ecg"
    (here / "seismic.py").unlink()
    with pytest.raises(
        RecipeError, match=r"'seismic.py' does not exist. A relative path starts at the recipe's folder"
    ):
        load_recipe(there / "recipe.yaml", trusted=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = 1\ny = x +\n", "line 2: SyntaxError: invalid syntax"), ("\n\nnp.zeros(3)", "line 3: NameError: name 'np'")],
)
def test_files_that_cannot_be_imported(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(RecipeError, match=f"broken.py' cannot be imported: {message}"):
        check_recipe({"modality": f"{tmp_path}/broken.py:MODALITY", **RAW})


def test_a_changed_file_is_run_again_and_an_unchanged_one_is_not(tmp_path):
    file = tmp_path / "counted.py"
    file.write_text("import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\ncount = lambda: sys.counted\n")
    name = f"{file}:count"
    assert [load_objective(name)(), load_objective(name)()] == [1, 1]
    file.write_text(file.read_text() + "\n")
    os.utime(file, ns=(0, 0))
    assert load_objective(name)() == 2
    del sys.counted


@pytest.mark.parametrize(("text", "message"), [("[1, 2", "not valid YAML"), ("- a", "expected a mapping of sections")])
def test_unreadable_recipes(tmp_path, text, message):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_every_setting_of_a_recipe_is_explained():
    for model in (Recipe, TrainSettings):
        source = model.__doc__ or ""
        assert source
    with pytest.raises(RecipeError, match=r"did you mean 'ecg/mitbih_resnet1d'\?"):
        find_recipe("mitbih_resnet1d")
