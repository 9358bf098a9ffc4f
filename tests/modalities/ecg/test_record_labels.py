"""Labels of records: from the comments of headers, from several columns, and several a record."""

import numpy as np
import pytest

from bam_core.errors import DataError
from modalities.ecg.data import read_wfdb
from modalities.ecg.files import comments

DX = ["426783006", "164934002,426783006", "426177001", "164934002", "", "426783006"]


@pytest.fixture
def records(write):
    for i, dx in enumerate(DX):
        path = write(f"r{i}", rate=100, seconds=4, symbols="")
        with path.with_suffix(".hea").open("a") as header:
            header.write(f"#Age: {30.5 + i}\n#Dx: {dx}\n")
    return write.folder


def read(folder, **options):
    return read_wfdb(path=str(folder), window_s=2, leads=["MLII"], test_fraction=0, **options)


def of_records(data):
    return dict(
        zip((name.partition("@")[0] for name in data.splits["train"]["id"]), data.labels("train").tolist(), strict=True)
    )


def test_codes_of_the_headers(records):
    data = read(records, label="header")
    assert data.facts["classes"] == ["164934002", "426177001", "426783006"]
    assert data.facts["task"] == "multi_label"
    assert of_records(data) == {
        "r0": [0, 0, 1], "r1": [1, 0, 1], "r2": [0, 1, 0], "r3": [1, 0, 0], "r4": [-1, -1, -1], "r5": [0, 0, 1],
    }  # fmt: skip
    assert "several a row, 3 classes" in data.notes[-1]
    assert data.repairs["records without a line '#Dx: ...' in the header, such as 'r4'"] == 1
    with pytest.warns(FutureWarning, match="labels is called label now"):
        assert of_records(read(records, labels="header")) == of_records(data)
    assert read(records, label="none", group="none").labels("train") is None
    new = read(records, label="header", fitted=data.facts)
    assert of_records(new) == of_records(data)


def test_another_key_may_hold_numbers(records):
    data = read(records, label="header:age")
    assert data.facts["task"] == "regression"
    assert of_records(data) == {f"r{i}": 30.5 + i for i in range(6)}
    assert data.labels("train").dtype == np.float64
    with pytest.raises(DataError, match=r"none of the 6 headers has a line '#Sex: \.\.\.'; they have age, dx"):
        read(records, label="header:Sex")


def test_several_lines_and_brackets(tmp_path):
    (tmp_path / "a.hea").write_text("a 0 500 10\n#<age>: 51\n#Dx: 1\n# Dx: 2,3\n#note without a colon\n")
    assert comments(tmp_path / "a") == {"age": "51", "dx": "1,2,3"}


def test_a_column_a_class(records):
    (records / "l.csv").write_text("record,AF,SR\nr0,0,1\nr1,1,1\nr2,0,0\n")
    data = read(records, label="l.csv:AF,SR")
    assert data.facts["classes"] == ["AF", "SR"]
    assert [of_records(data)[f"r{i}"] for i in range(4)] == [[0, 1], [1, 1], [0, 0], [-1, -1]]


def test_several_labels_in_a_cell(records):
    (records / "l.csv").write_text('record,dx\nr0,SR\nr1,"AF,SR"\nr2,AF\n')
    data = read(records, label="l.csv:dx", task="multi_label")
    assert [of_records(data)[f"r{i}"] for i in range(3)] == [[0, 1], [1, 1], [1, 0]]


def test_persons_and_labels_in_the_names_of_files(write):
    for name in ("p1/af_a", "p1/sr_b", "p2/af_c", "p3/sr_d", "other"):
        (write.folder / name).parent.mkdir(exist_ok=True)
        write(name, rate=100, seconds=4, symbols="")
    data = read(write.folder, group=r"(?P<group>p\d)/", label="/(?P<label>af|sr)")
    assert data.facts["classes"] == ["af", "sr"]
    persons = dict(zip(data.splits["train"]["id"], data.groups("train").tolist(), strict=True))
    assert {name.partition("@")[0]: person for name, person in persons.items()} == {
        "af_a": "p1", "sr_b": "p1", "af_c": "p2", "sr_d": "p3", "other": "other",
    }  # fmt: skip
    assert of_records(data) == {"af_a": 0, "sr_b": 1, "af_c": 0, "sr_d": 1, "other": -1}
    assert data.repairs["records whose name does not match group, a person each, such as other"] == 1
    assert data.repairs["records whose name does not match label, left without a label, such as other"] == 1
    with pytest.raises(DataError, match=r"group '\(\?P<group>q\)' matches none of 5 names, such as other, p1/af_a"):
        read(write.folder, group="(?P<group>q)")


def test_folders_that_may_be_persons_are_said(write):
    for person in range(4):
        (write.folder / f"Person_{person}").mkdir()
        for record in range(2):
            write(f"Person_{person}/rec_{record}", rate=100, seconds=4, symbols="")
    options = {"path": str(write.folder), "window_s": 2, "leads": ["MLII"], "label": "rec_(?P<label>.)"}
    said = "Records lie in 4 folders, such as Person_0, several in each. If a folder is a person, say group:"
    assert any(note.startswith(said) for note in read_wfdb(**options).notes)
    data = read_wfdb(**options, group="(?P<group>.+)/")
    assert not any(note.startswith(said) for note in data.notes)
    assert not set(data.groups("train")) & set(data.groups("test"))
