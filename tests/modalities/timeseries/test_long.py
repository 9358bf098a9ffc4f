import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError, InputError
from modalities.timeseries.long import read_long


@pytest.fixture
def table():
    """Eight series p0 ... p7 of two channels and 20 to 27 steps, ten a second."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(8):
        n = 20 + i
        frames.append(
            pd.DataFrame(
                {
                    "id": f"p{i}",
                    "time": np.arange(n) / 10 + 3 * i,
                    "x": rng.normal(size=n),
                    "y": rng.normal(size=n),
                    "label": "ab"[i % 2],
                    "group": f"g{i // 2}",
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "data"
    target.mkdir()
    return target


def read(file, **options):
    return read_long(path=str(file), **{"normalize": "none", "test_fraction": 0, **options})


def series_of(prepared, split="train"):
    rows = prepared.splits[split].with_format("numpy")["signal"][:]
    shaped = [np.asarray(row).reshape(prepared.facts["in_channels"], -1) for row in rows]
    return dict(zip(prepared.column(split, "id"), shaped, strict=True))


def check(prepared, table, times="time"):
    found = series_of(prepared)
    assert list(found) == [f"p{i}" for i in range(8)]
    for name, series in found.items():
        rows = table[table["id"] == name].sort_values(times)
        np.testing.assert_allclose(series, rows[["x", "y"]].to_numpy().T, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "semicolons.csv", "parquet", "csv.gz", "csv.xz"])
def test_a_long_table(folder, table, suffix):
    file = folder / f"data.{suffix}"
    shuffled = table.sample(frac=1, random_state=0).sort_values("id", kind="stable")
    if suffix == "parquet":
        shuffled.to_parquet(file)
    else:
        shuffled.to_csv(file, index=False, sep={"tsv": "\t", "semicolons.csv": ";"}.get(suffix, ","))
    prepared = read(file)
    check(prepared, table)
    assert prepared.facts == {
        "in_channels": 2,
        "classes": ["a", "b"],
        "unequal": True,
        "shortest": 20,
        "longest": 27,
        "channels": ["x", "y"],
        "step": 0.1,
    }
    assert prepared.labels("train").tolist() == [0, 1] * 4
    assert prepared.groups("train").tolist() == [f"g{i // 2}" for i in range(8)]
    assert not prepared.repairs
    assert not prepared.set_aside


def test_names_of_columns(folder, table):
    renamed = table.rename(columns={"id": "machine", "time": "t", "label": "state", "group": "site"})
    renamed.assign(note="x", part="train").to_csv(folder / "data.csv", index=False)
    names = {"id": "machine", "time": "t", "label": "state", "group": "site", "split": "part"}
    prepared = read(folder / "data.csv", values=["y", "x"], **names)
    assert prepared.facts["channels"] == ["y", "x"]
    np.testing.assert_allclose(
        series_of(prepared)["p0"], table.loc[table["id"] == "p0", ["y", "x"]].to_numpy().T, rtol=1e-6
    )
    with pytest.raises(DataError, match="expected 'hour' as time; it has machine, t, x, y"):
        read(folder / "data.csv", **{**names, "time": "hour"})
    with pytest.raises(DataError, match=r"column 'note' of data.csv expected numbers.*row 0 holds 'x'"):
        read(folder / "data.csv", **names)


def test_dates_give_a_sampling_rate(folder, table):
    times = pd.Timestamp("2024-03-01", tz="Europe/Berlin") + pd.to_timedelta(table["time"], unit="s")
    for column in (times, times.dt.tz_localize(None), times.astype(str)):
        table.assign(time=column).to_parquet(folder / "data.parquet")
        prepared = read(folder / "data.parquet")
        check(prepared, table)
        assert prepared.facts["sampling_rate_hz"] == pytest.approx(10)
    assert read(folder / "data.parquet", sampling_rate_hz=5).facts["sampling_rate_hz"] == 5.0


def test_without_times_rows_are_in_order(folder, table):
    table.drop(columns="time").to_csv(folder / "data.csv", index=False)
    check(read(folder / "data.csv"), table)


def test_steps_without_a_row_are_missing(folder, table):
    gaps = table.drop(index=[5, 25, 26, 27, 28, 29, 30])
    gaps.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv")
    found = series_of(prepared)
    assert list(found) == ["p0", *(f"p{i}" for i in range(2, 8))]
    expected = table.loc[table["id"] == "p0", "x"].to_numpy()
    np.testing.assert_allclose(found["p0"][0, 5], (expected[4] + expected[6]) / 2, rtol=1e-5)
    assert dict(prepared.set_aside) == {"p1": "29% of channel 0 is missing in runs longer than 10%"}
    assert prepared.repairs == {"series with short gaps interpolated": 1}
    assert list(series_of(read(folder / "data.csv", max_gap=0.3))) == [f"p{i}" for i in range(8)]


def test_a_step_of_ones_own_averages_rows(folder, table):
    table.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", step=0.2)
    x = table.loc[table["id"] == "p0", "x"].to_numpy()
    assert prepared.repairs == {"steps with several rows averaged": sum(n // 2 for n in range(20, 28))}
    np.testing.assert_allclose(series_of(prepared)["p0"][0], x.reshape(10, 2).mean(axis=1), rtol=1e-5)


def test_jittered_times_do_not_drift(folder):
    rng = np.random.default_rng(0)
    time = np.round(np.arange(2000) / 30, 3)  # milliseconds: 33, 33, 34, ...
    frames = [pd.DataFrame({"id": i, "time": time, "x": rng.normal(size=2000)}) for i in range(2)]
    pd.concat(frames).to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv")
    assert prepared.facts["length"] == 2000
    assert not prepared.repairs


def test_a_wrong_time_does_not_fill_the_memory(folder, table):
    table.loc[3, "time"] = 1e9
    table.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv")
    assert len(prepared.splits["train"]) == 7
    assert prepared.set_aside[0].source == "p0"
    assert "has 20 rows, but its times span 10000000001 steps of 0.1: correct a time" in prepared.set_aside[0].reason


def test_rows_without_a_time_or_a_series(folder, table):
    table.loc[[3, 4], "time"] = np.nan
    table.loc[50, "id"] = None
    table.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", max_gap=0.2)
    assert prepared.repairs["rows without a time or the name of a series left out"] == 3
    assert len(prepared.splits["train"]) == 8


def test_labels_for_a_part_of_the_series(folder, table):
    table.loc[table["id"].isin(["p0", "p1", "p2"]), "label"] = None
    table.to_csv(folder / "data.csv", index=False)
    assert read(folder / "data.csv").labels("train").tolist() == [-1, -1, -1, 1, 0, 1, 0, 1]


def test_a_label_that_changes_within_a_series(folder, table):
    table.loc[5, "label"] = "b"
    table.to_csv(folder / "data.csv", index=False)
    reason = "has 2 values of 'label' in its rows; one is expected, unless series are cut into windows (window: STEPS)"
    assert list(read(folder / "data.csv").set_aside) == [("p0", reason)]


def test_test_splits_hold_out_groups(folder, table):
    table.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", test_fraction=0.25)
    assert not set(prepared.groups("train")) & set(prepared.groups("test"))
    part = np.where(table["group"].isin(["g0", "g3"]), "test", "train")
    table.assign(split=part).to_csv(folder / "data.csv", index=False)
    assert set(read(folder / "data.csv").groups("test")) == {"g0", "g3"}


def test_windows(folder, table):
    table.to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", window=10, normalize="train")
    assert prepared.column("train", "id")[:3].tolist() == ["p0@0", "p0@10", "p1@0"]
    assert prepared.facts["shape"] == [2, 10]
    assert len(prepared.facts["channel_mean"]) == 2


# --- folders


def test_a_folder_of_tables(folder, table):
    (folder / "deep").mkdir()
    for i, (name, rows) in enumerate(table.groupby("id")):
        file = folder / ("deep" if i % 2 else ".") / f"{name}.csv"
        rows.drop(columns="id").to_csv(file, index=False)
    (folder / "broken.parquet").write_text("nonsense")
    (folder / "empty.csv").write_text("")
    (folder / "other.csv").write_text("time,x\n1,2\n")
    (folder / "words.csv").write_text("time,x,y\n1,2,three\n")
    (folder / "dates.csv").write_text("time,x,y\n2024-01-01,2,3\n")
    (folder / "notes.md").write_text("not a table")
    prepared = read(folder)
    assert sorted(prepared.column("train", "id")) == sorted(f"{'deep/' * (i % 2)}p{i}" for i in range(8))
    reasons = dict(prepared.set_aside)
    assert set(reasons) == {"broken.parquet", "empty.csv", "other.csv", "words.csv", "dates.csv"}
    assert "no readable parquet" in reasons["broken.parquet"]
    assert "is empty" in reasons["empty.csv"]
    assert reasons["other.csv"].startswith("has the channels x and numbers as times; most files have the channels x, y")
    assert "row 0 holds 'three'" in reasons["words.csv"]
    assert reasons["dates.csv"].startswith("has the channels x, y and dates as times")


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "", {}, r"a\.csv is empty"),
        ("a.csv", "id,time,x\n", {}, r"a\.csv is empty: it has no rows"),
        ("a.csv", "id,time\n1,2\n", {}, "has no columns of values besides id, time"),
        ("a.csv", "id,time,x\n1,noon,2\n", {}, "all numbers or all dates.*row 0 holds 'noon'"),
        ("a.csv", "id,time,x\n1,0,2\n1,1,3\n", {}, "at least two usable series for training; got one"),
        ("a.csv", "id,x\n1,2\n2,3\n", {}, r"(?s)no usable row.*1: has 1 step\(s\), fewer than two"),
        ("a.csv", "id,x\n1,2\n", {"values": ["z"]}, "expected 'z' as values; it has id, x"),
        ("a.md", "id,x\n1,2\n", {}, r"expected one of \.csv, .*; got a\.md"),
        ("a.csv", "id,x,label\n1,2,a\n1,3,a\n2,1,a\n2,0,a\n", {}, "at least two classes; all 2 labelled rows are 'a'"),
    ],
)
def test_files_that_cannot_be_used(folder, name, text, options, message):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read(folder / name, **options)


def test_folders_that_cannot_be_used(folder):
    with pytest.raises(DataError, match=r"expected tables .* or below; found none"):
        read(folder)
    with pytest.raises(DataError, match=r"expected a file or a folder at .*nowhere; there is none"):
        read(folder / "nowhere")
    (folder / "a.csv").write_text("")
    with pytest.raises(DataError, match=r"(?s)no usable row for the split 'train'.*a\.csv: a\.csv is empty"):
        read(folder)


def test_all_series_differ_within(folder, table):
    table.assign(label=np.arange(len(table))).to_csv(folder / "data.csv", index=False)
    with pytest.raises(DataError, match="no usable row for the split 'train'"):
        read(folder / "data.csv")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("soon", "a number, or a duration such as '10ms'; got 'soon'"),
        (0, "a positive duration; got 0"),
        ("-1s", "a positive duration; got '-1s'"),
    ],
)
def test_wrong_steps(folder, table, step, message):
    table.to_csv(folder / "data.csv", index=False)
    with pytest.raises(DataError, match=message):
        read(folder / "data.csv", step=step)
    with pytest.raises(InputError, match="hop is the distance"):
        read(folder / "data.csv", hop=3)


def test_folders_of_splits(folder, table):
    """Files below train/ and test/ are not mixed by chance."""
    data, table = folder / "data", table.drop(columns="group")
    for part, ids in {"train": ("p0", "p1"), "dev": ("p2",), "test": ("p3",)}.items():
        (data / part).mkdir(parents=True)
        for name in ids:
            table[table["id"] == name].to_csv(data / part / f"{name}.csv", index=False)
    table[table["id"] == "p4"].to_csv(data / "stray.csv", index=False)
    prepared = read(data)
    ids = {split: [name.split("/")[-1] for name in rows["id"]] for split, rows in prepared.splits.items()}
    assert ids == {"train": ["p0", "p1"], "validation": ["p2"], "test": ["p3"]}
    assert [row.source for row in prepared.set_aside] == ["stray.csv"]
    assert "dev/ -> validation, 1 file(s)" in prepared.account()
    (data / "dev").rename(data / "other")
    with pytest.raises(DataError, match="other not"):
        read(data)
    said = read(data, splits={"train": "train", "other": "test"})
    assert {split: len(rows) for split, rows in said.splits.items()} == {"train": 2, "test": 1}
    assert "validation" not in read(data, splits={}).splits
    assert set(read(data, fitted=dict(prepared.facts)).splits) == {"train"}
