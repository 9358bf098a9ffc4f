from functools import partial

import datasets
import pytest

from bam_core.data import SplitWriter
from bam_core.data.hub import choose_splits, column_values, label_column, load_splits, parquet_files
from bam_core.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"),
        ("default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"),
        ("default/partial-train/0000.parquet", "default/partial-train/0001.parquet", "default/partial-test/0.parquet"),
        ("train.parquet", "train-1.parquet", "test.parquet"),
        ("train/a.parquet", "train/b.parquet", "test/a.parquet"),
    ],
)
def test_layouts_of_parquet_files(tmp_path, names):
    touch(tmp_path, *names, "README.md")
    found = parquet_files(tmp_path)
    assert {split: len(files) for split, files in found.items()} == {"train": 2, "test": 1}
    assert all(f"/{split}" in file or f"-{split}" in file for split, files in found.items() for file in files)


def test_numbered_files_are_for_training(tmp_path):
    touch(tmp_path, "0000.parquet", "0001.parquet")
    assert list(parquet_files(tmp_path)) == ["train"]
    assert list(parquet_files(tmp_path / "0000.parquet")) == ["train"]


def test_configurations_are_not_mixed(tmp_path):
    touch(tmp_path, "large/train-0.parquet", "small/train-0.parquet")
    with pytest.raises(DataError, match=r"several configurations, large, small: .*config: small"):
        load_splits(tmp_path, "set", builder="imagefolder")
    assert list(parquet_files(tmp_path / "small")) == ["train"]
    chosen = parquet_files(tmp_path, "small")
    assert all("/small/" in file for file in chosen["train"])
    with pytest.raises(DataError, match=r"has no configuration 'smal'; it has large, small"):
        parquet_files(tmp_path, "smal")


def test_what_cannot_be_loaded(tmp_path):
    touch(tmp_path, "train.parquet")
    with pytest.raises(DataError, match="set is no data set that can be loaded: "):
        load_splits(tmp_path, "set", builder="imagefolder", cache_dir=str(tmp_path / "cache"))


def test_splits_that_are_not_called_so_are_named():
    loaded = {"train": range(3), "unlabeled": range(5), "holdout": range(2)}
    writer = SplitWriter()
    assert choose_splits(loaded, None, "set", writer) == {"train": "train", "unlabeled": "unlabeled"}
    writer.add("train", id=["1"])
    said = writer.finish("set")
    assert said["repairs"] == {"rows of split 'unlabeled', used for training without labels": 5}
    assert said["set_aside"][0][0] == "split 'holdout'"
    assert "2 row(s)" in said["set_aside"][0][1]
    assert choose_splits(loaded, {"holdout": "test"}, "set") == {"holdout": "test"}
    with pytest.raises(DataError, match=r"set expected a split named train; it has full.*splits: {full: train}"):
        choose_splits({"full": range(3)}, None, "set")


def test_columns_of_labels():
    assert label_column({"image": 0, "labels": 0}, None, ("label", "labels"), "set") == "labels"
    assert label_column({"image": 0, "labels": 0}, "none", ("labels",), "set") is None
    with pytest.raises(DataError, match="set has no column 'kind' for label; it has image"):
        label_column({"image": 0}, "kind", (), "set")
    names = datasets.ClassLabel(names=["cat", "dog"])
    rows = datasets.Dataset.from_dict(
        {"label": [1, -1, None], "one": [[0], [], [1]], "several": [[0], [1, 0], []]},
        features=datasets.Features(
            {"label": names, "one": datasets.List(names), "several": datasets.List(datasets.Value("int64"))}
        ),
    )
    assert column_values(rows, "label", "set") == ["dog", None, None]
    assert column_values(rows, "one", "set") == ["cat", None, "dog"]
    assert column_values(rows, "absent", "set") == [None] * 3
    assert column_values(rows, "several", "set", several=True) == [[0], [1, 0], []]
    assert column_values(rows, "one", "set", several=True) == [["cat"], [], ["dog"]]
    with pytest.raises(DataError, match=r"column 'several' of set expected one value a row; a row has \[1, 0\].*none"):
        column_values(rows, "several", "set")
    boxes = datasets.Dataset.from_dict({"objects": [[{"x": 1}], []]})
    with pytest.raises(DataError, match=r"column 'objects' of set expected values without parts; a row has"):
        column_values(boxes, "objects", "set", several=True)


def test_a_configuration_is_chosen(tmp_path, monkeypatch):
    rows = {name: datasets.Dataset.from_dict({"x": [1] * n}) for name, n in (("small", 2), ("large", 5))}
    for name, part in rows.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        part.to_parquet(str(tmp_path / "set" / name / "train-00000-of-00001.parquet"))
        part.save_to_disk(str(tmp_path / f"saved_{name}"))
    read = partial(load_splits, tmp_path / "set", "set", cache_dir=str(tmp_path / "cache"))
    assert [len(read(config=name)["train"]) for name in rows] == [2, 5]
    with pytest.raises(DataError, match="set holds several configurations, large, small"):
        read()
    with pytest.raises(DataError, match="set has no configurations: leave out config"):
        load_splits(tmp_path / "saved_small", "set", config="small")
    asked = []

    def load_dataset(name, config, **options):
        asked.append((name, config))
        if config is None:
            raise ValueError("Config name is missing. Please pick one among the available configs: ['en', 'de']")
        return {"train": rows["small"]}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"available configs: \['en', 'de'\] Choose one: config"):
        load_splits(tmp_path / "absent", "on/hub")
    assert len(load_splits(tmp_path / "absent", "on/hub", config="de")["train"]) == 2
    assert asked == [("on/hub", None), ("on/hub", "de")]
