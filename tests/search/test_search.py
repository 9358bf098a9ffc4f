"""Neighbours of rows and files among embeddings, and the page that shows them."""

import numpy as np
import pandas as pd
import pytest
from run_folders import untrained_run

import bam_core as bam
from bam_core import DataError, InputError
from bam_core.cli import main
from bam_core.runs.embedding_file import KEY, read_embeddings, write_embeddings
from bam_core.search.index import find, is_approximate
from bam_core.search.search import search


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on twelve series in three classes, and their embeddings."""
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    waves = [np.sin(np.linspace(0, 4 * (1 + i % 3), 60)) + 0.1 * rng.normal(size=60) for i in range(12)]
    table = pd.DataFrame(waves).assign(id=[f"s{i}" for i in range(12)], kind=["slow", "mid", "fast"] * 4)
    table.to_csv(folder / "series.csv", index=False)
    data = {"reader": "arrays", "path": str(folder / "series.csv"), "label": "kind", "id": "id"}
    recipe = {"modality": "timeseries", "data": data, "views": {"name": "series"}}
    untrained_run(folder / "run", {**recipe, "encoder": {"name": "resnet1d", "width": 4}})
    table.iloc[:2].to_csv(folder / "query.csv", index=False)
    assert main(["embed", str(folder / "run"), str(folder / "series.csv"), "-o", str(folder / "all.parquet")]) == 0
    return folder


def test_neighbours_of_a_row_are_those_of_the_largest_cosine(folder):
    found = bam.load(folder / "run").search("s4", folder / "all.parquet", k=3)
    table = pd.read_parquet(folder / "all.parquet").set_index("id")
    rows = table.filter(regex=r"^e\d+$").astype(float)
    unit = rows.div(np.linalg.norm(rows, axis=1), axis=0)
    expected = (1 - unit @ unit.loc["s4"]).drop("s4").sort_values()[:3]
    assert found["id"].tolist() == expected.index.tolist()
    assert (found["query"].unique().tolist(), found["rank"].tolist()) == (["s4"], [1, 2, 3])
    np.testing.assert_allclose(found["distance"], expected, atol=1e-6)
    assert found["class"].tolist() == table.loc[found["id"], "class"].tolist()


def test_each_row_of_a_file_is_a_query_and_frames_do_as_well(folder):
    run = bam.load(folder / "run")
    found = run.search(str(folder / "query.csv"), folder / "all.parquet", k=2)
    assert found["query"].tolist() == ["s0", "s0", "s1", "s1"]
    assert found.loc[found["rank"] == 1, "id"].tolist() == ["s0", "s1"]
    np.testing.assert_allclose(found.loc[found["rank"] == 1, "distance"], 0, atol=1e-5)
    series = pd.read_csv(folder / "series.csv").iloc[:, :60].to_numpy(np.float32)[:, None]
    frame = run.embed(series)
    assert run.search(series[5:6], frame, k=1)["id"].tolist() == ["5"]


def test_outputs(folder, capsys):
    out = [folder / f"near.{kind}" for kind in ("csv", "parquet", "html")]
    options = [word for path in out for word in ("-o", str(path))]
    assert main(["search", str(folder / "run"), "s4", "--in", str(folder / "all.parquet"), "-k", "3", *options]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(out[0])
    assert len(table) == 3
    pd.testing.assert_frame_equal(table[["id", "rank"]], pd.read_parquet(out[1])[["id", "rank"]], check_dtype=False)
    page = out[2].read_text()
    assert page.count("<img") == 4
    for name in table["id"]:
        assert f"<b>{name}</b>" in page
        assert name in said
    assert f"The nearest is {table['id'][0]}." in page
    assert f"{(table['class'] == 'mid').sum()} of 3 have the class of their query" in said


def test_a_page_without_the_data_names_rows(folder, tmp_path):
    table = pd.read_parquet(folder / "all.parquet")
    table.attrs["bam_ssl"] = {**bam.load(folder / "run").embed(folder / "series.csv").attrs["bam_ssl"], "data": {}}
    bam.load(folder / "run").search("s4", table, k=2, page=tmp_path / "near.html")
    page = (tmp_path / "near.html").read_text()
    assert "named only, since their data cannot be read: the embeddings are of rows that were in memory" in page
    assert "<img" not in page


def test_embeddings_of_another_encoder_are_refused(folder, tmp_path):
    data = {"reader": "arrays", "path": str(folder / "series.csv"), "label": "kind", "id": "id"}
    recipe = {"modality": "timeseries", "data": data, "views": {"name": "series"}, "train": {"seed": 1}}
    untrained_run(tmp_path / "other", {**recipe, "encoder": {"name": "resnet1d", "width": 4}})
    with pytest.raises(DataError, match=r"those of another encoder \(its weights are \w{16}\) than that of the run"):
        search(tmp_path / "other", "s4", folder / "all.parquet")
    with pytest.raises(DataError, match="expected the name of their encoder in their metadata; they have none"):
        search(folder / "run", "s4", pd.DataFrame({"id": ["s4"], "e0": [1.0]}))


def test_what_is_no_query(folder):
    with pytest.raises(DataError, match=r"'s44' expected an id in the embeddings, such as 's4'.*, or a file; it is"):
        search(folder / "run", "s44", folder / "all.parquet")
    with pytest.raises(InputError, match="k expected at least one neighbour; got 0"):
        search(folder / "run", "s4", folder / "all.parquet", k=0)


def test_other_outputs_are_refused_before_the_search(folder, capsys):
    assert main(["search", str(folder / "run"), "s4", "--in", str(folder / "all.parquet"), "-o", "near.txt"]) == 1
    assert "-o expected a file .csv, .parquet, .html; got 'near.txt'" in capsys.readouterr().err


def test_a_graph_finds_nearly_all_and_is_kept(tmp_path):
    pytest.importorskip("usearch")
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(2000, 16)).astype(np.float32)
    source = tmp_path / "all.parquet"
    source.touch()
    exact = find(bank, bank[:50], k=10)
    found = find(bank, bank[:50], k=10, approximate=True, source=source)
    shared = [len({*a} & {*b}) for a, b in zip(exact.indices.tolist(), found.indices.tolist(), strict=True)]
    assert sum(shared) > 0.9 * 500
    assert (found.cosines[:, 1:] <= found.cosines[:, :-1] + 1e-6).all()
    np.testing.assert_allclose(found.cosines[:, 0], 1, atol=1e-5)
    (kept,) = tmp_path.glob("all.parquet.*.usearch")
    assert kept.stat().st_size > bank.nbytes
    kept.write_bytes(b"broken")
    repaired = find(bank, bank[:5], k=1, approximate=True, source=source)
    assert repaired.indices[:, 0].tolist() == [0, 1, 2, 3, 4]
    other = find(bank[::-1].copy(), bank[-3:][::-1].copy(), k=1, approximate=True, source=source)  # as many, others
    assert other.indices[:, 0].tolist() == [0, 1, 2]
    assert len(list(tmp_path.glob("*.usearch"))) == 1
    again = find(bank[:100], bank[:5], k=1, approximate=True, source=source)  # of another number of rows
    assert again.indices[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_which_search(monkeypatch):
    assert not is_approximate(1000, None)
    assert not is_approximate(10**7, True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not is_approximate(10**7, None)
    with pytest.raises(bam.MissingExtraError, match=r"approximate search needs the package usearch: pip install"):
        is_approximate(10, False)


def test_embeddings_of_two_encoders_are_no_bank(tmp_path):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "e0": [0.0, 1.0, 2.0], "e1": [1.0, 0.0, 1.0]})
    for name, model in (("one", "A"), ("two", "B")):
        frame.attrs[KEY] = {"model": model}
        write_embeddings(tmp_path / f"{name}.parquet", frame)
    with pytest.raises(bam.DataError, match=r"embeddings of one encoder; 'one\.parquet' and 'two\.parquet' are of two"):
        read_embeddings(tmp_path)
