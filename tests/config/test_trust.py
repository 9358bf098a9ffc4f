"""Code that a recipe, a run or an encoder of somebody else names runs only when the user says so."""

import json
import shutil

import pytest
import yaml

from bam_core import PretrainedEncoder, RecipeError
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.config.trust import check_trusted, files_in, remember
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import load_run

pytestmark = pytest.mark.usefixtures("quick_pictures")

CODE = """
from dataclasses import replace
from pathlib import Path

from bam_core.objectives.bam import make_bam as make_mine
from modalities.ecg import MODALITY as ECG

Path(__file__).with_suffix(".ran").touch()
MODALITY = replace(ECG, name="theirs")
"""
REFUSED = r"wants to run the Python file '.*theirs\.py', which nobody has trusted as it is now\. .* --trust"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that names no file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        quick = ["train.epochs=1", "evaluate.bootstrap=100", "evaluate.fractions=[1.0]"]
        recipe = load_recipe(find_recipe("smoke/ecg"), quick)
        return pretrain(recipe, tmp_path_factory.mktemp("made") / "run", progress=False)


@pytest.fixture
def theirs(tmp_path, made):
    """A folder with a recipe, a run with its encoder, and the file that they name; it leaves a mark if it runs."""
    folder = tmp_path / "from a stranger"
    run = folder / "run"
    shutil.copytree(made, run)
    (folder / "theirs.py").write_text(CODE)
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    for file, name in ((folder / "recipe.yaml", "theirs.py:MODALITY"), (run / "recipe.yaml", "../theirs.py:MODALITY")):
        file.write_text(yaml.safe_dump({**raw, "modality": {"name": name}}))
    config = json.loads((run / "encoder" / "config.json").read_text())
    (run / "encoder" / "config.json").write_text(json.dumps({**config, "modality": f"{folder}/theirs.py:MODALITY"}))
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "recipe.yaml"],
        ["pretrain", "recipe.yaml", "run=mine"],
        ["pretrain", "recipe.yaml", "--dry-run"],
        ["compare", "recipe.yaml", "--objectives", "bam"],
        ["bench", "train", "recipe.yaml"],
        ["import-checkpoint", "x.pth", "-o", "x", "--recipe", "recipe.yaml"],
        ["evaluate", "run"],
        ["evaluate", "run", "run"],
        ["evaluate", "run", "--protocol", "imagenet-knn"],
        ["embed", "run", "data", "-o", "x.parquet"],
        ["replay", "run"],
    ],
    ids=" ".join,
)
def test_no_command_runs_it_unasked(theirs, monkeypatch, capsys, command):
    monkeypatch.chdir(theirs)
    (theirs / "run" / "nonfinite" / "step=00000001").mkdir(parents=True)
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "theirs.py', which nobody has trusted as it is now. Read it; if you trust it, say so with --trust" in said
    assert said.count("\n") == 1
    assert not (theirs / "theirs.ran").exists()


def test_no_function_runs_it_unasked(theirs):
    for call in (
        lambda: load_recipe(theirs / "recipe.yaml"),
        lambda: load_run(theirs / "run"),
        lambda: PretrainedEncoder.from_pretrained(theirs / "run" / "encoder"),
    ):
        with pytest.raises(RecipeError, match=REFUSED):
            call()
    assert not (theirs / "theirs.ran").exists()
    assert PretrainedEncoder.from_pretrained(theirs / "run" / "encoder", trusted=True).modality.name == "theirs"
    assert (theirs / "theirs.ran").exists()


def test_who_says_so_is_asked_once_for_what_the_file_is_now(theirs, monkeypatch, capsys):
    monkeypatch.chdir(theirs)
    assert main(["validate", "recipe.yaml", "--trust"]) == 0
    assert main(["validate", "recipe.yaml"]) == 1  # only a run is remembered
    assert main(["pretrain", "recipe.yaml", "run=mine", "--trust"]) == 0
    for command in (["validate", "recipe.yaml"], ["evaluate", "mine"], ["pretrain", "recipe.yaml", "run=mine"]):
        assert main(command) == 0
    assert PretrainedEncoder.from_pretrained(theirs / "mine" / "encoder").modality.name == "theirs"
    (theirs / "theirs.py").write_text(CODE + "\n# changed\n")
    assert main(["evaluate", "mine"]) == 1
    assert "nobody has trusted as it is now" in capsys.readouterr().err


def test_what_the_user_names_himself_runs(theirs, monkeypatch, tmp_path):
    monkeypatch.chdir(theirs)
    recipe = yaml.safe_load((theirs / "recipe.yaml").read_text())
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump({**recipe, "modality": "ecg"}))
    named = load_recipe(tmp_path / "plain.yaml", ["objective.name=theirs.py:make_mine"])
    assert named.objective.name == f"{theirs}/theirs.py:make_mine"
    assert load_recipe(theirs / "recipe.yaml", ["modality=ecg"]).recipe.modality == "ecg"


def test_a_new_skeleton_is_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "objective", "mine"]) == 0
    assert main(["validate", "mine.yaml"]) == 0


def test_names_are_found_at_any_depth_and_remembered_where_nothing_can_be_written(tmp_path, monkeypatch):
    file = tmp_path / "a.py"
    file.write_text("x = 1")
    assert files_in({"a": [{"b": f"{file}:X"}, "c"], "d": (f"{file}:X", 3)}) == [f"{file}:X"]
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with pytest.raises(RecipeError, match="it wants to run the Python file"):
        check_trusted([f"{file}:X"], where="it")
    remember([f"{file}:X", f"{tmp_path}/none.py:X"])
    check_trusted([f"{file}:X", f"{tmp_path}/none.py:X"], where="it")
