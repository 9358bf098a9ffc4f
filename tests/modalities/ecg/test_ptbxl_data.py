"""PTB-XL's reader on a stand-in of a dozen records, written in PTB-XL's layout."""

import shutil

import numpy as np
import pandas as pd
import pytest
import wfdb
from ecg_folders import CODES, STATEMENTS, write_ptbxl

from bam_core.errors import DataError
from modalities.ecg.ptbxl import LEADS, read_ptbxl, select_statements

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")  # see conftest.py


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_ptbxl(tmp_path_factory.mktemp("ptbxl"), folds=[1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 9])


@pytest.fixture
def folder(original, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(original, tmp_path / "ptbxl")


def test_splits_labels_and_groups(original):
    prepared = read_ptbxl(path=str(original))
    assert {name: rows["id"][:] for name, rows in prepared.splits.items()} == {
        "train": [str(i) for i in range(1, 10)],
        "validation": ["10", "12"],
        "test": ["11"],
    }
    facts = {name: value for name, value in prepared.facts.items() if name not in ("mean", "std")}
    assert facts == {
        "in_channels": 12,
        "length": 1000,
        "shape": [12, 1000],
        "sampling_rate_hz": 100.0,
        "leads": LEADS,
        "classes": ["AFIB", "AMI", "ASMI", "IMI", "NDT", "NORM", "PVC", "SR"],
    }
    assert prepared.multi_label
    labels = prepared.labels("train")
    assert labels.shape == (9, 8)
    assert labels[:2].tolist() == [[0, 0, 0, 0, 0, 1, 0, 1], [0, 0, 1, 1, 0, 0, 0, 1]]
    assert prepared.groups("train")[:4].tolist() == ["15000", "15001", "15001", "15002"]
    assert not prepared.set_aside


@pytest.mark.parametrize(
    ("labels", "classes", "first", "n_left"),
    [
        ("all", ["AFIB", "AMI", "ASMI", "IMI", "NDT", "NORM", "PVC", "SR"], ["NORM", "SR"], 6),
        ("diagnostic", ["AMI", "ASMI", "IMI", "NDT", "NORM"], ["NORM"], 4),
        ("subdiagnostic", ["AMI", "IMI", "NORM", "STTC"], ["NORM"], 4),
        ("superdiagnostic", ["MI", "NORM", "STTC"], ["NORM"], 4),
        ("form", ["NDT", "PVC"], [], 2),
        ("rhythm", ["AFIB", "SR"], ["SR"], 5),
    ],
)
def test_label_sets_of_the_benchmark(original, labels, classes, first, n_left):
    found = select_statements(CODES, STATEMENTS, labels)
    assert found.classes == classes
    assert [name for name, holds in zip(classes, found.matrix[0], strict=True) if holds] == first
    assert found.matrix.any(axis=1).sum() == n_left
    prepared = read_ptbxl(path=str(original), label=labels)
    assert prepared.facts["classes"] == classes
    assert sum(len(rows) for rows in prepared.splits.values()) == 2 * n_left


def test_statements_of_one_class_count_once():
    found = select_statements([{"AMI", "ASMI", "IMI"}], STATEMENTS, "subdiagnostic")
    assert (found.classes, found.matrix.tolist()) == (["AMI", "IMI"], [[1, 1]])


def test_normalisation_by_the_training_folds(original):
    prepared = read_ptbxl(path=str(original))
    rows = prepared.column("train", "signal")
    assert rows.mean() == pytest.approx(0, abs=1e-4)
    assert rows.std() == pytest.approx(1, abs=1e-4)
    plain = read_ptbxl(path=str(original), normalize="none")
    expected = (plain.column("test", "signal") - prepared.facts["mean"]) / prepared.facts["std"]
    np.testing.assert_allclose(prepared.column("test", "signal"), expected, atol=1e-5)
    leads = read_ptbxl(path=str(original), normalize="record").column("train", "signal").reshape(-1, 12, 1000)
    assert leads.std(axis=2) == pytest.approx(1, abs=0.1)
    assert (plain.facts["mean"], plain.facts["std"]) == (0, 1)


def test_the_signal_is_that_of_the_file(original):
    prepared = read_ptbxl(path=str(original), normalize="none", leads=["V1", "aVR"])
    expected = wfdb.rdrecord(str(original / "records100/00000/00001_lr")).p_signal[:, [6, 3]].T
    expected = expected - np.median(expected, axis=1, keepdims=True)
    first = prepared.column("train", "signal")[0].reshape(2, 1000)
    np.testing.assert_allclose(first, expected, atol=1e-6)
    assert prepared.facts["leads"] == ["V1", "aVR"]


def test_damaged_records_are_set_aside(folder):
    (folder / "records100/00000/00002_lr.dat").unlink()
    (folder / "records100/00000/00003_lr.dat").write_bytes(b"short")
    prepared = read_ptbxl(path=str(folder))
    assert prepared.column("train", "id").tolist() == ["1", *(str(i) for i in range(4, 10))]
    assert {source for source, _ in prepared.set_aside} == {"2", "3"}


def test_no_record_can_be_read(folder):
    for file in folder.glob("records100/00000/*.dat"):
        file.unlink()
    with pytest.raises(DataError, match=r"(?s)no usable row.*1: FileNotFoundError.*and 2 more"):
        read_ptbxl(path=str(folder))


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"records500 is not there.*choose the sampling_rate_hz"):
        read_ptbxl(path=str(folder), sampling_rate_hz=500)
    with pytest.raises(DataError, match=r"ptbxl_database\.csv, scp_statements\.csv, records100 is not there"):
        read_ptbxl(path=str(tmp_path / "nowhere"))
    table = pd.read_csv(folder / "ptbxl_database.csv").drop(columns=["strat_fold", "patient_id"])
    table.to_csv(folder / "ptbxl_database.csv", index=False)
    with pytest.raises(DataError, match="lacks the columns patient_id, strat_fold"):
        read_ptbxl(path=str(folder))


def test_statements_that_cannot_be_read(folder):
    table = pd.read_csv(folder / "ptbxl_database.csv")
    table.loc[2, "scp_codes"] = "{'NORM': __import__('os').getcwd()}"
    table.to_csv(folder / "ptbxl_database.csv", index=False)
    with pytest.raises(DataError, match=r"scp_codes of record 3 expected a mapping such as \{'NORM': 100.0\}; got"):
        read_ptbxl(path=str(folder))


def test_the_second_time_no_record_is_read(original, monkeypatch):
    first = read_ptbxl(path=str(original))
    monkeypatch.setattr(wfdb, "rdrecord", None)
    assert read_ptbxl(path=str(original)).fingerprint == first.fingerprint
