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


def test_masked_values_are_missing(array):
    masked = np.ma.array(array, mask=False)
    masked.data[:, 0, 4] = 999
    masked[:, 0, 4] = np.ma.masked
    expected = array.copy()
    expected[:, 0, 4] = (array[:, 0, 3] + array[:, 0, 5]) / 2
    for given in (masked, list(masked), np.where(masked.mask, None, masked.data)):
        found = read_series(series=given, normalize="none", max_gap=0.2)
        np.testing.assert_allclose(rows(found), expected, rtol=1e-6)
    labels = read_series(series=array, label=np.ma.array([0, 1, 2] * 4, mask=[False] * 11 + [True]), test_fraction=0)
    assert labels.labels("train").tolist() == [0, 1, 2] * 3 + [0, 1, -1]


def test_several_labels_and_bytes(array, tmp_path):
    several = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]] * 4)
    np.savez(tmp_path / "data.npz", signals=array, label=several)
    for found in (
        read_series(series=array, label=several, test_fraction=0),
        read_arrays(path=str(tmp_path / "data.npz"), test_fraction=0),
    ):
        assert found.multi_label
        assert found.column("train", "label").tolist() == several.tolist()
    names = read_series(series=array, label=[["AF"], ["AF", "SR"]] * 6, test_fraction=0)
    assert names.facts["classes"] == ["AF", "SR"]
    np.savez(
        tmp_path / "bytes.npz", signals=array, label=np.array([b"N", b"V"] * 6), group=np.array([b"p1", b"p2"] * 6)
    )
    found = read_arrays(path=str(tmp_path / "bytes.npz"), test_fraction=0)
    assert found.facts["classes"] == ["N", "V"]
    assert set(found.column("train", "group").tolist()) == {"p1", "p2"}
    assert read_series(series=array, label=[b"N", b"V"] * 6, test_fraction=0).facts["classes"] == ["N", "V"]


def test_changes_on_top_of_a_large_level_are_kept(array):
    """An offset of 1e8, such as that of a counter, or of an epoch in seconds, against spreads of about 1."""
    from modalities.timeseries.batches import collate_signals

    low = read_series(series=array, normalize="train")
    high = read_series(series=array + 1e8, normalize="train")
    assert len(high.facts["channel_offset"]) == 2
    assert "channel_offset" not in low.facts
    batches = [collate_signals({"signal": list(d.column("train", "signal"))}, d.facts) for d in (low, high)]
    np.testing.assert_allclose(batches[1], batches[0], atol=1e-4)
    new = read_series(series=array[:3] + 1e8 + 5, normalize="train", fitted=high.facts)
    expected = read_series(series=array[:3] + 5, normalize="train", fitted=low.facts)
    batches = [collate_signals({"signal": list(d.column("train", "signal"))}, d.facts) for d in (new, expected)]
    np.testing.assert_allclose(batches[0], batches[1], atol=1e-4)


def test_values_that_32_bits_cannot_hold_are_refused_or_said(array):
    with pytest.raises(
        DataError, match=r"changes less than 32-bit numbers can hold at its level of 1e\+08; normalize: rec"
    ):
        read_series(series=array + 1e8, normalize="none")
    one = array + np.array([1e8, 0.0])[:, None]
    found = read_series(series=one, normalize="none")
    assert found.repairs == {"series of which a channel changes less than 32-bit numbers can hold, rounded": 12}
    assert not read_series(series=one, normalize="record").repairs
    assert not read_series(series=array * 1e8, normalize="none").repairs


def test_short_series_among_others_are_set_aside(array):
    found = read_series(series=[*array, np.zeros((2, 0)), np.zeros((2, 1))])
    assert [(one.source, one.reason) for one in found.set_aside] == [
        ("series:12", "all values are missing"),
        ("series:13", "has 1 step(s), fewer than two"),
    ]
    with pytest.raises(DataError, match="no usable row"):
        read_series(series=np.zeros((4, 2, 0)))
    with pytest.raises(DataError, match="got 9 channels of 2 steps, as if time came first"):
        read_series(series=[one.T for one in array])
    with pytest.raises(DataError, match="as if time came first"):
        read_series(series=[np.zeros((9, 3)), np.zeros((20, 3)), np.zeros((30, 3))])


def test_too_few_series_say_what_became_of_the_others(array):
    with pytest.raises(DataError, match=r"at least two usable series for training; got one\.\n  series:1: constant on"):
        read_series(series=[array[0], np.ones((2, 9))])
