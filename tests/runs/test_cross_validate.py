"""Runs judged on folds: from the shell, in the report, and with a run for each fold."""

import json

import numpy as np
import pytest

import bam_core as bam
from bam_core import InputError
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.probes.results import Results
from bam_core.runs.cross_validate import check_labels_unseen

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_pictures")]
PEOPLE = np.repeat([f"p{i}" for i in range(4)], 8)
LABELS = np.tile(["calm", "wild"], 16)
RECIPE = {
    "modality": "timeseries",
    "views": {"name": "series"},
    "encoder": {"name": "rocket", "d": 8, "n_dilations": 2, "n_thresholds": 1},
    "train": {"epochs": 1, "batch_size": 8},
    "evaluate": {
        "fractions": [1.0],
        "draws": 2,
        "bootstrap": 100,
        "baselines": "none",
        "metrics": ["accuracy"],
        "k": 3,
    },
}


def series():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 1, 40)) * np.where(LABELS == "wild", 3, 1)[:, None, None].cumsum(axis=-1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crossed") / "run"
    data = {"data__normalize": "none", "labels": LABELS, "groups": PEOPLE}
    return bam.pretrain(RECIPE, data=series(), folder=folder, progress=False, **data)


def test_each_person_left_out(run, capsys):
    assert main(["evaluate", str(run.folder), "--cross-validation", "leave_one_group_out"]) == 0
    printed = capsys.readouterr().out
    results = Results.load(run.folder / "cross_validation.json")
    assert [fold.groups for fold in results.folds] == [("p0",), ("p1",), ("p2",), ("p3",)]
    assert results.features == ["raw features", "untrained encoder", "bam"]
    assert results.encoder["network"] == "student"
    row = results.row("bam", "linear", 1.0)
    assert len(row.values) == 4
    assert row.mean == pytest.approx(np.mean(row.values))
    assert "accuracy of every fold" in printed
    assert "One encoder for all folds, that of the run: of 3 of 4 folds it has seen held-out rows" in " ".join(
        results.notes
    )
    page = (run.folder / "report.html").read_text()
    assert '<h2 id="folds">Cross-validation</h2>' in page
    assert page.count("There are 4 groups only") == 1
    assert (run.folder / "results.json").is_file()


def test_from_python_with_a_number_of_folds(run):
    results = run.evaluate(cross_validation=2)
    assert [len(fold.groups) for fold in results.folds] == [2, 2]
    assert {row.n_labels for row in results.rows} == {16}
    with pytest.raises(InputError, match="cross_validation=9 expected enough groups"):
        run.evaluate(cross_validation=9)


def test_a_recipe_may_ask_for_folds(run, tmp_path):
    recipe = run.recipe.model_dump(mode="json")
    recipe["evaluate"]["cross_validation"] = 2
    again = bam.pretrain(recipe, folder=tmp_path / "again", progress=False)
    assert len(again.evaluate().folds) == 2


def test_a_run_for_each_fold(run, tmp_path, capsys):
    recipe = run.recipe.model_dump(mode="json")
    path = recipe["data"]["path"]
    arrays = dict(np.load(path))
    folders = []
    for place, people in enumerate((["p0", "p1"], ["p2", "p3"])):
        split = np.where(np.isin(arrays["group"], people), "test", "train")
        np.savez(tmp_path / "rows.npz", **arrays)
        np.savez(tmp_path / f"{place}.npz", **arrays, split=split, id=np.arange(32).astype(str))
        recipe["data"] |= {"path": str(tmp_path / f"{place}.npz"), "split": "split", "id": "id"}
        folders.append(bam.pretrain(recipe, folder=tmp_path / f"run{place}", progress=False).folder)
    assert main(["evaluate", *map(str, folders), "--cross-validation", "runs"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Each fold is a run with an encoder of its own, which has not seen the held-out rows: 2 runs." in printed
    each = [json.loads((folder / "results.json").read_text())["rows"][-1]["mean"] for folder in folders]
    from bam_core.runs.cross_validate import joined_runs

    tables = [Results.load(folder / "results.json") for folder in folders]
    joined = joined_runs(folders, tables)
    assert joined.rows[-1].values == pytest.approx(each)
    assert [fold.name for fold in joined.folds] == ["p0, p1", "p2, p3"]
    with pytest.raises(InputError, match="every row in the test split of one run only; '0' is in several"):
        joined_runs([folders[0]] * 2, [tables[0]] * 2)
    recipe["train"]["epochs"] += 1
    longer = bam.pretrain(recipe, folder=tmp_path / "longer", progress=False).folder
    with pytest.raises(InputError, match=r"one recipe that differs in data only; .* have another section train"):
        joined_runs([folders[0], longer], tables)
    with pytest.raises(InputError, match="runs as folds expected the same rows in every run"):
        joined_runs([folders[0], run.folder], tables)


def test_what_the_shell_refuses(run, capsys):
    for words in (["none"], ["1"], ["runs"]):
        assert main(["evaluate", str(run.folder), "--cross-validation", *words]) == 1
        assert "--cross-validation expected with one run a number of folds from 2" in capsys.readouterr().err


def test_data_without_labels_and_folds_of_one_class(tmp_path):
    quick = {"progress": False, "data__normalize": "none"}
    bare = bam.pretrain(RECIPE, data=series(), folder=tmp_path / "bare", **quick)
    with pytest.raises(InputError, match="a cross-validation expected labels; the data have none"):
        bare.evaluate(cross_validation=2)
    of_people = {"labels": PEOPLE < "p2", "groups": PEOPLE, "data__test_fraction": 0.5}
    own = bam.pretrain(RECIPE, data=series(), folder=tmp_path / "own", **of_people, **quick)
    with pytest.raises(
        InputError, match=r"fold 'p0' cannot be judged: evaluate expected labels of at least two classes"
    ):
        own.evaluate(cross_validation="leave_one_group_out")


def test_an_encoder_that_has_seen_labels_is_not_cross_validated():
    recipe = load_recipe(find_recipe("smoke/timeseries"), ["objective={name: supcon}"])
    with pytest.raises(InputError, match="an encoder that has seen no labels; objective 'supcon'"):
        check_labels_unseen(recipe)
    check_labels_unseen(load_recipe(find_recipe("smoke/timeseries")))
