"""Series of unequal length, missing values and windows, in every kind of file."""

import numpy as np
import pandas as pd
import pytest

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.ecg import MODALITY as ECG
from modalities.timeseries import MODALITY
from modalities.timeseries.data import read_arrays
from modalities.timeseries.signals import standardize


@pytest.fixture
def series():
    """Twelve series of two channels and 4 to 15 steps."""
    rng = np.random.default_rng(0)
    return [rng.normal(3, 2, (2, t)) for t in range(4, 16)]


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "data"
    target.mkdir()
    return target


def read(file, **options):
    return read_arrays(path=str(file), **options)


def signals(prepared, split="train"):
    rows = prepared.splits[split].with_format("numpy")["signal"][:]
    return [np.asarray(row).reshape(prepared.facts["in_channels"], -1) for row in rows]


# --- kinds of files


def save_listed(folder, series):
    np.savez(folder / "data.npz", *series, label=np.arange(12) % 2)
    return folder / "data.npz"


def save_joined(folder, series):
    joined = {"signals": np.concatenate(series, axis=1), "lengths": [s.shape[1] for s in series]}
    np.savez(folder / "data.npz", label=np.arange(12) % 2, **joined)
    return folder / "data.npz"


def save_padded(folder, series):
    padded = np.full((12, 2, 15), np.nan)
    for row, one in zip(padded, series, strict=True):
        row[:, : one.shape[1]] = one
    np.savez(folder / "data.npz", X=padded, y=np.arange(12) % 2)
    return folder / "data.npz"


def save_padded_before(folder, series):
    padded = np.full((12, 2, 15), np.nan)
    for row, one in zip(padded, series, strict=True):
        row[:, 15 - one.shape[1] :] = one
    np.savez(folder / "data.npz", X=padded, y=np.arange(12) % 2)
    return folder / "data.npz"


def save_columns_of_lists(folder, series):
    frame = pd.DataFrame({"a": [list(s[0]) for s in series], "b": [list(s[1]) for s in series]})
    frame.assign(label=np.arange(12) % 2).to_parquet(folder / "data.parquet")
    return folder / "data.parquet"


def save_nested_lists(folder, series):
    frame = pd.DataFrame({"signal": [[list(s[0]), list(s[1])] for s in series], "label": np.arange(12) % 2})
    frame.to_parquet(folder / "data.parquet")
    return folder / "data.parquet"


def save_ts(folder, series):
    lines = [":".join(",".join(map(repr, map(float, c))) for c in s) + f":{i % 2}" for i, s in enumerate(series)]
    (folder / "data.ts").write_text("@classLabel true 0 1\n@data\n" + "\n".join(lines))
    return folder / "data.ts"


@pytest.mark.parametrize(
    "save",
    [
        save_listed,
        save_joined,
        save_padded,
        save_padded_before,
        save_columns_of_lists,
        save_nested_lists,
        save_ts,
    ],
)
def test_one_data_set_in_all_formats(folder, series, save):
    prepared = read(save(folder, series), normalize="none", test_fraction=0)
    for found, expected in zip(signals(prepared), series, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert prepared.labels("train").tolist() == [0, 1] * 6
    assert {name: fact for name, fact in prepared.facts.items() if name != "channels"} == {
        "in_channels": 2,
        "classes": ["0", "1"],
        "unequal": True,
        "shortest": 4,
        "longest": 15,
    }
    assert not prepared.set_aside
    assert not prepared.repairs


def test_batches_have_lengths(folder, series):
    prepared = read(save_listed(folder, series), test_fraction=0)
    dataset = SplitDataset(prepared.splits["train"], MODALITY.collate, prepared.facts)
    batch = dataset.__getitems__([11, 0, 5])
    assert batch["length"].tolist() == [15, 4, 9]
    assert batch["signal"].shape == (3, 2, 15)
    np.testing.assert_allclose(batch["signal"][1, :, :4], standardize(series[0]), atol=1e-5)
    assert (batch["signal"][1, :, 4:] == 0).all()
    assert dataset[3]["signal"].shape == (1, 2, 7)


def test_one_length_is_a_plain_tensor(folder):
    frame = pd.DataFrame({"x": [list(range(i, i + 5)) for i in range(6)]})
    frame.to_parquet(folder / "data.parquet")
    prepared = read(folder / "data.parquet")
    assert prepared.facts == {"in_channels": 1, "classes": [], "length": 5, "shape": [1, 5]}
    assert MODALITY.collate(prepared.splits["train"].with_format("numpy")[:], prepared.facts).shape == (6, 1, 5)


def test_lengths_that_have_to_be_equal(folder, series):
    file = save_listed(folder, series)
    with pytest.raises(DataError, match=r"records of one shape \(channels, time\); got \(2, 4\), \(2, 5\).*, \.\.\."):
        read(file, unequal=False)
    prepared = read(save_padded(folder, series), unequal=False)
    assert prepared.facts["shape"] == [2, 15]
    assert [name for name, _ in prepared.set_aside] == [
        f"data:{i}" for i in range(9)
    ]  # two missing steps are a short gap
    with pytest.raises(DataError, match="records of one shape"):
        ECG.readers["arrays"](path=str(save_listed(folder, series)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.ones((2, 4)), "arr_1": np.ones((3, 4))}, r"equally many channels; got \[2, 3\] channels"),
        ({"arr_0": np.ones((2, 4), complex), "arr_1": np.ones((2, 5))}, "series of numbers .* complex128"),
        ({"signals": np.ones((2, 9)), "lengths": [4, 4]}, r"add up to total; got .* \(2, 9\) .* in all 8"),
        ({"signals": np.ones((2, 9)), "lengths": [4.5, 4.5]}, "with whole lengths"),
        ({"signals": np.ones((2, 9)), "lengths": [10, -1]}, "add up to total"),
    ],
)
def test_arrays_that_do_not_fit(folder, arrays, message):
    np.savez(folder / "data.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read(folder / "data.npz")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"x": [[1, 2], [3, 4]], "rhythm": ["a", "b"]}, "columns of lists only.*; rhythm are none. Name them by label"),
        ({"x": [["a"], ["b"]]}, "row 0 of data.parquet expected lists of numbers"),
        ({"x": [[[1, 2], [3, 4]], [[1, 2]]]}, "series expected 2 channels, as the first one; got 1"),
    ],
)
def test_lists_that_do_not_fit(folder, frame, message):
    pd.DataFrame(frame).to_parquet(folder / "data.parquet")
    with pytest.raises(DataError, match=message):
        read(folder / "data.parquet", normalize="none", max_gap=1.0)


# --- missing values


@pytest.fixture
def gaps(folder):
    """Rows a to h of two channels and 40 steps: whole; short gap; long gap; no channel 1; nothing; shorter; flat."""
    array = np.random.default_rng(0).normal(2, 3, (7, 2, 40))
    array[1, 0, 5:8] = np.nan
    array[2, 1, 5:20] = np.nan
    array[3, 1] = np.nan
    array[4] = np.nan
    array[5, :, :10] = np.inf
    array[5, :, 35:] = np.nan
    array[6] = 7.0
    np.savez(folder / "gaps.npz", signals=array, id=list("abcdefg"))
    return folder / "gaps.npz"


def test_long_gaps_are_set_aside(gaps):
    prepared = read(gaps)
    assert prepared.column("train", "id").tolist() == list("abf")
    assert dict(prepared.set_aside) == {
        "c": "38% of channel 1 is missing in runs longer than 10%",
        "d": "100% of channel 1 is missing in runs longer than 10%",
        "e": "all values are missing",
        "g": "constant on every channel",
    }
    assert prepared.repairs == {"series with short gaps interpolated": 1}
    assert [row.shape[1] for row in signals(prepared)] == [40, 40, 25]


def test_or_masked(gaps):
    array = np.load(gaps)["signals"]
    prepared = read(gaps, missing="mask", unequal=False)
    assert prepared.column("train", "id").tolist() == list("abcdf")
    assert prepared.facts["mask_channels"] is True
    assert prepared.facts["in_channels"] == 4
    rows = signals(prepared)
    assert (rows[0][2:] == 1).all()
    assert (rows[1][2:] == 1).all()  # a short gap is interpolated
    known = np.isfinite(array[2])
    np.testing.assert_array_equal(rows[2][2:], known)
    assert (rows[2][1, 5:20] == 0).all()
    seen = rows[2][1][known[1]]
    assert seen.mean() == pytest.approx(0, abs=1e-6)  # standardised by what is known
    assert seen.std() == pytest.approx(1, abs=1e-5)
    assert (rows[3][[1, 3]] == 0).all()
    assert (rows[4][2:, :10] == 0).all()
    assert np.isfinite(np.concatenate(rows)).all()


def test_scaling_of_the_train_split(folder):
    array = np.random.default_rng(0).normal(5, 2, (40, 2, 30))
    array[:, 1] = array[:, 1] * 10 + np.arange(40)[:, None]
    array[3, 0, 3:25] = np.nan
    array[30:] += 100
    np.savez(folder / "data.npz", X=array, split=["train"] * 30 + ["test"] * 10)
    prepared = read(folder / "data.npz", normalize="train", missing="mask")
    train = array[:30]
    np.testing.assert_allclose(prepared.facts["channel_mean"], np.nanmean(train, axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(prepared.facts["channel_std"], np.nanstd(train, axis=(0, 2)), rtol=1e-5)
    dataset = SplitDataset(prepared.splits["train"], MODALITY.collate, prepared.facts)
    batch = dataset.__getitems__(range(30))
    known = batch[:, 2:] == 1
    assert batch[:, :2][known].mean().item() == pytest.approx(0, abs=1e-5)
    assert batch[:, 1].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert (batch[:, :2][~known] == 0).all()
    other = read(folder / "data.npz", normalize="train", fitted={"channel_mean": [0, 0], "channel_std": [1, 2]})
    assert other.facts["channel_mean"] == [0, 0]
    assert other.facts["channel_std"] == [1, 2]


def test_a_channel_without_a_difference_is_not_divided_by_zero(folder):
    array = np.random.default_rng(0).normal(size=(10, 2, 8))
    array[:, 1] = 3
    np.savez(folder / "data.npz", X=array)
    for normalize in ("train", "record"):
        prepared = read(folder / "data.npz", normalize=normalize)
        batch = MODALITY.collate(prepared.splits["train"].with_format("numpy")[:], prepared.facts)
        assert (batch[:, 1] == 0).all()


# --- windows


def test_windows_are_rows_of_a_group(folder):
    array = np.random.default_rng(0).normal(size=(6, 2, 25))
    array[1, :, 12:] = np.nan
    array[2, :, 4:] = np.nan
    array[3, 0, 14:18] = np.nan
    array[4, :, 10:] = 1.0
    np.savez(folder / "data.npz", X=array, label=[0, 1] * 3)
    prepared = read(folder / "data.npz", window=10, hop=5, normalize="none", test_fraction=0)
    assert prepared.column("train", "id").tolist() == [
        *(f"data:0@{s}" for s in (0, 5, 10, 15)),
        "data:1@0",
        "data:3@0",
        *(f"data:4@{s}" for s in (0, 5)),
        *(f"data:5@{s}" for s in (0, 5, 10, 15)),
    ]
    assert dict(prepared.set_aside) == {
        "data:2": "has 4 step(s), fewer than the window of 10",
        "data:3": "3 of 4 windows: values are missing in runs longer than 10%",
        "data:4": "2 of 4 windows: constant on every channel",
    }
    assert prepared.facts["shape"] == [2, 10]
    np.testing.assert_allclose(signals(prepared)[1], array[0, :, 5:15], rtol=1e-6)
    assert prepared.groups("train")[:5].tolist() == ["data:0"] * 4 + ["data:1"]
    assert prepared.labels("train")[4] == 1


def test_windows_stay_with_their_series(folder):
    np.savez(folder / "data.npz", X=np.random.default_rng(0).normal(size=(20, 30)), label=[0, 1] * 10)
    prepared = read(folder / "data.npz", window=10)
    assert not set(prepared.groups("train")) & set(prepared.groups("test"))
    assert prepared.column("train", "id")[0] == f"{prepared.groups('train')[0]}@0"


def test_a_group_of_ones_own_stays(folder):
    np.savez(folder / "data.npz", X=np.random.default_rng(0).normal(size=(4, 30)), group=list("aabb"))
    assert set(read(folder / "data.npz", window=10).groups("train")) == {"a", "b"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop": 3}, "hop is the distance between windows: give the length of a window"),
        ({"window": 1}, "a window of at least two steps and a hop of at least one; got 1 and None"),
        ({"window": 4, "hop": 0}, "got 4 and 0"),
        ({"max_gap": 1.5}, r"max_gap expected a fraction of the series, in \[0, 1\]; got 1.5"),
    ],
)
def test_wrong_options(folder, options, message):
    np.savez(folder / "data.npz", X=np.ones((3, 8)))
    with pytest.raises(InputError, match=message):
        read(folder / "data.npz", **options)


def test_windows_longer_than_every_series(folder):
    np.savez(folder / "data.npz", X=np.random.default_rng(0).normal(size=(3, 8)))
    with pytest.raises(DataError, match=r"(?s)no usable row.*data:0: has 8 step\(s\), fewer than the window of 9"):
        read(folder / "data.npz", window=9)
