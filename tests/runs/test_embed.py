"""Which reader takes new data, with which options, and what is written about every row."""

import numpy as np
import pandas as pd
import pytest
from run_folders import untrained_run

from bam_core import RecipeError
from bam_core.runs.embed import embed_data

ENCODERS = {
    "timeseries": ({"name": "series"}, {"name": "resnet1d", "width": 4}),
    "tabular": ({"name": "tabular"}, {"name": "mlp", "width": 8}),
    "ecg": ({"name": "ecg"}, {"name": "resnet1d", "width": 4}),
}


@pytest.fixture
def run(tmp_path):
    def run(modality, **data):
        views, encoder = ENCODERS[modality]
        untrained_run(tmp_path / "run", {"modality": modality, "data": data, "views": views, "encoder": encoder})

    return run


@pytest.fixture
def embed(tmp_path):
    def embed(path, *overrides):
        embed_data(tmp_path / "run", path, tmp_path / "out.parquet", overrides=overrides)
        return pd.read_parquet(tmp_path / "out.parquet")

    return embed


def machines(folder, names, **about):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        table = pd.DataFrame({"clock": range(30), "rpm": rng.normal(size=30), **about})
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_a_folder_or_file_goes_to_the_reader_of_the_training(run, embed, tmp_path):
    old = machines(tmp_path / "old", "abcd", part="train")
    run("timeseries", reader="long", path=str(old), time="clock", split="part")
    assert len(embed(machines(tmp_path / "new", "xyz", part="somewhere"))) == 3  # `part` is no channel
    assert len(embed(machines(tmp_path / "bare", "xy"))) == 2
    assert embed(tmp_path / "new" / "x.csv")["id"].tolist() == ["x"]


def test_a_column_of_splits_is_no_step_of_the_series(run, embed, tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 20))).assign(part=["train", "test"] * 4)
    table.to_csv(tmp_path / "old.csv", index=False)
    run("timeseries", reader="arrays", path=str(tmp_path / "old.csv"), split="part")
    assert len(embed(tmp_path / "old.csv")) == 8


def test_classes_by_name(run, embed, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=12), "z": rng.normal(size=12), "y": ["mild", "severe", "none"] * 4})
    table.to_csv(tmp_path / "old.csv", index=False)
    run("tabular", reader="table", path=str(tmp_path / "old.csv"), label="y")
    table[:4].assign(y=["severe", None, "new", "mild"]).to_csv(tmp_path / "new.csv", index=False)
    got = embed(tmp_path / "new.csv")
    assert got["label"].tolist() == [2, -1, -1, 0]
    assert got["class"].replace({np.nan: None}).tolist() == ["severe", None, None, "mild"]
    assert "class" not in embed(tmp_path / "new.csv", "label=other")


def test_nobody_reads_a_folder_of_tables(run, embed, tmp_path):
    run("tabular", reader="example")
    with pytest.raises(RecipeError, match=r"no reader of 'tabular' is known to take a folder\. Known: \.csv, "):
        embed(tmp_path)
    (tmp_path / "x.xml").touch()
    run("ecg", reader="ecg5000")
    with pytest.raises(RecipeError, match=r"take \.xml\. Known: a folder, \.npz, .*reader=NAME: wfdb, arrays"):
        embed(tmp_path / "x.xml")


def test_required_options_of_another_reader(run, embed, tmp_path):
    run("ecg", reader="ecg5000")
    with pytest.raises(RecipeError, match=r"the reader 'wfdb' needs window_s, .* read by 'ecg5000'.* window_s=VALUE"):
        embed(tmp_path)


def test_another_reader_keeps_how_rows_are_treated_and_says_what_it_drops(run, embed, tmp_path):
    old = machines(tmp_path / "old", "abcd", part="train")
    run("timeseries", reader="long", path=str(old), time="clock", split="part", window=10, normalize="none", step=1)
    array = pd.read_csv(old / "a.csv")["rpm"].to_numpy()[None]
    np.save(tmp_path / "a.npy", array)
    found = embed(tmp_path / "a.npy")
    assert found["id"].tolist() == ["a:0@0", "a:0@10", "a:0@20"]
    expected = embed(old / "a.csv")
    np.testing.assert_allclose(found.filter(like="e"), expected.filter(like="e"), atol=1e-6)
    embed(tmp_path / "a.npy")
    said = (tmp_path / "out.data.txt").read_text()
    assert "Options of the reader 'long', by which training data were read, are not those of 'arrays'" in said
    assert "and do not hold: step: 1." in said
    assert len(embed(tmp_path / "a.npy", "window=15")) == 2


def test_rows_in_other_units_are_said(tmp_path):
    from bam_core.config.recipe import check_recipe
    from bam_core.runs.pretrain import pretrain

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"height": rng.normal(1.7, 0.1, 40), "age": rng.normal(40, 10, 40)})
    table.to_csv(tmp_path / "old.csv", index=False)
    (table * [100, 1]).to_csv(tmp_path / "new.csv", index=False)
    views, encoder = ENCODERS["tabular"]
    recipe = {
        "modality": "tabular",
        "data": {"reader": "table", "path": str(tmp_path / "old.csv")},
        "views": views,
        "encoder": encoder,
        "objective": {"name": "bam"},
        "train": {"epochs": 1, "batch_size": 20, "accelerator": "cpu"},
    }
    pretrain(check_recipe(recipe), tmp_path / "run")
    assert "Unlike" not in embed_data(tmp_path / "run", tmp_path / "old.csv", tmp_path / "out.parquet").account
    account = embed_data(tmp_path / "run", tmp_path / "new.csv", tmp_path / "out.parquet").account
    assert "Note: Unlike the training rows; other units, or recorded otherwise? 'height': 1" in account
    assert account in (tmp_path / "out.data.txt").read_text()
