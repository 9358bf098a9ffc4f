import io

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.image import MODALITY
from modalities.image.hub import read_huggingface


def png(value, size=(8, 6)):
    contents = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(contents, format="PNG")
    return contents.getvalue()


def table(n=10, **more):
    features = datasets.Features(
        img=datasets.Image(), label=datasets.ClassLabel(names=["ham", "spam"]), site=datasets.Value("string")
    )
    rows = {
        "img": [{"bytes": png(10 * i), "path": None} for i in range(n)],
        "label": [i % 2 for i in range(n)],
        "site": [f"site {i // 2}" for i in range(n)],
    }
    return datasets.Dataset.from_dict({**rows, **more}, features=features)


@pytest.fixture(params=["saved", "parquet"])
def folder(request, tmp_path):
    """Training and test split, as `save_to_disk` writes them, and as the hub has them."""
    splits = {"train": table(10), "test": table(4)}
    if request.param == "saved":
        datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "data"))
    else:
        (tmp_path / "data" / "plain_text").mkdir(parents=True)
        for name, rows in splits.items():
            rows.to_parquet(tmp_path / "data" / "plain_text" / f"{name}-00000-of-00001.parquet")
    return tmp_path / "data"


def batch_of(data, split="train"):
    dataset = SplitDataset(data.splits[split], MODALITY.collate, data.facts)
    return dataset.__getitems__(range(len(dataset)))


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


@pytest.mark.parametrize("decoding", ["ahead", "in_workers"])
def test_splits_and_labels(folder, decoding):
    data = read_huggingface(path=str(folder), decoding=decoding)
    assert sizes(data) == {"train": 10, "test": 4}
    assert data.facts["classes"] == ["ham", "spam"]
    assert data.labels("train").tolist() == [0, 1] * 5
    assert list(data.splits["test"]["id"]) == [f"test:{i}" for i in range(4)]
    batch = batch_of(data)
    assert batch.shape == (10, 3, 6, 8)
    assert batch[:, 0, 0, 0].tolist() == [10 * i for i in range(10)]
    assert ("image" if decoding == "ahead" else "encoded") in data.splits["train"].column_names


def test_one_split_is_divided_by_group(tmp_path):
    table(20).to_parquet(tmp_path / "a.parquet")
    data = read_huggingface(path=str(tmp_path / "a.parquet"), group="site", test_fraction=0.3)
    assert sizes(data) == {"train": 14, "test": 6}
    assert not set(data.groups("train")) & set(data.groups("test"))


def test_what_cannot_be_used_is_named(tmp_path):
    cells = [{"bytes": png(i), "path": None} for i in range(6)]
    cells[1], cells[4] = {"bytes": b"no image", "path": None}, None
    (tmp_path / "there.png").write_bytes(png(7))
    cells += [{"bytes": None, "path": str(tmp_path / name)} for name in ("there.png", "gone.png")]
    parquet.write_table(table(8, img=cells).data.table, tmp_path / "a.parquet")  # to_parquet would copy the files in
    data = read_huggingface(path=str(tmp_path / "a.parquet"), test_fraction=0, decoding="in_workers")
    found = {row.source: row.reason for row in data.set_aside}
    assert set(found) == {"train:1", "train:4", "train:7"}
    assert found["train:7"] == "names a file that cannot be read (No such file or directory)"
    assert "is no image" in found["train:1"]
    assert found["train:4"] == "holds nothing"
    assert batch_of(data)[:, 0, 0, 0].tolist() == [0, 2, 3, 5, 7]


def test_images_for_an_encoder(tmp_path):
    table(4).to_parquet(tmp_path / "a.parquet")
    fitted = {"in_channels": 1, "image_size": [4, 4], "classes": ["ham", "spam"]}
    data = read_huggingface(path=str(tmp_path / "a.parquet"), fitted=fitted)
    assert torch.equal(batch_of(data)[:, 0, 0, 0], torch.tensor([0, 10, 20, 30], dtype=torch.uint8))
    assert data.facts["image_size"] == [4, 4]


def test_wrong_names(tmp_path):
    table(4).to_parquet(tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match="expected 'photo'; it has the columns img, label, site, of which img hold images"
    ):
        read_huggingface(path=path, image="photo")
    with pytest.raises(DataError, match="has no column 'species' for label; it has img, label, site"):
        read_huggingface(path=path, label="species")
    with pytest.raises(DataError, match=r"splits of a\.parquet expected a choice of train; got valid"):
        read_huggingface(path=path, splits={"valid": "test"})
    with pytest.raises(InputError, match="train, validation, test or unlabeled as values; got dev"):
        read_huggingface(path=path, splits={"train": "dev"})
    with pytest.raises(InputError, match="size expected at least 2"):
        read_huggingface(path=path, size=0)
    with pytest.raises(DataError, match=r"nowhere; there is none.*download: true"):
        read_huggingface(path=str(tmp_path / "nowhere"))
    (tmp_path / "b.parquet").write_text("no table")
    with pytest.raises(DataError, match="is no data set that can be loaded"):
        read_huggingface(path=str(tmp_path / "b.parquet"))
    datasets.Dataset.from_dict({"a": [1, 2]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="one column of images; it has the columns a, of which none hold images"):
        read_huggingface(path=str(tmp_path / "c.parquet"))


def test_a_data_set_that_changed_on_the_hub_is_not_mixed_with_old_labels(monkeypatch, tmp_path):
    load = datasets.load_dataset

    def on_the_hub(revision, n=12):
        folder = tmp_path / revision
        folder.mkdir(exist_ok=True)
        for split, rows in (("train", n), ("test", 5)):
            table(rows).to_parquet(folder / f"{split}.parquet")
        files = {split: str(folder / f"{split}.parquet") for split in ("train", "test")}
        cache = str(tmp_path / "datasets")
        monkeypatch.setattr(
            datasets, "load_dataset", lambda name, config=None, **_: load("parquet", data_files=files, cache_dir=cache)
        )

    options = {"path": "some/set", "download": True, "decoding": "in_workers"}
    on_the_hub("a")
    assert sizes(read_huggingface(**options)) == sizes(read_huggingface(**options)) == {"train": 12, "test": 5}
    for other in (("b",), ("a", 11)):
        on_the_hub(*other)
        with pytest.raises(DataError, match=r"'some/set' has changed since it was prepared.*Delete .*huggingface_"):
            read_huggingface(**options)


def test_large_data_sets_stay_where_they_are(tmp_path, cache):
    """Only what says which rows are usable is stored; images come from the files that `save_to_disk` wrote."""
    cells = [{"bytes": png(i) + bytes(5000), "path": None} for i in range(12)]
    cells[3] = {"bytes": b"no image", "path": None}
    saved = datasets.DatasetDict(
        train=datasets.Dataset(table(12, img=cells).data.table), test=datasets.Dataset(table(5).data.table)
    )
    saved.save_to_disk(tmp_path / "data")
    before = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file())
    data = read_huggingface(path=str(tmp_path / "data"), decoding="in_workers")
    assert sizes(data) == {"train": 11, "test": 5}
    assert batch_of(data)[:, 0, 0, 0].tolist() == [0, 1, 2, *range(4, 12)]
    assert batch_of(data, "test")[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert list(data.splits["train"]["id"]) == [f"train:{i}" for i in range(12) if i != 3]
    assert sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) - before < 20_000
    assert data.splits["train"]._indices is None
