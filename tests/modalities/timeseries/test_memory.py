"""Series and long tables in memory."""

import numpy as np
import pandas as pd
import pytest
import torch

from bam_core.errors import DataError, InputError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long import read_frame, read_long
from modalities.timeseries.memory import as_series, read_series


@pytest.fixture
def array():
    """(12, 2, 9) values that differ."""
    return np.random.default_rng(0).normal(3, 2, (12, 2, 9))


@pytest.fixture
def ragged():
    rng = np.random.default_rng(1)
    return [rng.normal(size=(2, t)) for t in range(5, 17)]


def rows(prepared, split="train"):
    stored = prepared.splits[split].with_format("numpy")["signal"][:]
    return [np.asarray(row).reshape(prepared.facts["in_channels"], -1) for row in stored]


def test_arrays_as_from_a_file(array, tmp_path):
    labels = np.arange(12) % 3
    np.savez(tmp_path / "data.npz", signals=array, label=labels)
    for of_memory in (array, torch.from_numpy(array), list(array), tuple(array)):
        for options in ({}, {"normalize": "train", "test_fraction": 0.5}, {"window": 4, "hop": 2}):
            found = read_series(series=of_memory, label=labels, **options)
            expected = read_arrays(path=str(tmp_path / "data.npz"), **options)
            assert found.facts == expected.facts
            assert set(found.splits) == set(expected.splits)
            for split in found.splits:
                np.testing.assert_array_equal(rows(found, split), rows(expected, split))
                assert found.labels(split).tolist() == expected.labels(split).tolist()


def test_lists_of_unequal_length(ragged):
    as_objects = np.empty(12, object)
    as_objects[:] = ragged
    for series in (ragged, as_objects):
        prepared = read_series(series=series, normalize="none")
        assert prepared.facts["unequal"]
        assert (prepared.facts["shortest"], prepared.facts["longest"]) == (5, 16)
        for found, expected in zip(rows(prepared), ragged, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    one_channel = read_series(series=[list(one[0]) for one in ragged], normalize="none")
    assert one_channel.facts["in_channels"] == 1
    assert one_channel.column("train", "id")[3] == "series:3"


def test_one_channel_and_frames_of_values(array):
    assert read_series(series=array[:, 0]).facts["shape"] == [1, 9]
    assert read_series(series=pd.DataFrame(array[:, 0])).facts["shape"] == [1, 9]


def test_what_is_known_of_the_rows(array):
    prepared = read_series(
        series=array,
        label=pd.Series(["on", "off"] * 6),
        group=["x", "x", "y", "y"] * 3,
        id=[f"row {i}" for i in range(12)],
        split=["train", "train", "test", "test"] * 3,
    )
    assert prepared.facts["classes"] == ["off", "on"]
    assert prepared.column("test", "id").tolist() == [f"row {i}" for i in (2, 3, 6, 7, 10, 11)]
    assert set(prepared.groups("test")) == {"y"}


def test_minus_one_is_a_class_if_labels_are_texts(array):
    assert read_series(series=array, label=["-1", "1"] * 6).facts["classes"] == ["-1", "1"]
    numbers = read_series(series=array, label=[-1, 0, 1] * 4, test_fraction=0)
    assert numbers.facts["classes"] == ["0", "1"]
    assert numbers.labels("train").tolist() == [-1, 0, 1] * 4
    partly = read_series(series=array, label=["a", None, "b"] * 4, test_fraction=0)
    assert partly.labels("train").tolist() == [0, -1, 1] * 4


def test_nothing_is_left_on_disk_and_the_fingerprint_is_that_of_the_contents(array, cache):
    changed = array.copy()
    changed[3, 1, 2] += 1
    first, again, other = (read_series(series=series).fingerprint for series in (array, array.copy(), changed))
    assert first == again != other
    assert not cache.exists()


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (np.ones(3), {}, r"expected real numbers of shape \(n, t\) or \(n, c, t\); got float64 of shape \(3,\)"),
        (np.array([["a", "b"]]), {}, "signals of series expected real numbers"),
        (pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}), {}, r"got object of shape \(2, 2\)"),
        ([], {}, "series is empty: it has no rows"),
        ([np.ones((2, 3)), np.ones((3, 3))], {}, r"equally many channels; got \[2, 3\] channels"),
        ([np.ones(3), "abc"], {}, r"series\[1\] expected numbers \(t,\) or \(channels, t\); got <U3 of shape \(\)"),
        ([[[1, 2], [3]]], {}, r"series\[0\] expected channels of the same length"),
        (np.eye(4), {"label": [1, 2]}, r"'label' of series expected one value for each of 4 rows; got shape \(2,\)"),
        (np.eye(4), {"label": ["a"] * 4}, "at least two classes"),
        (np.eye(4), {"group": ["a", "b", None, "c"]}, "group expected a value in every row; 1 have none"),
        (
            np.eye(4),
            {"split": ["train", "test", "odd", "train"]},
            "split expected train, validation or test .* got odd",
        ),
        (np.eye(4)[:1], {}, "series expected at least two usable series for training; got one"),
        (np.full((4, 9), np.nan), {}, "(?s)no usable row .* series:0: all values are missing"),
        (np.eye(4), {"window": 5}, r"(?s)no usable row .* has 4 step\(s\), fewer than the window of 5"),
    ],
)
def test_series_that_do_not_fit(series, options, message):
    with pytest.raises(DataError, match=message):
        read_series(series=series, **options)


def test_wrong_options(array):
    with pytest.raises(InputError, match="hop is the distance"):
        read_series(series=array, hop=3)


def test_a_single_step_list_is_no_series():
    with pytest.raises(DataError, match=r"series\[0\] expected numbers"):
        as_series([1.0, 2.0])


# --- long tables


@pytest.fixture
def long():
    n = np.tile(np.arange(6), 4)
    table = pd.DataFrame({"id": np.repeat(list("abcd"), 6), "time": n / 10, "x": np.sin(n + np.arange(24)), "y": n % 4})
    return table.assign(label=np.repeat([0, 1, 0, 1], 6))


def test_frames_as_from_a_file(long, tmp_path):
    long.to_parquet(tmp_path / "frame.parquet")
    for options in (
        {"test_fraction": 0},
        {"values": ["y"], "test_fraction": 0.5},
        {"step": 0.2, "window": 3, "test_fraction": 0},
    ):
        found = read_frame(frame=long, **options)
        expected = read_long(path=str(tmp_path / "frame.parquet"), **options)
        assert found.facts == expected.facts
        np.testing.assert_array_equal(rows(found), rows(expected))
    assert list(long.columns) == ["id", "time", "x", "y", "label"]
    first, second = (read_frame(frame=long.assign(x=x), test_fraction=0) for x in (long["x"], long["x"] ** 2))
    assert not np.array_equal(rows(first), rows(second))


def test_channels_may_be_called_anything(long):
    renamed = long.rename(columns={"id": "who", "time": "when", "x": "series", "y": "time"})
    prepared = read_frame(frame=renamed, id="who", time="when", normalize="none", test_fraction=0)
    assert prepared.facts["channels"] == ["series", "time"]
    np.testing.assert_allclose(rows(prepared)[1], long.loc[6:11, ["x", "y"]].to_numpy().T, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.iloc[:0], {}, "frame is empty: it has no rows"),
        (lambda t: t.set_axis(["id", "x", "x", "y", "y"], axis=1), {}, "different names; x, y come more than once"),
        (lambda t: t, {"id": "machine"}, "frame expected 'machine' as id; it has id, time, x, y, label"),
        (lambda t: t.assign(x="high"), {}, "column 'x' of frame expected numbers"),
        (lambda t: t.assign(y=np.nan), {"test_fraction": 0}, "(?s)no usable row .* a: 100% of channel 1 is missing"),
        (lambda t: t[t["id"] == "a"], {}, "at least two classes"),
        (lambda t: t[t["id"] == "a"].drop(columns="label"), {}, "at least two usable series"),
    ],
)
def test_frames_that_do_not_fit(long, change, options, message):
    with pytest.raises(DataError, match=message):
        read_frame(frame=change(long), **options)
