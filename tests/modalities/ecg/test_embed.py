"""New records are read as those of the training were: by the names of their leads, at one rate, scaled alike."""

import numpy as np
import pandas as pd
import pytest
import torch
from ecg_folders import write_ptbxl, write_record
from run_folders import untrained_run

from bam_core import DataError, InputError, RecipeError
from bam_core.runs.embed import embed_data
from modalities.ecg import MODALITY
from modalities.ecg.data import read_wfdb
from modalities.ecg.ptbxl import LEADS, read_ptbxl

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")  # see conftest.py


def recipe(path, **data):
    return {
        "modality": "ecg",
        "data": {"reader": "wfdb", "path": str(path), "window_s": 2.0, **data},
        "views": {"name": "ecg"},
        "encoder": {"name": "resnet1d", "width": 4},
    }


@pytest.fixture
def embed(tmp_path):
    def embed(path, *overrides):
        embed_data(tmp_path / "run", path, tmp_path / "out.parquet", overrides=overrides)
        aside = tmp_path / "out.set_aside.csv"
        said = dict(pd.read_csv(aside).to_numpy()) if aside.exists() else {}
        return pd.read_parquet(tmp_path / "out.parquet"), said

    return embed


def numbers(table):
    return table.filter(regex=r"^e\d+$").to_numpy()


def new_folder(tmp_path, signal, leads, name="new", rate=360):
    write_record(tmp_path / name / "7", signal, rate=rate, leads=leads)
    return tmp_path / name


def beats(n, rate=360, n_leads=2):
    time = np.arange(n) / rate
    return np.stack([(i + 1) * np.exp(-(((time % 1 - 0.5) * 20) ** 2)) for i in range(n_leads)], axis=1)


def test_leads_go_by_their_names(write, tmp_path, embed):
    write("100")
    untrained_run(tmp_path / "run", recipe(write.folder))
    signal = beats(3600) + np.random.default_rng(0).normal(0, 0.05, (3600, 2))
    same, _ = embed(new_folder(tmp_path, signal, ["MLII", "V1"], "same"))
    swapped, _ = embed(new_folder(tmp_path, signal[:, ::-1], ["v1", "mlii"], "swapped"))
    np.testing.assert_allclose(numbers(same), numbers(swapped), atol=1e-5)
    more, _ = embed(new_folder(tmp_path, signal[:, [0, 0, 1]], ["V6", "MLII", "V1"], "more"))
    np.testing.assert_allclose(numbers(same), numbers(more), atol=1e-5)


def test_other_leads_are_set_aside(write, tmp_path, embed):
    write("100")
    untrained_run(tmp_path / "run", recipe(write.folder))
    other = new_folder(tmp_path, beats(3600), ["V2", "V5"])
    with pytest.raises(DataError, match="has no samples of lead MLII, V1; its leads are V2, V5"):
        embed(other)
    with pytest.raises(DataError, match=r"leads=\['MLII', 'V1'\]; these have leads=\['V2', 'V5'\]"):
        embed(other, "leads=[V2, V5]")
    table, _ = embed(other, "leads=[[MLII, V2], [V1, V5]]")
    assert len(table) == 5


def test_records_come_to_the_rate_of_the_training(write, tmp_path, embed):
    write("100")
    encoder = untrained_run(tmp_path / "run", recipe(write.folder))
    slow = new_folder(tmp_path, beats(1250, 125), ["MLII", "V1"], rate=125)
    table, _ = embed(slow)
    assert table["id"].tolist() == [f"7@{250 * i}" for i in range(5)]
    prepared = read_wfdb(path=str(slow), window_s=2.0, fitted=encoder.facts)
    assert (prepared.facts["sampling_rate_hz"], prepared.facts["shape"]) == (360, [2, 720])


def test_persons_labels_and_splits_of_the_training(write, tmp_path, embed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1", "2", "3"):
        write(name)
    (write.folder / "people.csv").write_text("record,person,rhythm\n1,a,sinus\n2,b,flutter\n3,b,flutter\n")
    about = {"group": "people.csv:person", "label": "people.csv:rhythm", "split": {"train": [1], "test": [2, 3]}}
    untrained_run(tmp_path / "run", recipe(write.folder, **about))
    table, said = embed(write.folder)
    assert table.groupby("id", sort=False).first()["group"].tolist() == ["a"] * 10 + ["b"] * 20
    assert table.groupby("group")[["label", "class"]].first().to_numpy().tolist() == [[1, "sinus"], [0, "flutter"]]
    assert not said

    new = new_folder(tmp_path, beats(3600), ["MLII", "V1"])
    table, said = embed(new)
    assert set(table["group"]) == {"7"}
    assert not said
    with pytest.raises(DataError, match="expected a table at"):
        embed(new, "group=persons.csv:person")
    (new / "people.csv").write_text("record,person,rhythm\n7,c,other\n")
    table, _ = embed(new)
    assert set(table["group"]) == {"c"}
    assert set(table["label"]) == {-1}
    assert table["class"].isna().all()


def test_a_record_of_the_same_name_is_not_the_same_person(write, tmp_path, embed):
    write("7")
    (write.folder / "people.csv").write_text("record,person,rhythm\n7,anna,sinus\n")
    for groups in (f"{write.folder / 'people.csv'}:person", {"7": "anna"}):
        untrained_run(tmp_path / "run", recipe(write.folder, group=groups))
        assert set(embed(write.folder)[0]["group"]) == {"anna"}
        new = new_folder(tmp_path, beats(3600), ["MLII", "V1"])
        assert set(embed(new)[0]["group"]) == {"7"}


def test_classes_of_beats_are_those_of_the_training(write):
    write("1", symbols="VS")
    prepared = read_wfdb(
        path=str(write.folder),
        window_s=0.7,
        cut="beats",
        fitted={"leads": ["V1"], "sampling_rate_hz": 360.0, "classes": ["V", "N"]},
    )
    assert prepared.facts["classes"] == ["V", "N"]
    assert prepared.labels("train").tolist() == [0] * 10


@pytest.mark.parametrize("normalize", ["train", "none", "record"])
def test_an_encoder_of_ptbxl_reads_any_folder(tmp_path, embed, normalize):
    folder = write_ptbxl(tmp_path / "ptbxl", folds=[1, 2, 3, 4, 9, 10])
    about = {"reader": "ptbxl", "path": str(folder), "normalize": normalize, "label": "rhythm"}
    encoder = untrained_run(tmp_path / "run", {**recipe(folder), "data": about})
    rows = read_ptbxl(path=str(folder), normalize=normalize, label="rhythm").splits["train"].with_format("numpy")[:2]
    with torch.no_grad():
        expected = encoder(MODALITY.collate(rows, encoder.facts)).numpy()

    table, _ = embed(folder)
    assert len(table) == 6  # also those of other folds, and without a statement of rhythm
    assert table["class"].map(list).tolist()[:3] == [["SR"], ["SR"], ["AFIB"]]
    known = table.set_index("id").loc[rows["id"]]
    np.testing.assert_allclose(numbers(known), expected, atol=1e-5)

    plain = tmp_path / "plain"
    plain.mkdir()
    for file in (folder / "records100" / "00000").iterdir():
        (plain / file.name).write_bytes(file.read_bytes())
    table, _ = embed(plain)
    np.testing.assert_allclose(numbers(table)[:2], expected, atol=1e-5)


def test_leads_that_nobody_named(tmp_path, embed):
    np.save(tmp_path / "old.npy", np.random.default_rng(0).normal(size=(9, 2, 200)))
    about = {"reader": "arrays", "path": str(tmp_path / "old.npy"), "sampling_rate_hz": 100}
    untrained_run(tmp_path / "run", {**recipe(tmp_path), "data": about})
    new = new_folder(tmp_path, beats(1000, 100), LEADS[:2], rate=100)
    with pytest.raises(
        RecipeError, match="the reader 'wfdb' needs window_s, which the encoder's data, read by 'arrays'"
    ):
        embed(new)
    with pytest.raises(InputError, match=r"knows leads=None, sampling_rate_hz=100\.0\. Give both"):
        embed(new, "window_s=2")
    table, _ = embed(new, "window_s=2", "leads=[I, II]")
    assert len(table) == 5
