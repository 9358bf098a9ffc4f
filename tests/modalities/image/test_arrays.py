import numpy as np
import pytest
import torch

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.image import MODALITY
from modalities.image.arrays import read_arrays
from modalities.image.example import synthetic_images
from modalities.image.memory import read_digits, read_memory


def pixels(n=20, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *(shape or (6, 8, 3))), dtype=np.uint8)


def batch_of(data, split="train"):
    dataset = SplitDataset(data.splits[split], MODALITY.collate, data.facts)
    return dataset.__getitems__(range(len(dataset)))


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


def test_npz_with_labels_groups_and_splits(tmp_path):
    split = np.array(["train"] * 12 + ["val"] * 4 + ["test"] * 4)
    label = np.array(["cat", "dog"] * 10)
    np.savez(tmp_path / "a.npz", images=pixels(), y=label, split=split, id=np.arange(20), group=split)
    data = read_arrays(path=str(tmp_path / "a.npz"))
    assert sizes(data) == {"train": 12, "validation": 4, "test": 4}
    assert data.facts["classes"] == ["cat", "dog"]
    assert list(data.splits["test"]["id"]) == ["16", "17", "18", "19"]
    assert torch.equal(batch_of(data), torch.from_numpy(pixels()[:12]).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("shape", "expected"), [((6, 8, 3), (3, 6, 8)), ((3, 6, 8), (3, 6, 8)), ((6, 8), (1, 6, 8)), ((6, 8, 1), (1, 6, 8))]
)
def test_layouts(tmp_path, shape, expected):
    np.save(tmp_path / "a.npy", pixels(5, *shape))
    data = read_arrays(path=str(tmp_path / "a.npy"))
    assert batch_of(data).shape == (5, *expected)
    assert (data.facts["in_channels"], data.facts["image_size"]) == (expected[0], list(expected[1:]))


def test_npy_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "a.npy", pixels())
    np.save(tmp_path / "labels.npy", np.arange(20) % 4)
    data = read_arrays(path=str(tmp_path / "a.npy"), label="labels.npy", test_fraction=0.4)
    assert sizes(data) == {"train": 12, "test": 8}
    with pytest.raises(DataError, match=r"label of a.npy expected a file .*none.npy; there is none"):
        read_arrays(path=str(tmp_path / "a.npy"), label="none.npy")


@pytest.mark.parametrize("scale", [np.uint16(257), np.float32(1 / 255)])
def test_other_depths(scale):
    data = read_memory(images=pixels() * scale)
    assert torch.equal(batch_of(data), batch_of(read_memory(images=pixels())))


def test_rows_that_cannot_be_used_are_named():
    images = pixels().astype(np.float32) / 255
    images[3, 0, 0, 0] = np.nan
    images[4] = np.inf
    data = read_memory(images=images)
    assert [row.source for row in data.set_aside] == ["image:3", "image:4"]
    assert data.set_aside[0].reason == "holds NaN or infinity"
    assert sizes(data) == {"train": 18}
    with pytest.raises(DataError, match="no usable row"):
        read_memory(images=np.full((4, 5, 5), np.nan))


def test_labels_for_a_part_of_the_rows():
    label = np.array([0, 1, -1, -1] * 5)
    data = read_memory(images=pixels(), label=label, test_fraction=0.4)
    assert sizes(data) == {"train": 16, "test": 4}
    assert (data.labels("train") == -1).sum() == 10


def test_digits():
    data = read_digits()
    assert sizes(data) == {"train": 1438, "test": 359}
    assert data.facts["classes"] == [str(i) for i in range(10)]
    batch = batch_of(data)
    assert batch.shape == (1438, 1, 8, 8)
    assert batch.max() == 255
    assert abs(batch.float().mean().item() / 255 - data.facts["mean"][0]) < 1e-4


def test_the_example_is_seeded():
    first, again, other = (synthetic_images(n_images=30, seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert sizes(first) == {"train": 24, "test": 6}
    assert batch_of(first).shape == (24, 3, 32, 32)


def test_new_images_for_an_encoder():
    trained = read_memory(images=pixels(), label=np.arange(20) % 2)
    new = read_memory(images=pixels(3, seed=1), fitted=dict(trained.facts))
    assert sizes(new) == {"train": 3}
    with pytest.raises(DataError, match=r"\(channels, height, width\) of \(3, 6, 8\); got \(1, 6, 8\)"):
        read_memory(images=pixels(3, 6, 8), fitted=dict(trained.facts))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": pixels(4, 6, 8, 5)}, r"images of 1 or 3 channels, .*; got shape \(4, 6, 8, 5\)"),
        ({"images": pixels(4, 3, 16, 3)}, r"second or the last axis; in shape \(4, 3, 16, 3\) it could be either"),
        ({"images": np.array(["a", "b"])}, r"expected images \(n, height, width\)"),
        ({"images": pixels(0, 6, 8)}, r"expected images .* of shape \(0, 6, 8\)"),
        (
            {"images": pixels(4), "label": np.arange(3)},
            r"label expected one value for each of 4 images; got shape \(3,\)",
        ),
        ({"images": pixels(4).astype(np.float32)}, "values from 0 to 1, black to white; got float32 from 0 to 255"),
        ({"images": pixels(4).astype(np.int64)}, "values from 0 to max_value"),
        ({"images": pixels(4), "split": np.array(["train", "a", "b", "b"])}, "split expected train.*; got a, b"),
        ({"images": pixels(4), "label": np.zeros(4)}, "labels expected at least two classes"),
        ({"pictures": pixels(4)}, "a.npz expected one of images, .* as images; it has pictures"),
        ({"images": pixels(4), "label": np.array([{}] * 4)}, r"Python objects, and reading those could run code"),
    ],
)
def test_unsuitable_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_arrays(path=str(tmp_path / "a.npz"))


def test_unreadable_files(tmp_path):
    with pytest.raises(DataError, match=r"expected a file at .*a.npz; there is none"):
        read_arrays(path=str(tmp_path / "a.npz"))
    for name in ("a.npz", "a.npy"):
        (tmp_path / name).write_text("no array")
        with pytest.raises(DataError, match=f"{name} is no readable NumPy file"):
            read_arrays(path=str(tmp_path / name))
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match=r"expected an .npz or .npy file; got a.csv"):
        read_arrays(path=str(tmp_path / "a.csv"))
    np.savez(tmp_path / "b.npz", images=pixels())
    with pytest.raises(DataError, match=r"b.npz expected 'z' as label; it has images"):
        read_arrays(path=str(tmp_path / "b.npz"), label="z")
    with pytest.raises(InputError, match="max_value expected what is white, above min_value, 0; got -1"):
        read_arrays(path=str(tmp_path / "b.npz"), max_value=-1)


@pytest.mark.parametrize(
    "keys", [("{}_images", "{}_labels"), ("images_{}", "labels_{}"), ("x_{}", "y_{}"), ("X_{}", "y_{}")]
)
def test_arrays_of_splits(tmp_path, keys):
    """As MedMNIST and Keras write them; labels of MedMNIST are (n, 1)."""
    made = {}
    for seed, (split, n) in enumerate((("train", 8), ("val", 4), ("test", 6))):
        made[keys[0].format(split)] = pixels(n, 6, 8, seed=seed)
        made[keys[1].format(split)] = (np.arange(n) % 2)[:, None]
    np.savez(tmp_path / "a.npz", **made)
    data = read_arrays(path=str(tmp_path / "a.npz"))
    assert sizes(data) == {"train": 8, "validation": 4, "test": 6}
    assert data.labels("test").tolist() == [0, 1] * 3
    assert data.facts["classes"] == ["0", "1"]
    for seed, (split, n) in enumerate((("train", 8), ("validation", 4), ("test", 6))):
        assert torch.equal(batch_of(data, split)[:, 0], torch.from_numpy(pixels(n, 6, 8, seed=seed)))
    assert next(iter(data.splits["validation"]["id"])) == "a:val:0"
    new = read_arrays(path=str(tmp_path / "a.npz"), fitted=dict(data.facts))
    assert sizes(new) == {"train": 18}


def test_arrays_of_splits_that_do_not_fit(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return str(tmp_path / "a.npz")

    path = save(train_images=pixels(4, 6, 8), test_images=pixels(4, 8, 8))
    with pytest.raises(
        DataError, match=r"images of one shape in all splits; got {'train': \(6, 8\), 'test': \(8, 8\)}"
    ):
        read_arrays(path=path)
    path = save(train_images=pixels(4, 6, 8), train_labels=np.arange(4), test_images=pixels(4, 6, 8))
    with pytest.raises(DataError, match=r"a.npz expected label in all splits; test has none"):
        read_arrays(path=path)
    assert sizes(read_arrays(path=path, label="none")) == {"train": 4, "test": 4}
    path = save(train_images=pixels(4, 6, 8), train_labels=np.zeros((4, 14, 2)))
    with pytest.raises(DataError, match=r"label expected one value .* \(4, 14, 2\)"):
        read_arrays(path=path)
    with_more = save(train_images=pixels(4, 6, 8), train_labels=np.arange(4) % 2, extra_images=pixels(9, 6, 8))
    data = read_arrays(path=with_more, test_fraction=0)
    assert data.labels("train").tolist() == [0, 1, 0, 1] + [-1] * 9


def test_grids_with_negative_values():
    """CT in Hounsfield units: -1000 is air, 400 bone."""
    units = np.array([-2000.0, -1000, -300, 50, 400, 3000]).repeat(40).reshape(6, 5, 8)
    with pytest.raises(
        DataError, match=r"from 0 to 1, .* from -2000 to 3000. .* min_value, such as -2000, and max_value"
    ):
        read_memory(images=units)
    with pytest.raises(DataError, match="expected values from -1000 to 1, black to white"):
        read_memory(images=units, min_value=-1000)
    data = read_memory(images=units, min_value=-1000, max_value=400)
    assert batch_of(data)[:, 0, 0, 0].tolist() == [0, 0, 128, 191, 255, 255]
    assert data.repairs == {"images with values outside of -1000 to 400, which are black or white": 2}
    whole = read_memory(images=units.astype(np.int16), min_value=-1000, max_value=400)
    assert torch.equal(batch_of(whole), batch_of(data))
    assert (data.facts["min_value"], data.facts["max_value"]) == (-1000, 400)
    again = read_memory(images=units[1:2], fitted=dict(data.facts))
    assert (batch_of(again) == 0).all()
    with pytest.raises(InputError, match="max_value expected what is white, above min_value, 500; got 400"):
        read_memory(images=units, min_value=500, max_value=400)


def test_a_single_image_out_of_range_among_many_is_seen():
    images = np.zeros((2100, 2, 2), np.float32)
    images[1001] = 2
    with pytest.raises(DataError, match="values from 0 to 1, black to white; got float32 from 0 to 2"):
        read_memory(images=images)


def test_labels_that_are_numbers(tmp_path):
    age = np.linspace(20.5, 60.25, 20)
    data = read_memory(images=pixels(), label=age, test_fraction=0)
    assert (data.facts["task"], data.facts["classes"]) == ("regression", [])
    np.testing.assert_allclose(data.labels("train"), age)
    np.savez(tmp_path / "a.npz", images=pixels(), y=np.arange(20) * 3)
    whole = read_arrays(path=str(tmp_path / "a.npz"), task="regression", test_fraction=0)
    assert whole.labels("train").tolist() == [3.0 * i for i in range(20)]
    assert read_arrays(path=str(tmp_path / "a.npz"), fitted=data.facts).labels("train").tolist()[1] == 3.0
