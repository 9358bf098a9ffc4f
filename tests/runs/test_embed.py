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
    np.testing.assert_allclose(found.filter(regex=r"^e\d"), expected.filter(regex=r"^e\d"), atol=1e-6)
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


def test_rows_that_the_encoder_learnt_from_are_known_by_their_values(run, embed, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(8, 20))).assign(part=["train", "test"] * 4)
    table.to_csv(tmp_path / "old.csv", index=False)
    run("timeseries", reader="arrays", path=str(tmp_path / "old.csv"), split="part")
    found = embed(tmp_path / "old.csv")
    assert found["split"].tolist() == ["train", "test"] * 4
    assert found["seen_in_training"].tolist() == [True, False] * 4
    half = pd.concat([table[:3], pd.DataFrame(rng.normal(size=(3, 20))).assign(part="train")])
    half.to_csv(tmp_path / "half.csv", index=False)
    found = embed(tmp_path / "half.csv")
    assert found["split"].fillna("new").tolist() == ["train", "test", "train", "new", "new", "new"]
    assert found["seen_in_training"].tolist() == [True, False, True, False, False, False]
    (tmp_path / "old.csv").unlink()
    assert embed(tmp_path / "half.csv")["seen_in_training"].isna().all()
    assert "seen_in_training are empty: the training data cannot be" in (tmp_path / "out.data.txt").read_text()


@pytest.mark.parametrize(("rate", "names", "ends"), [(None, "step", [20, 30, 40]), (10, "s", [2.0, 3.0, 4.0])])
def test_where_windows_lie_in_their_series(run, embed, tmp_path, rate, names, ends):
    old = machines(tmp_path / "old", "ab")
    table = pd.read_csv(old / "b.csv").assign(rpm=lambda t: t["rpm"].where(t["clock"] >= 5))  # five steps late
    table.to_csv(old / "b.csv", index=False)
    run("timeseries", reader="long", path=str(old), time="clock", window=20, hop=10, sampling_rate_hz=rate)
    found = embed(old).set_index("id")
    assert found["record"].tolist() == ["a", "a", "b"]
    assert found.loc[["a@0", "a@10"], f"end_{names}"].tolist() == ends[:2]
    at = 1 if rate is None else 1 / rate
    assert found.loc["b@0", [f"start_{names}", f"end_{names}"]].tolist() == [5 * at, 25 * at]


def test_a_file_of_embeddings_says_what_it_is(run, tmp_path):
    from bam_core.runs.embedding_file import model_hash, read_embeddings, write_embeddings
    from bam_core.runs.run_folder import load_encoder

    run("tabular", reader="example")
    table = pd.DataFrame(
        {"id": list("ab"), "record": ["r", "s"], "e0": [1.0, 2.0], "e10": [3.0, 4.0], "e9": [5.0, 6.0]}
    )
    table.attrs["bam_ssl"] = {"model": "m"}
    write_embeddings(tmp_path / "some.parquet", table)
    back = read_embeddings(tmp_path / "some.parquet")
    assert back.matrix.tolist() == [[1, 5, 3], [2, 6, 4]]
    assert (list(back.about), back.source) == (["id", "record"], {"model": "m"})
    encoder = load_encoder(tmp_path / "run")
    before = model_hash(encoder)
    next(iter(encoder.encoder.parameters())).data[0] += 1e-3
    assert model_hash(encoder) != before


def test_what_is_no_file_of_embeddings(tmp_path):
    from bam_core import DataError
    from bam_core.runs.embedding_file import read_embeddings

    with pytest.raises(DataError, match=r"expected embeddings, a parquet file .*; there is none"):
        read_embeddings(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("id,e0")
    with pytest.raises(DataError, match=r"expected a parquet file that bam embed wrote; it cannot be read"):
        read_embeddings(tmp_path / "text.parquet")
    with pytest.raises(DataError, match=r"the frame expected columns e0, e1, \.\.\..*it has \['id', 'edge'\]"):
        read_embeddings(pd.DataFrame({"id": ["a"], "edge": [1.0]}))
