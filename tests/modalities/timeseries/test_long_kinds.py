"""Long tables as people have them: every series, with its own rows in its own order, or a word about it."""

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long import read_frame, read_long

N_STEPS = 40
SERIES = np.random.default_rng(0).normal(size=(4, 2, N_STEPS))


def long(ids=range(4), series=SERIES):
    parts = [
        pd.DataFrame({"id": i, "time": np.arange(N_STEPS), "x": one[0], "y": one[1]})
        for i, one in zip(ids, series, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def read(path, **options):
    return read_long(path=str(path), **{"normalize": "none", "test_fraction": 0, **options})


def signals(prepared):
    ids, values = prepared.column("train", "id"), prepared.column("train", "signal")
    order = np.argsort(ids)
    return ids[order].tolist(), values[order].reshape(len(ids), prepared.facts["in_channels"], -1)


def check(prepared, names=("0", "1", "2", "3"), series=SERIES):
    found, values = signals(prepared)
    assert found == list(names)
    np.testing.assert_allclose(values, series, rtol=1e-5)


@pytest.mark.parametrize(
    "columns",
    [
        {"id": "ID", "time": "Time"},
        {"id": " id", "time": " time"},
        {"id": "Series_ID", "time": "timestamp [s]"},
        {"id": "trial", "time": "t"},
    ],
)
def test_columns_in_any_spelling(folder, columns):
    frame = long().sort_values("time", kind="stable").rename(columns=columns)
    frame.to_csv(folder / "a.csv", index=False)
    prepared = read(folder / "a.csv")
    check(prepared)
    assert prepared.facts["channels"] == ["x", "y"]
    assert len(prepared.notes) == sum(name.strip() != role for role, name in columns.items())


def test_a_column_called_like_a_label_person_or_row_is_no_channel(folder):
    frame = long().assign(Class=1, subject="s", index=7, person=3)
    frame.to_csv(folder / "a.csv", index=False)
    with pytest.raises(DataError, match="all 4 labelled rows are '1'"):
        read(folder / "a.csv")
    prepared = read(folder / "a.csv", label="none")
    check(prepared)
    assert [note for note in prepared.notes if "is no input" in note] == [
        "Column 'Class' is no input: it is called like a label.",
        "Column 'index' is no input: it is called like a number of the row.",
        "Column 'person' is no input: it is called like a person or machine.",
    ]
    asked = read(folder / "a.csv", label="none", values=["x", "Class"])
    assert asked.facts["channels"] == ["x", "Class"]


def test_a_column_that_counts_the_rows_is_no_channel(folder):
    long().drop(columns="time").assign(n=range(4 * N_STEPS)).to_csv(folder / "a.csv", index=False)
    prepared = read(folder / "a.csv")
    check(prepared)
    assert prepared.notes == ["Column 'n' is no input: it is called like a number of the row."]


def test_without_times_rows_are_in_order_within_each_id(folder):
    """Also if they lie in two blocks, or take turns."""
    frame = long().sort_values("time", kind="stable").drop(columns="time")
    frame.to_csv(folder / "a.csv", index=False)
    check(read(folder / "a.csv"))


def test_ids_of_different_files_are_different_series(folder):
    for name, half in (("s0", slice(0, 2)), ("s1", slice(2, 4))):
        long(range(2), SERIES[half]).to_csv(folder / f"{name}.csv", index=False)
    prepared = read(folder)
    check(prepared, ("s0/0", "s0/1", "s1/0", "s1/1"))
    assert any("join_files: true joins them" in note for note in prepared.notes)
    with pytest.raises(DataError, match="different values of 'x' at the same time, 0"):
        read(folder, join_files=True)


def test_files_of_one_series_can_be_joined(folder):
    frame = long()
    early = frame["time"] < 25
    frame[early].to_csv(folder / "a.csv", index=False)
    frame[~early].to_csv(folder / "b.csv", index=False)
    check(read(folder, join_files=True))


def test_repeated_rows_are_dropped_and_contradictions_set_aside(folder):
    frame = long()
    other = frame.iloc[[50]].assign(x=9.0)
    pd.concat([frame, frame.iloc[:7], other]).to_csv(folder / "a.csv", index=False)
    prepared = read(folder / "a.csv")
    check(prepared, ("0", "2", "3"), SERIES[[0, 2, 3]])
    assert prepared.repairs == {"rows that repeat another one dropped": 7}
    assert prepared.set_aside[0].source == "1"
    assert "different values of 'x' at the same time, 10; 2 of 41 rows" in prepared.set_aside[0].reason


def test_times_cut_to_seconds_are_refused(folder):
    times = pd.date_range("2024-03-01", periods=N_STEPS, freq="20ms").floor("s")
    long().assign(time=np.tile(times, 4)).to_csv(folder / "a.csv", index=False)
    with pytest.raises(DataError, match=r"2024-03-01T00:00:00; 40 of 40 rows share their time.*\(time: none\)"):
        read(folder / "a.csv")
    check(read(folder / "a.csv", time="none"))


def test_a_duration_as_step_needs_times_whose_unit_is_known(folder):
    long().assign(time=1_700_000_000_000 + 10 * np.tile(np.arange(N_STEPS), 4)).to_csv(folder / "a.csv", index=False)
    with pytest.raises(DataError, match="step '10ms' is a duration, but the unit of the times is not known"):
        read(folder / "a.csv", step="10ms")
    check(read(folder / "a.csv", step=10))
    with pytest.raises(
        DataError, match="about 10; with 1, more than half of the steps of 4 of 4 series would be empty"
    ):
        read(folder / "a.csv", step=1)


def test_series_at_two_rates_are_said(folder):
    frame = long()
    frame[(frame["id"] > 0) | (frame["time"] % 4 == 0)].to_csv(folder / "a.csv", index=False)
    prepared = read(folder / "a.csv")
    assert prepared.repairs["series with rows more than two steps of 1 apart, interpolated or missing between"] == 1


@pytest.mark.parametrize("names", [["id", "time"], ["instances", "timepoints"], [None, None]])
def test_an_index_of_series_and_times(folder, names):
    frame = long().sample(frac=1, random_state=0).set_index(["id", "time"]).rename_axis(names)
    prepared = read_frame(frame=frame, normalize="none")
    check(prepared)
    frame.to_parquet(folder / "a.parquet")
    check(read(folder / "a.parquet"))


def test_an_index_of_several_levels_names_a_series():
    frame = long().assign(site="s").set_index(["site", "id", "time"])
    check(read_frame(frame=frame, normalize="none"), [f"s/{i}" for i in range(4)])


@pytest.mark.parametrize("name", [None, "time", "timestamp"])
def test_an_index_of_times(name):
    times = np.tile(pd.date_range("2024", periods=N_STEPS, freq="s"), 4)
    frame = long().drop(columns="time").set_index(pd.DatetimeIndex(times, name=name)).sample(frac=1, random_state=0)
    prepared = read_frame(frame=frame, normalize="none")
    check(prepared)
    assert prepared.facts["sampling_rate_hz"] == 1


def test_who_is_who_is_asked_for_where_persons_change_and_no_series_is_named(folder):
    long().rename(columns={"id": "subject"}).to_csv(folder / "a.csv", index=False)
    with pytest.raises(DataError, match=r"column 'subject' of a.csv changes within the table.*such as id: subject"):
        read(folder / "a.csv")
    check(read(folder / "a.csv", id="subject"))


def test_empatica_writes_begin_and_rate_in_front(folder):
    for i in range(4):
        (folder / f"S{i}").mkdir()
        counts = np.round(SERIES[i] * 30).T
        begin = np.array([[1495437325.0] * 2, [32.0] * 2])
        np.savetxt(folder / f"S{i}" / "ACC.csv", np.vstack([begin, counts]), delimiter=", ", fmt="%.6f")
    prepared = read(folder)
    check(prepared, [f"S{i}/ACC" for i in range(4)], np.round(SERIES * 30))
    assert prepared.facts["sampling_rate_hz"] == 32
    assert "Empatica" in prepared.notes[0]


@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_wide_tables_with_labels_and_persons_of_other_names(folder, suffix):
    wide = pd.DataFrame(SERIES[:, 0], columns=[f"t{i}" for i in range(N_STEPS)])
    wide = wide.assign(Class=[0, 1, 0, 1], Subject=range(4))
    wide.to_csv(folder / f"a.{suffix}", index=False, sep=";", decimal=",")
    prepared = read_arrays(path=str(folder / f"a.{suffix}"), normalize="none", test_fraction=0)
    np.testing.assert_allclose(prepared.column("train", "signal"), SERIES[:, 0], rtol=1e-5)
    assert prepared.facts["classes"] == ["0", "1"]
    assert prepared.groups("train").tolist() == list("0123")
    assert len(prepared.notes) == 3


@pytest.mark.parametrize("read_one", [read_arrays, read])
def test_points_between_thousands_where_decimals_have_commas(folder, read_one):
    """1.234 alone looks like a decimal point to pandas; the column beside it says that it is none."""
    lines = [f"{1 + i % 7}.{234 + i};{i % 9},5" for i in range(40)]
    (folder / "a.csv").write_text("\n".join(["a;b", *lines]) + "\n")
    options = {"window": 20} if read_one is read else {}
    prepared = read_one(path=str(folder / "a.csv"), normalize="none", test_fraction=0, **options)
    found = prepared.column("train", "signal").reshape(-1, *prepared.facts["shape"])
    rows = np.array([[1000 * (1 + i % 7) + 234 + i, i % 9 + 0.5] for i in range(40)])
    expected = rows[:, None] if read_one is read_arrays else np.stack([rows[:20].T, rows[20:].T])
    np.testing.assert_array_equal(found, expected)
    assert any("decimal commas" in note for note in prepared.notes)


def test_a_table_with_times_in_rows_is_no_table_of_series(folder):
    walks = np.random.default_rng(0).normal(size=(200, 6)).cumsum(axis=0) + np.arange(6) * 50 % 130
    pd.DataFrame(walks, columns=list("abcdef")).to_csv(folder / "a.csv", index=False)
    with pytest.raises(DataError, match=r"neighbouring rows are alike.*reader: long"):
        read_arrays(path=str(folder / "a.csv"))
    assert read(folder / "a.csv", window=50).facts["channels"] == list("abcdef")


def test_the_older_form_of_the_ucr_archive(folder):
    lines = ["  ".join(["", f"{(-1) ** i:.7e}", *(f"{v:.7e}" for v in one[0])]) for i, one in enumerate(SERIES)]
    (folder / "Ford_TRAIN.txt").write_text("\n".join(lines) + "\n")
    prepared = read_arrays(path=str(folder / "Ford_TRAIN.txt"), normalize="none", test_fraction=0)
    np.testing.assert_allclose(prepared.column("train", "signal"), SERIES[:, 0], rtol=1e-5)
    assert prepared.facts["classes"] == ["-1", "1"]


def test_channels_of_lists_are_found_by_name(folder):
    frame = pd.DataFrame({"acc": list(SERIES[:, 0]), "gyr": list(SERIES[:, 1])})
    frame.to_parquet(folder / "a.parquet")
    frame[["gyr", "acc"]].to_parquet(folder / "b.parquet")
    frame.rename(columns={"acc": "mag"}).to_parquet(folder / "c.parquet")
    facts = read_arrays(path=str(folder / "a.parquet")).facts
    options = {"normalize": "none", "fitted": dict(facts)}
    for name in ("a", "b"):
        found = read_arrays(path=str(folder / f"{name}.parquet"), **options)
        np.testing.assert_allclose(np.array(found.column("train", "signal")).reshape(SERIES.shape), SERIES, rtol=1e-6)
    with pytest.raises(
        DataError, match="expected the channels acc, gyr, as the encoder was trained on; it has mag, gyr"
    ):
        read_arrays(path=str(folder / "c.parquet"), **options)
