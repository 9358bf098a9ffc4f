import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.image import MODALITY
from modalities.image.decode import Slice, decode, read_header
from modalities.image.shards import read_shards


def encoded(value, size=(30, 20), kind="png"):
    file = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def shard(tmp_path):
    def write(name, members, mode="w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(tmp_path / name, mode) as archive:
            for key, content in members.items():
                info = tarfile.TarInfo(key)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return tmp_path / name

    return write


def members(n, first=0, suffix="cls", label=lambda i: str(i % 2).encode()):
    made = {f"{first + i:06d}.png": encoded(first + i) for i in range(n)}
    return dict(sorted({**made, **{f"{first + i:06d}.{suffix}": label(i) for i in range(n)}}.items()))


def batch_of(data, split="train"):
    dataset = SplitDataset(data.splits[split], MODALITY.collate, data.facts)
    return dataset.__getitems__(range(len(dataset)))


@pytest.mark.parametrize("decoding", ["ahead", "in_workers"])
def test_shards_with_splits_and_labels(shard, tmp_path, decoding):
    shard("train-000.tar", members(6))
    shard("train-001.tar", members(4, first=6))
    shard("val-000.tar", members(3, first=10))
    data = read_shards(path=str(tmp_path), decoding=decoding)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 10, "validation": 3}
    assert data.facts["classes"] == ["0", "1"]
    assert list(data.splits["validation"]["id"]) == [f"val-000.tar:{i:06d}" for i in (10, 11, 12)]
    expected = np.stack([np.asarray(Image.open(io.BytesIO(encoded(i)))).transpose(2, 0, 1) for i in range(10)])
    assert torch.equal(batch_of(data), torch.from_numpy(expected))
    assert ("offset" in data.splits["train"].column_names) == (decoding == "in_workers")


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"),  # timm/imagenet-1k-wds
        ("imagenet-train-000000.tar", "imagenet-val-000000.tar"),  # the documentation of webdataset
        ("cc_TRAIN.00.tar", "cc_valid.00.tar"),
    ],
)
def test_the_split_may_be_any_word_of_the_name(shard, tmp_path, train, validation):
    shard(train, members(6))
    shard(validation, members(3, first=6))
    data = read_shards(path=str(tmp_path))
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 6, "validation": 3}
    shard("latest-0.tar", members(2, first=9))
    with pytest.raises(DataError, match=r"all say their split, .*1 of 3 do not, such as latest-0.tar"):
        read_shards(path=str(tmp_path))


def test_nothing_is_copied(shard, cache):
    path = shard("a.tar", {f"{i}.png": encoded(i, (200, 200)) for i in range(8)})
    read_shards(path=str(path), decoding="in_workers", check="header")
    stored = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file())
    assert stored < 20_000 < path.stat().st_size


def test_labels_as_json_and_folders_as_splits(shard, tmp_path):
    label = lambda i: json.dumps({"label": ["cat", "dog"][i % 2]}).encode()  # noqa: E731
    shard("train/a.tar", {f"x/{k}": v for k, v in members(4, suffix="json", label=label).items()})
    shard("test/b.tar", members(2, suffix="json", label=label))
    data = read_shards(path=str(tmp_path), label="json")
    assert data.facts["classes"] == ["cat", "dog"]
    assert next(iter(data.splits["train"]["id"])) == "a.tar:x/000000"
    assert len(data.splits["test"]) == 2


def test_what_cannot_be_used_is_named(shard, tmp_path):
    content = encoded(1)
    path = shard("a.tar", {"a.png": content, "b.png": content[:200], "c.png": b"no", "d.cls": b"1", "e.txt": b"-"})
    data = read_shards(path=str(path), decoding="in_workers", check="header")
    reasons = {row.source: row.reason for row in data.set_aside}
    assert set(reasons) == {"a.tar:b", "a.tar:c", "a.tar:d"}
    assert "has a label but no image" in reasons["a.tar:d"]
    assert len(data.splits["train"]) == 1
    (tmp_path / "b.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"b.tar cannot be read .*: expected a tar file that is not compressed"):
        read_shards(path=str(tmp_path / "b.tar"))
    with pytest.raises(DataError, match=r"b.tar cannot be read"):
        read_shards(path=str(shard("c.tar.gz", {"a.png": content}, "w:gz").rename(tmp_path / "b.tar")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected tar files in .*empty or below; there are none"):
        read_shards(path=str(tmp_path / "empty"))
    with pytest.raises(InputError, match="size expected at least 2"):
        read_shards(path=str(path), size=1)


def test_a_part_of_a_file_reads_only_what_is_asked_for(tmp_path, monkeypatch):
    content = encoded(3, (300, 300), "jpeg")
    path = tmp_path / "x"
    path.write_bytes(b"before" + content + b"behind")
    part = Slice(str(path), 6, len(content))
    assert np.array_equal(decode(part, channels=3), decode(content, channels=3))
    read = []
    from modalities.image import decode as module

    class Counting(module._Window):
        def readinto(self, buffer):
            read.append(super().readinto(buffer))
            return read[-1]

    monkeypatch.setattr(module, "_Window", Counting)
    assert read_header(part).size == (300, 300)
    assert 0 < sum(read) < 0.5 * len(content)


def test_cut_files_are_named_and_read_as_far_as_they_go(shard, tmp_path):
    whole = shard("a.tar", members(6)).read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        offsets = {member.name: (member.offset, member.offset_data) for member in archive}
    start, data = offsets["000003.png"]
    for cut in (start, start + 100, data, data + 700):  # between members, in a header, before and in the image
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        read = read_shards(path=str(tmp_path / "a.tar"), test_fraction=0)
        assert list(read.splits["train"]["id"]) == [f"a.tar:{i:06d}" for i in range(3)]
        assert read.set_aside[0].source == "a.tar"
        assert read.set_aside[0].reason.startswith("is cut off, or was not closed: only its first 3 image(s)")
    (tmp_path / "a.tar").write_bytes(whole[:start] + b"x" * 512 + whole[start + 512 :])
    assert "only its first 3 image(s)" in read_shards(path=str(tmp_path / "a.tar"), test_fraction=0).set_aside[0].reason
    (tmp_path / "a.tar").write_bytes(whole)
    assert not read_shards(path=str(tmp_path / "a.tar"), test_fraction=0).set_aside


def test_images_without_labels_are_said(shard):
    caption = {f"{i}.json": b'{"caption": "x"}' for i in range(3)}
    images = {f"{i}.png": encoded(i) for i in range(3)}
    data = read_shards(path=str(shard("a.tar", images | caption)))
    assert data.labels("train") is None
    assert data.notes == [
        "No files .cls beside the images, which are unlabelled; others are called json (3): label names one."
    ]
    with pytest.raises(DataError, match=r"a label in a file \.json under the key `label`; others are called none"):
        read_shards(path=str(shard("b.tar", images | caption)), label="json")
    some = read_shards(path=str(shard("c.tar", images | {"0.cls": b"a", "1.cls": b"b"})), test_fraction=0)
    assert some.labels("train").tolist() == [0, 1, -1]
    assert some.repairs == {"images without a label, unlabelled": 1}
    none = read_shards(path=str(shard("d.tar", images | {"0.cls": b"a", "1.cls": b"b"})), label="none")
    assert none.labels("train") is None


def test_labels_that_are_none(shard):
    image = {"0.png": encoded(0)}
    with pytest.raises(
        DataError, match=r"^a.tar:0.json expected one label, or a list; got {'x': 1}. To read no labels: label: none"
    ):
        read_shards(path=str(shard("a.tar", image | {"0.json": b'{"label": {"x": 1}}'})), label="json")
    with pytest.raises(DataError, match=r"b.tar:0.json expected a label as JSON; got Expecting value"):
        read_shards(path=str(shard("b.tar", image | {"0.json": b"cat"})), label="json")
    with pytest.raises(DataError, match=r"c.tar:0.cls expected a label as text; got 'utf-8'"):
        read_shards(path=str(shard("c.tar", image | {"0.cls": b"\xff"})))


def test_lists_in_json_are_several_labels(shard):
    members = {f"{i}.png": encoded(i) for i in range(3)}
    members |= {"0.json": b'{"label": ["b", "a"]}', "1.json": b'{"label": ["b"]}', "2.json": b'{"label": []}'}
    data = read_shards(path=str(shard("a.tar", members)), label="json", test_fraction=0)
    assert data.column("train", "label").tolist() == [[1, 1], [0, 1], [0, 0]]
    numbers = {f"{i}.png": encoded(i) for i in range(2)} | {
        "0.json": b'{"label": [1, 1, 0]}',
        "1.json": b'{"label": [0, 0, 1]}',
    }
    data = read_shards(path=str(shard("b.tar", numbers)), label="json", test_fraction=0)
    assert data.column("train", "label").tolist() == [[1, 1, 0], [0, 0, 1]]


def test_samples_of_several_images(shard):
    pairs = {f"{i}.{name}.png": encoded(2 * i + k) for i in range(3) for k, name in enumerate(("input", "target"))}
    path = str(shard("a.tar", pairs))
    with pytest.raises(DataError, match=r"called, from the first dot on, input.png \(3\), target.png \(3\). Name the"):
        read_shards(path=path)
    data = read_shards(path=path, image="input.png")
    assert list(data.splits["train"]["id"]) == [f"a.tar:{i}" for i in range(3)]
    expected = np.array(Image.open(io.BytesIO(encoded(2)))).transpose(2, 0, 1)
    assert torch.equal(batch_of(data)[1], torch.from_numpy(expected))
    both = str(shard("b.tar", {"0.jpg": encoded(0, kind="jpeg"), "0.png": encoded(1)}))
    with pytest.raises(DataError, match=r"^sample 0 of b.tar expected one image; it holds several.*image: png"):
        read_shards(path=both)
    assert len(read_shards(path=both, image="png").splits["train"]) == 1
