"""Manifests and Hugging Face data sets."""

import datasets
import pandas as pd
import pytest

from bam_core.errors import DataError, InputError
from modalities.audio.huggingface import read_huggingface
from modalities.audio.manifest import read_manifest


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


@pytest.fixture
def listed(tmp_path, tone):
    """Twelve files as ESC-50 has them: a folder of clips, and a table with their folds."""
    rows = []
    for i in range(12):
        tone(tmp_path / "audio" / f"{i}.wav", hz=200 + 50 * i)
        rows.append({"filename": f"{i}.wav", "fold": i % 3 + 1, "category": ("dog", "rain")[i // 6]})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_folds_of_a_table(tmp_path, listed, delimiter):
    (tmp_path / "meta").mkdir()
    listed.to_csv(tmp_path / "meta" / "esc.csv", sep=delimiter, index=False)
    data = read_manifest(
        path=str(tmp_path / "meta" / "esc.csv"), folder=str(tmp_path / "audio"), label="category", group="fold",
        test_groups=[3], validation_groups=[2],
    )  # fmt: skip
    assert sizes(data) == {"train": 4, "validation": 4, "test": 4}
    assert data.facts["classes"] == ["dog", "rain"]
    assert set(data.groups("test")) == {"3"}
    assert list(data.splits["test"]["id"]) == ["2.wav", "5.wav", "8.wav", "11.wav"]


def test_usual_names_of_columns_and_missing_labels(tmp_path, listed):
    frame = listed.rename(columns={"filename": "path", "category": "label", "fold": "group"})
    frame["path"] = [str(tmp_path / "audio" / name) for name in frame["path"]]
    frame["split"] = ["train", "Testing", "val"] * 4
    frame.loc[0, "label"] = None
    for name in ("table.csv", "table.parquet"):
        frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
        data = read_manifest(path=str(tmp_path / name))
        assert sizes(data) == {"train": 4, "validation": 4, "test": 4}
        assert sorted(data.labels("train")) == [-1, 0, 1, 1]


def test_lines_without_a_usable_file_are_named(tmp_path, listed):
    frame = pd.concat([listed, pd.DataFrame({"filename": ["gone.wav", None]})])
    frame.to_csv(tmp_path / "table.csv", index=False)
    data = read_manifest(path=str(tmp_path / "table.csv"), folder=str(tmp_path / "audio"))
    assert [tuple(row) for row in data.set_aside] == [
        ("1 line(s) of table.csv", "name no file"),
        ("gone.wav", "there is no such file"),
    ]
    assert sizes(data) == {"train": 12}


def test_new_tables_are_read_like_those_of_training(tmp_path, listed):
    listed.to_csv(tmp_path / "table.csv", index=False)
    how = {"folder": str(tmp_path / "audio"), "label": "category", "group": "fold"}
    facts = dict(read_manifest(path=str(tmp_path / "table.csv"), test_groups=[3], **how).facts)
    new = read_manifest(path=str(tmp_path / "table.csv"), fitted=facts, **how)
    assert sizes(new) == {"train": 12}
    assert new.facts["mel"] == facts["mel"]


def test_tables_that_do_not_fit(tmp_path, listed):
    table = tmp_path / "table.csv"
    with pytest.raises(DataError, match=r"expected a table at .*table.csv; there is none"):
        read_manifest(path=str(table))
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"a column of paths, path, file, .*; it has a, b. Name it: file"):
        read_manifest(path=str(table))
    with pytest.raises(DataError, match=r"table.csv has no column 'wav'; it has a, b"):
        read_manifest(path=str(table), file="wav")
    table.write_text("path,label\n")
    with pytest.raises(DataError, match="is empty: it has no rows"):
        read_manifest(path=str(table))
    table.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(DataError, match=r"table.csv is no text"):
        read_manifest(path=str(table))
    (tmp_path / "table.parquet").write_text("path\n")
    with pytest.raises(DataError, match=r"table.parquet is no readable table"):
        read_manifest(path=str(tmp_path / "table.parquet"))


@pytest.fixture
def rows(tmp_path, tone):
    """A data set of the `datasets` library, the last sound of which is broken."""
    files = [tone(tmp_path / f"{i}.flac", hz=300 + 40 * i) for i in range(8)]
    sounds = [{"bytes": file.read_bytes(), "path": file.name} for file in files[:6]]
    sounds += [{"bytes": None, "path": str(files[6])}, {"bytes": b"nonsense", "path": "x.flac"}]
    return make_rows(sounds, [0, 1, 0, 1, 0, 1, 0, -1], list("aabbccdd"))


def make_rows(sounds, labels, speakers):
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = {
        "audio": stored,
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        "speaker": datasets.Value("string"),
    }
    columns = {"audio": sounds, "label": labels, "speaker": speakers}
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    return rows.cast_column("audio", datasets.Audio(sampling_rate=8000))


def test_hugging_face_data_sets_from_disk(tmp_path, rows):
    rows.save_to_disk(str(tmp_path / "saved"))
    data = read_huggingface(path=str(tmp_path / "saved"), group="speaker", test_groups=["a"])
    assert sizes(data) == {"train": 5, "test": 2}
    assert data.facts["classes"] == ["cat", "dog"]
    assert [tuple(row) for row in data.set_aside] == [("train:7", data.set_aside[0].reason)]
    assert "no readable sound" in data.set_aside[0].reason
    new = read_huggingface(path=str(tmp_path / "saved"), fitted=dict(data.facts))
    assert sizes(new) == {"train": 7}


def test_hugging_face_splits(tmp_path, rows):
    halves = datasets.DatasetDict({"train": rows.select(range(4)), "validation": rows.select(range(4, 7))})
    halves.save_to_disk(str(tmp_path / "saved"))
    assert sizes(read_huggingface(path=str(tmp_path / "saved"))) == {"train": 4, "validation": 3}
    as_test = read_huggingface(path=str(tmp_path / "saved"), splits={"train": "train", "validation": "test"})
    assert sizes(as_test) == {"train": 4, "test": 3}
    for name, part in halves.items():
        part.to_parquet(str(tmp_path / "hub" / f"{name}-00000-of-00001.parquet"))
    hub = read_huggingface(path=str(tmp_path / "hub"))
    assert sizes(hub) == {"train": 4, "validation": 3}
    assert hub.facts["classes"] == ["cat", "dog"]


def test_a_row_without_a_sound_is_named(tmp_path, rows):
    whole = [{"bytes": rows.data["audio"][i]["bytes"].as_py(), "path": None} for i in range(4)]
    make_rows([*whole, None], [0, 1, 0, 1, 0], list("abcde")).save_to_disk(str(tmp_path / "saved"))
    data = read_huggingface(path=str(tmp_path / "saved"))
    assert [tuple(row) for row in data.set_aside] == [("train:4", "holds nothing")]


def test_data_sets_that_do_not_fit(tmp_path, rows):
    with pytest.raises(DataError, match=r"expected a Hugging Face data set at .*none; there is nothing"):
        read_huggingface(path=str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"neither what save_to_disk .* reader: folder, .* reader: manifest"):
        read_huggingface(path=str(tmp_path / "empty"))
    (tmp_path / "empty" / "train.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="is no data set that can be loaded: "):
        read_huggingface(path=str(tmp_path / "empty"))
    rows.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match=r"splits of saved expected a choice of train.*; got evaluation"):
        read_huggingface(path=str(tmp_path / "saved"), splits={"evaluation": "test"})
    with pytest.raises(InputError, match="expected train, validation, test or unlabeled as values; got held out"):
        read_huggingface(path=str(tmp_path / "saved"), splits={"train": "held out"})
    with pytest.raises(DataError, match=r"expected 'sound'; it has audio, label, speaker, of which audio hold audio"):
        read_huggingface(path=str(tmp_path / "saved"), audio="sound")
    with pytest.raises(DataError, match="has no column 'voice' for group; it has audio, label, speaker"):
        read_huggingface(path=str(tmp_path / "saved"), group="voice")
    rows.remove_columns("audio").save_to_disk(str(tmp_path / "silent"))
    with pytest.raises(DataError, match=r"expected one column of audio; .* of which none hold audio"):
        read_huggingface(path=str(tmp_path / "silent"))


def test_ratings_and_several_labels(tmp_path, listed):
    ratings = [1.25 + i / 4 for i in range(12)]
    listed.assign(rating=ratings, tags=["rain,wind", "rain"] * 6).to_csv(tmp_path / "table.csv", index=False)
    options = {"path": str(tmp_path / "table.csv"), "folder": str(tmp_path / "audio")}
    data = read_manifest(**options, label="rating", test_fraction=0)
    assert data.facts["task"] == "regression"
    assert data.labels("train").tolist() == ratings
    assert "Labels 'label' are real numbers, 1.25 to 4: regression; for classes, task: classification." in data.notes
    assert read_manifest(**options, label="rating", fitted=data.facts).labels("train").tolist() == ratings
    tags = read_manifest(**options, label="tags", task="multi_label", test_fraction=0)
    assert tags.facts["classes"] == ["rain", "wind"]
    assert tags.labels("train").tolist() == [[1, 1], [1, 0]] * 6
