import errno
import os
import threading
import time
from unittest.mock import Mock

import numpy as np
import pytest

from bam_core.data import cached
from bam_core.errors import DataError, UnforeseenDataError


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "source.bin"
    file.write_bytes(b"one")
    return file


def three_rows(writer):
    signal = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    writer.add("train", signal=signal, label=np.array([0, -1, 1]), id=["a", "b", "c"])
    writer.facts["classes"] = ["x", "y"]


def test_what_is_written_comes_back(source):
    def build(writer):
        three_rows(writer)
        writer.add("test", signal=np.ones((1, 2, 2), np.float32), label=np.array([1]), id=np.array(["d"]))
        writer.set_aside("e.dat", "too short")
        writer.repaired("gaps", 2)
        writer.repaired("gaps")
        writer.note("Column 'x' is taken as the id.")
        writer.note("Column 'x' is taken as the id.")

    prepared = cached("some", [source], {}, build)
    np.testing.assert_array_equal(prepared.column("train", "signal"), np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(prepared.labels("train"), [0, -1, 1])
    assert prepared.column("test", "id").tolist() == ["d"]
    assert prepared.groups("train") is None
    assert prepared.facts == {"shape": [2, 2], "classes": ["x", "y"]}
    assert prepared.set_aside[0].source == "e.dat"
    assert prepared.repairs == {"gaps": 3}
    assert prepared.notes == ["Column 'x' is taken as the id."]
    assert prepared.account().splitlines() == [
        "Data: 4 rows (test 1, train 3).",
        "  Note: Column 'x' is taken as the id.",
        "  Mended: gaps: 3",
        "  Left out: 1 input(s):",
        "    e.dat: too short",
    ]
    assert not prepared.multi_label


def test_a_second_time_nothing_is_built(source):
    calls = []
    for _ in range(2):
        prepared = cached("some", [source], {"rate": 100}, lambda w: (calls.append(1), three_rows(w)))
    assert len(calls) == 1
    assert len(prepared.splits["train"]) == 3


def test_the_key_follows_files_settings_and_reader(source, tmp_path):
    other = tmp_path / "other.bin"
    other.write_bytes(b"one")

    def key(name="some", files=(source,), **settings):
        return cached(name, files, settings, three_rows).fingerprint

    keys = [key(), key("another"), key(rate=100), key(rate=200), key(files=(source, other)), key(files=(other,))]
    source.write_bytes(b"two!")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key(a=1, b=2, files=(source, other)) == key(b=2, a=1, files=(other, source))


def test_a_change_of_version_builds_anew(source, monkeypatch):
    before = cached("some", [source], {}, three_rows).fingerprint
    monkeypatch.setattr("bam_core.data.cache.__version__", "999")
    assert cached("some", [source], {}, three_rows).fingerprint != before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, DataError])
def test_an_interrupted_build_leaves_nothing(source, cache, interruption):
    def build(writer):
        three_rows(writer)
        raise interruption

    with pytest.raises(interruption):
        cached("some", [source], {}, build)
    assert list(cache.iterdir()) == []
    assert len(cached("some", [source], {}, three_rows).splits["train"]) == 3


def test_remains_of_a_killed_process_go_after_a_day(source, cache):
    old, young = cache / ".some-old", cache / ".some-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)
    cached("some", [source], {}, three_rows)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("refusal", [None, errno.ENOSYS, errno.ENOLCK])
def test_of_several_at_once_one_builds_where_files_can_be_locked(source, cache, monkeypatch, capsys, refusal):
    locks = refusal is None
    monkeypatch.setattr("bam_core.data.cache.PATIENCE", 0.05)
    if not locks:
        monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError(refusal, "no locks here")))
    results, builders, all_build = [], [], threading.Barrier(3)

    def build(writer):
        builders.append(1)
        time.sleep(0.5)
        if not locks:
            all_build.wait(timeout=10)
        three_rows(writer)

    threads = [threading.Thread(target=lambda: results.append(cached("some", [source], {}, build))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(prepared.splits["train"]) for prepared in results] == [3, 3, 3]
    assert len(builders) == (1 if locks else 3)
    assert ("Another process prepares the same data; waiting" in capsys.readouterr().err) == locks
    assert len([entry for entry in cache.iterdir() if entry.suffix != ".lock"]) == 1


def test_no_row_for_training_is_an_error_that_lists_the_reasons(source, cache):
    def build(writer):
        writer.add("test", signal=np.ones((1, 2), np.float32))
        for i in range(12):
            writer.set_aside(f"{i}.dat", "damaged")

    with pytest.raises(DataError, match=r"(?s)no usable row for the split 'train'.*9\.dat: damaged.*and 2 more"):
        cached("some", [source], {}, build)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"signal": np.ones((2, 3)), "label": np.ones(1)}, "equally long"),
        ({"signal": np.ones((2, 4)), "label": np.ones(2)}, r"rows of shape \(3,\); got \(4,\)"),
        ({"signal": np.ones((2, 3))}, r"expected the columns \['signal', 'label'\]; got \['signal'\]"),
    ],
)
def test_columns_have_to_fit(source, columns, message):
    def build(writer):
        writer.add("train", signal=np.ones((2, 3)), label=np.ones(2))
        writer.add("train", **columns)

    with pytest.raises(DataError, match=message):
        cached("some", [source], {}, build)


def test_ragged_columns_keep_their_lengths(source):
    rows = [np.arange(n, dtype=np.float32) for n in (3, 1, 2)]
    prepared = cached("some", [source], {}, lambda w: w.add("train", signal=rows))
    assert [len(row["signal"]) for row in prepared.splits["train"]] == [3, 1, 2]
    assert "shape" not in prepared.facts


def test_further_arrays_keep_their_shape_and_label_rows_are_multi_label(source):
    def build(writer):
        label = np.array([[0, 1, 1], [1, 0, 0]], np.int8)
        writer.add("train", signal=np.ones((2, 4), np.float32), rr=np.ones((2, 3), np.float32), label=label)

    prepared = cached("some", [source], {}, build)
    assert prepared.facts["shapes"] == {"rr": [3]}
    assert prepared.multi_label
    np.testing.assert_array_equal(prepared.labels("train"), [[0, 1, 1], [1, 0, 0]])


def test_many_small_additions_keep_their_order(source, monkeypatch):
    monkeypatch.setattr("bam_core.data.writer.CHUNK_BYTES", 100)

    def build(writer):
        for i in range(50):
            writer.add("train", signal=np.full((1, 4), i, np.float32), id=[str(i)])

    prepared = cached("some", [source], {}, build)
    assert prepared.column("train", "signal")[:, 0].tolist() == list(range(50))
    assert prepared.column("train", "id").tolist() == [str(i) for i in range(50)]
    assert prepared.splits["train"].data.table.column("signal").num_chunks < 50


def test_what_no_reader_foresaw_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BAM_CACHE", str(tmp_path))

    def build(writer):
        writer.add("train", signal=np.zeros((2, 3), np.float32))
        raise ValueError("zip() argument 3 is longer")

    with pytest.raises(
        UnforeseenDataError, match=r"reader 'x' cannot read these data \(ValueError: zip\(\) argument 3"
    ):
        cached("x", [], {}, build)
    assert not list(tmp_path.glob("x-*"))
    assert not list(tmp_path.glob(".x-*"))
