"""Several labels an image: arrays of 0 and 1 as MedMNIST's ChestMNIST has them, lists of a hub data set."""

import datasets
import numpy as np
import pytest

from bam_core.errors import DataError
from modalities.image.arrays import read_arrays
from modalities.image.hub import read_huggingface
from modalities.image.memory import read_memory

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 6, 6), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 2, (8, 14), dtype=np.uint8)


def test_chestmnist(tmp_path):
    parts = {"train": slice(0, 4), "val": slice(4, 6), "test": slice(6, 8)}
    arrays = {f"{name}_images": IMAGES[at] for name, at in parts.items()}
    arrays |= {f"{name}_labels": LABELS[at] for name, at in parts.items()}
    np.savez(tmp_path / "chestmnist.npz", **arrays)
    data = read_arrays(path=str(tmp_path / "chestmnist.npz"))
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4, "validation": 2, "test": 2}
    for split, at in (("train", parts["train"]), ("validation", parts["val"]), ("test", parts["test"])):
        assert np.array_equal(data.column(split, "label"), LABELS[at])
    assert data.multi_label
    assert data.facts["classes"] == [str(i) for i in range(14)]
    again = read_arrays(path=str(tmp_path / "chestmnist.npz"), fitted=data.facts)
    assert np.array_equal(again.column("train", "label"), LABELS)


def test_splits_of_other_numbers_of_classes_are_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES[:4], y_train=LABELS[:4], x_test=IMAGES[4:], y_test=LABELS[4:, :3])
    with pytest.raises(DataError, match="expected label of as many classes in all splits"):
        read_arrays(path=str(tmp_path / "a.npz"))


def test_one_hot_labels_are_classes():
    data = read_memory(images=IMAGES, label=np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]], test_fraction=0)
    assert data.column("train", "label").tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert any("one-hot" in note for note in data.notes)


def test_lists_of_names_in_memory():
    label = [["a"], ["a", "b"], [], ["c"]] * 2
    data = read_memory(images=IMAGES, label=label, test_fraction=0)
    assert data.column("train", "label").tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]] * 2


def test_soft_labels_are_an_error():
    with pytest.raises(DataError, match="expected 0 or 1 for every class"):
        read_memory(images=IMAGES, label=np.full((8, 3), 0.3))


def test_lists_of_class_labels_of_a_hub_data_set(tmp_path):
    names = datasets.ClassLabel(names=["cat", "dog, big", "cow"])
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.List(names)})
    rows = datasets.Dataset.from_dict(
        {"image": list(IMAGES), "labels": [[0], [1, 2], [], [0, 1]] * 2}, features=features
    )
    datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp_path / "set"))
    data = read_huggingface(path=str(tmp_path / "set"), test_fraction=0)
    assert data.facts["classes"] == ["cat", "cow", "dog, big"]
    assert data.column("train", "label").tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]] * 2
    with pytest.raises(DataError, match="task: multi_label"):
        read_huggingface(path=str(tmp_path / "set"), task="classification")
