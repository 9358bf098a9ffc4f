import json
import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.image import MODALITY, storage
from modalities.image.decode import decode
from modalities.image.folder import read_folder


def batch_of(data, split="train"):
    dataset = SplitDataset(data.splits[split], MODALITY.collate, data.facts)
    return dataset.__getitems__(range(len(dataset)))


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


def test_class_folders(fruit):
    data = read_folder(path=str(fruit))
    assert sizes(data) == {"train": 16, "test": 4}
    assert data.facts["classes"] == ["apple", "lime"]
    assert (data.facts["in_channels"], data.facts["image_size"]) == (3, [16, 20])
    assert data.splits["train"].column_names[0] == "image"
    for name, label in zip(data.splits["train"]["id"], data.labels("train"), strict=True):
        assert name.startswith(data.facts["classes"][label])
    batch = batch_of(data)
    assert batch.dtype == torch.uint8
    assert batch.shape == (16, 3, 16, 20)
    for image, name in zip(batch, data.splits["train"]["id"], strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(fruit / name)))
    json.dumps(dict(data.facts))


def test_statistics_are_those_of_train(fruit, picture):
    for split in ("train", "test"):
        (fruit / split).mkdir()
    for name in ("apple", "lime"):
        (fruit / name).rename(fruit / "train" / name)
        picture(fruit / "test" / name / "white.png", colour=(255, 255, 255), noise=0)
    data = read_folder(path=str(fruit))
    pixels = batch_of(data).double() / 255
    torch.testing.assert_close(torch.tensor(data.facts["mean"]).double(), pixels.mean(dim=(0, 2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(data.facts["std"]).double(), pixels.std(dim=(0, 2, 3)), atol=1e-3, rtol=0)


def test_statistics_of_many_are_those_of_a_mixture(fruit, monkeypatch):
    monkeypatch.setattr(storage, "N_STATISTICS", 8)
    red, green, _ = read_folder(path=str(fruit), test_fraction=0).facts["mean"]
    assert 0.3 < red < 0.7
    assert 0.3 < green < 0.7


def test_folders_of_splits(fruit, picture):
    for split in ("train", "val", "test"):
        for name in ("apple", "lime"):
            picture(fruit / "split" / split / name / "a.png")
    picture(fruit / "split" / "train" / "loose.png")
    data = read_folder(path=str(fruit / "split"))
    assert sizes(data) == {"train": 3, "validation": 2, "test": 2}
    assert dict(zip(data.splits["train"]["id"], data.labels("train"), strict=True))["train/loose.png"] == -1


def test_groups_stay_together(tmp_path, picture):
    for patient in "abcd":
        for i in range(3):
            picture(tmp_path / f"patient {patient}" / f"{i}.png")
    data = read_folder(path=str(tmp_path), folders="group")
    assert data.labels("train") is None
    assert sizes(data) == {"train": 12}
    assert set(data.groups("train")) == {f"patient {p}" for p in "abcd"}


def test_folders_that_mean_nothing(fruit):
    data = read_folder(path=str(fruit), folders="none")
    assert (data.labels("train"), data.groups("train"), sizes(data)) == (None, None, {"train": 20})


def test_what_cannot_be_used_is_named(fruit, picture):
    (fruit / "apple" / "letter.png").write_text("Dear Sir or Madam")
    (fruit / "apple" / "empty.jpg").touch()
    contents = picture(fruit / "apple" / "cut.jpg", size=(200, 200)).read_bytes()
    (fruit / "apple" / "cut.jpg").write_bytes(contents[: len(contents) // 2])
    (fruit / "lime" / "notes.txt").write_text("not an image")
    data = read_folder(path=str(fruit), size=16)
    found = {row.source: row.reason for row in data.set_aside}
    assert set(found) == {"apple/letter.png", "apple/empty.jpg", "apple/cut.jpg", "1 file(s) .txt"}
    assert "is no image" in found["apple/letter.png"]
    assert "is no image" in found["apple/empty.jpg"]
    assert "truncated" in found["apple/cut.jpg"]
    assert sum(sizes(data).values()) == 20


def test_any_kind_of_image_becomes_the_same(tmp_path, picture):
    for i, (mode, suffix) in enumerate(
        [("RGB", "png"), ("RGBA", "png"), ("L", "png"), ("P", "gif"), ("RGB", "jpg"), ("CMYK", "jpg"), ("RGB", "webp"),
         ("RGB", "tiff"), ("RGB", "bmp"), ("1", "png"), ("LA", "png")]
    ):  # fmt: skip
        picture(tmp_path / f"{i}.{suffix}", mode=mode, colour=(102, 102, 102), noise=0, size=(16, 16))
    data = read_folder(path=str(tmp_path))
    assert not data.set_aside
    batch = batch_of(data).float()
    names = list(data.splits["train"]["id"])
    for name, image in zip(names, batch, strict=True):
        if name != "9.png":  # black and white only
            assert (image - 102).abs().max() <= 6, name


def test_images_are_upright_and_transparent_parts_white(tmp_path):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 10:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    assert decode(str(tmp_path / "turned.png"), channels=1)[0, :, 0].tolist() == [0] * 10 + [255] * 10
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert decode(str(tmp_path / "clear.png"), channels=1)[0, :, 0].tolist() == [0, 0, 255, 255]


def test_grey_images_have_one_channel_and_may_be_deep(tmp_path):
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    for i in range(3):
        Image.fromarray(ramp).save(tmp_path / f"{i}.png")
    data = read_folder(path=str(tmp_path), max_value=4095)
    assert data.facts["in_channels"] == 1
    assert "more than 8 bit" in next(iter(data.repairs))
    expected = torch.linspace(0, 255, 64).reshape(8, 8)
    assert (batch_of(data)[0, 0] - expected).abs().max() <= 1


def test_different_sizes_are_cut_to_one(tmp_path, picture):
    for i, size in enumerate(((40, 30), (30, 50), (300, 300))):
        picture(tmp_path / f"{i}.png", size=size)
    data = read_folder(path=str(tmp_path))
    assert data.facts["image_size"] == [224, 224]
    assert "different sizes (40 x 30 to 300 x 300 pixels)" in next(iter(data.repairs))
    assert read_folder(path=str(tmp_path), size=24).facts["image_size"] == [24, 24]


def test_a_stretched_image_keeps_its_proportions(tmp_path):
    pixels = np.zeros((20, 60), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (decode(str(tmp_path / "wide.png"), channels=1, size=(10, 10)) >= 230).all()


def test_decoding_in_the_loader_gives_the_same(fruit):
    (fruit / "lime" / "broken.png").write_text("no")
    ahead, later = (read_folder(path=str(fruit), decoding=how) for how in ("ahead", "in_workers"))
    assert later.splits["train"].column_names[0] == "file"
    assert torch.equal(batch_of(ahead), batch_of(later))
    assert [row.source for row in later.set_aside] == ["lime/broken.png"]
    assert ahead.facts["mean"] == later.facts["mean"]


def test_much_is_decoded_in_the_loader(fruit, monkeypatch):
    monkeypatch.setattr(storage, "AHEAD_BYTES", 20 * 3 * 16 * 20 - 1)
    assert "file" in read_folder(path=str(fruit)).splits["train"].column_names


def test_a_file_that_breaks_later_is_named_and_grey(fruit):
    data = read_folder(path=str(fruit), decoding="in_workers", test_fraction=0, check="header")
    (fruit / "apple" / "0.png").write_bytes(b"no more")
    with pytest.warns(UserWarning, match=r"apple/0.png is no image.*a grey image takes its place"):
        batch = batch_of(data)
    assert (batch[0] == 128).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = SplitDataset(data.splits["train"], MODALITY.collate, data.facts)
        assert dataset.__getitems__([1, 2]).shape == (2, 3, 16, 20)


def test_a_single_image_and_new_ones_for_an_encoder(fruit, picture, tmp_path):
    trained = read_folder(path=str(fruit))
    for i, mode in enumerate(("L", "RGB")):
        picture(tmp_path / "new" / f"{i}.jpg", size=(100, 90), mode=mode)
    new = read_folder(path=str(tmp_path / "new"), fitted=dict(trained.facts))
    assert batch_of(new).shape == (2, 3, 16, 20)
    assert sizes(read_folder(path=str(tmp_path / "new" / "0.jpg"), fitted=dict(trained.facts))) == {"train": 1}


def test_one_class_only_counts_as_unlabelled(tmp_path, picture):
    for i in range(4):
        picture(tmp_path / "all" / f"{i}.png")
    data = read_folder(path=str(tmp_path))
    assert data.labels("train") is None
    assert "one class folder only, 'all'" in next(iter(data.repairs))


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match=r"expected a folder of images at .*nowhere; there is none"):
        read_folder(path=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="there are none"):
        read_folder(path=str(tmp_path))
    (tmp_path / "a.wav").touch()
    with pytest.raises(DataError, match=r"it holds 1 x .wav"):
        read_folder(path=str(tmp_path))
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"no usable row for the split 'train'.\n.*\n.*a.png: is no image"):
        read_folder(path=str(tmp_path))


def test_wrong_options(fruit):
    with pytest.raises(InputError, match="size expected at least 2 pixels; got 1"):
        read_folder(path=str(fruit), size=1)
    with pytest.raises(InputError, match=r"max_value expected what is white .*; got 0"):
        read_folder(path=str(fruit), max_value=0)


def test_files_that_were_cut_off_are_found_without_decoding_the_others(tmp_path, picture, monkeypatch):
    """ImageNet's 1.28 million files are decoded where they are used, and nowhere else."""
    for i, suffix in enumerate(("jpg", "png", "webp")):
        content = picture(tmp_path / f"{i}.{suffix}", size=(200, 200)).read_bytes()
        if suffix != "webp":
            (tmp_path / f"cut {i}.{suffix}").write_bytes(content[: len(content) // 2])
    (tmp_path / "padded.jpg").write_bytes((tmp_path / "0.jpg").read_bytes() + bytes(10_000))
    loaded = []
    load = ImageFile.ImageFile.load

    def counting(self):
        loaded.append(self.filename if hasattr(self, "filename") else "")
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counting)
    monkeypatch.setattr(storage, "N_STATISTICS", 0)
    data = read_folder(path=str(tmp_path), decoding="in_workers", check="header", size=32)
    assert {row.source for row in data.set_aside} == {"cut 0.jpg", "cut 1.png"}
    assert all("truncated" in row.reason for row in data.set_aside)
    assert sorted(data.splits["train"]["id"]) == ["0.jpg", "1.png", "2.webp", "padded.jpg"]
    names = {name.rpartition("/")[2] for name in loaded}  # Pillow reads a PNG to its end to see which way is up
    assert names - {"1.png", "cut 1.png"} == {"cut 0.jpg", "padded.jpg"}


def test_folders_of_unlabelled_images_and_what_lies_beside_splits(tmp_path, picture):
    """The layout of STL-10."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            picture(tmp_path / split / name / "a.png")
    picture(tmp_path / "unlabeled" / "x" / "1.png")
    picture(tmp_path / ".ipynb_checkpoints" / "1.png")
    picture(tmp_path / "cover.png")
    (tmp_path / "train" / "back").symlink_to(tmp_path)
    data = read_folder(path=str(tmp_path))
    assert data.facts["classes"] == ["cat", "dog"]
    assert list(data.splits["train"]["id"]) == ["train/cat/a.png", "train/dog/a.png", "unlabeled/x/1.png"]
    assert data.labels("train").tolist() == [0, 1, -1]
    assert list(data.splits["test"]["id"]) == ["test/cat/a.png", "test/dog/a.png"]
    assert {row.source for row in data.set_aside} == {"cover.png", "train/back"}
    assert "unlabeled/ -> train, without labels, 1 file(s) in x" in data.account()
    (tmp_path / "unlabeled").rename(tmp_path / "misc")
    with pytest.raises(DataError, match="test, train are splits by name; misc not"):
        read_folder(path=str(tmp_path))
    left_out = read_folder(path=str(tmp_path), splits={"train": "train", "test": "test"})
    assert sizes(left_out) == {"train": 2, "test": 2}


@pytest.mark.parametrize("decoding", ["ahead", "in_workers"])
def test_names_that_are_not_utf_8(tmp_path, picture, decoding):
    for i in range(3):
        picture(tmp_path / f"{i}.png")
    try:
        (tmp_path / "0.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    data = read_folder(path=str(tmp_path), decoding=decoding)
    read = list(data.splits["train"]["id"])
    assert len(batch_of(data)) == len(read)
    if decoding == "ahead":
        assert read == ["1.png", "2.png", r"caf\udce9.png"]
    else:
        assert read == ["1.png", "2.png"]
        assert [row.source for row in data.set_aside] == [r"caf\udce9.png"]
        assert "not UTF-8" in data.set_aside[0].reason
    data.account().encode()


RAMP = np.arange(256).reshape(16, 16)


def ramps(folder, dtype, factor=1.0, n=3, suffix="tiff"):
    for i in range(n):
        Image.fromarray((RAMP * factor).astype(dtype)).save(folder / f"{np.dtype(dtype).name}{i}.{suffix}")


@pytest.mark.parametrize(
    ("dtype", "factor", "suffix"),
    [(np.uint16, 257, "tiff"), (np.uint16, 257, "png"), (np.uint16, 257, "pgm"), (np.float32, 1 / 255, "tiff")],
)
def test_the_type_of_the_numbers_says_what_is_white(tmp_path, dtype, factor, suffix):
    ramps(tmp_path, dtype, factor, suffix=suffix)
    dark = (RAMP * factor / 4).astype(dtype)  # read by the same scale, though it has no white
    Image.fromarray(dark).save(tmp_path / f"z.{suffix}")
    batch = batch_of(read_folder(path=str(tmp_path)))
    assert (batch[:3, 0] - torch.from_numpy(RAMP)).abs().max() <= 1
    assert abs(int(batch[3, 0].max()) - 64) <= 1


@pytest.mark.parametrize("decoding", ["ahead", "in_workers"])
@pytest.mark.parametrize(
    ("dtype", "factor", "message"),
    [
        (
            np.float32,
            1,
            "float32.*tiff holds 32-bit floating point from 0 to 255, .* min_value and max_value, such as 0 and 255",
        ),
        (np.int32, 1, "int32.*tiff holds whole numbers from 0 to 255"),
        (np.float32, -1 / 255, "floating point from -1 to -?0"),
    ],
)
def test_one_scale_for_all_images_or_a_question(tmp_path, dtype, factor, message, decoding):
    """Before, every float image below 1 was scaled by 1, the others by 65535, in one folder."""
    ramps(tmp_path, np.float32, 1 / 255)
    ramps(tmp_path, dtype, factor, n=5)
    with pytest.raises(DataError, match=message):
        read_folder(path=str(tmp_path), decoding=decoding, check="header")


def test_a_scale_that_is_said_is_that_of_new_images_too(tmp_path):
    ramps(tmp_path, np.float32, 10)
    data = read_folder(path=str(tmp_path), min_value=-510, max_value=2040)
    assert (batch_of(data)[0, 0] - torch.from_numpy(RAMP + 51).clamp(max=255)).abs().max() <= 1
    (tmp_path / "new").mkdir()
    ramps(tmp_path / "new", np.float32, 10, n=1)
    for decoding in ("ahead", "in_workers"):
        new = read_folder(path=str(tmp_path / "new"), fitted=dict(data.facts), decoding=decoding)
        assert torch.equal(batch_of(new)[0], batch_of(data)[0])
    Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(tmp_path / "new" / "nan.tiff")
    new = read_folder(path=str(tmp_path / "new"), fitted=dict(data.facts))
    assert [tuple(row) for row in new.set_aside] == [("nan.tiff", "holds values that are not finite")]
    with pytest.raises(InputError, match=r"max_value expected what is white .*, above min_value, 5; got 4"):
        read_folder(path=str(tmp_path), min_value=5, max_value=4)


@pytest.mark.parametrize("suffix", ["tiff", "gif", "png", "webp"])
def test_images_of_several_pages_are_named(tmp_path, suffix):
    pages = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (50, 150, 250)]
    for i in range(2):
        pages[0].save(tmp_path / f"{i}.{suffix}")
    pages[0].save(tmp_path / f"pages.{suffix}", save_all=True, append_images=pages[1:])
    data = read_folder(path=str(tmp_path))
    assert data.repairs == {"images of several pages or frames, of which the first was taken": 1}
    assert data.notes == [f"Images of several pages or frames, of which the first was taken: pages.{suffix}."]
    assert (batch_of(data).int() - 50).abs().max() <= 2


def test_labels_and_patients_in_the_names(tmp_path, picture):
    for patient in ("p1", "p2", "p3", "p4", "p5"):
        picture(tmp_path / patient / "ill_1.png")
        picture(tmp_path / patient / "well_2.png")
    picture(tmp_path / "cover.png")
    pattern = r"(?P<group>p\d)/(?P<label>[a-z]+)_"
    data = read_folder(path=str(tmp_path), pattern=pattern)
    assert data.facts["classes"] == ["ill", "well"]
    assert sizes(data) == {"train": 8, "test": 2}
    for split, rows in data.splits.items():
        for name, group, label in zip(rows["id"], rows["group"], data.labels(split), strict=True):
            assert name.startswith(f"{group}/{data.facts['classes'][label]}")
    assert [tuple(one) for one in data.set_aside] == [("cover.png", f"its name does not match the pattern {pattern!r}")]
    assert sizes(read_folder(path=str(tmp_path), pattern=pattern, fitted=data.facts)) == {"train": 11}
    with pytest.raises(DataError, match=r"pattern '\(\?P<group>q\)' matches none of 11 names, such as cover, p1/ill_1"):
        read_folder(path=str(tmp_path), pattern="(?P<group>q)")


def test_splits_in_the_names(tmp_path, picture):
    for name in ("a_train", "b_train", "c_test"):
        picture(tmp_path / f"{name}.png")
    data = read_folder(path=str(tmp_path), pattern="_(?P<split>train|test)")
    assert sizes(data) == {"train": 2, "test": 1}
