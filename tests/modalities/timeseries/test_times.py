"""Times in every form that people write them: the right seconds, or an error that says what is open."""

import datetime

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError
from modalities.timeseries.grid import merge_repeats, read_step
from modalities.timeseries.times import join_date_and_time, read_times

DAYS = pd.date_range("2024-01-13 10:00", periods=5, freq="20s")
SECONDS = np.arange(5) * 20.0


@pytest.mark.parametrize(
    "column",
    [
        DAYS,
        DAYS.tz_localize("Europe/Berlin"),
        DAYS.astype("datetime64[s]"),
        DAYS.astype(str),
        [day.isoformat() for day in DAYS.tz_localize("Europe/Berlin")],
        [day.strftime("%d.%m.%Y %H:%M:%S") for day in DAYS],
        [day.strftime("%d/%m/%Y %H:%M:%S") for day in DAYS],
        [day.strftime("%m/%d/%Y %I:%M:%S %p") for day in DAYS],
        [day.strftime("%m-%d-%y %H:%M:%S") for day in DAYS],
        [day.time() for day in DAYS],
        [str(day.time()) for day in DAYS],
        [day.strftime("%I:%M:%S %p") for day in DAYS],
        DAYS - DAYS[0],
        [str(duration) for duration in DAYS - DAYS[0]],
        [datetime.timedelta(seconds=s) for s in SECONDS],
        pd.period_range("2024-01-13 10:00", periods=5, freq="20s"),
    ],
)
def test_dates_times_and_durations_are_seconds(column):
    found = read_times(pd.Series(column, name="time"), "a.csv")
    assert found.are_dates
    np.testing.assert_allclose(found.values - found.values[0], SECONDS, atol=1e-5)


@pytest.mark.parametrize("column", [[0, 20, 40], ["0", "20", "40"], [0.0, 20.0, 40.0], pd.array([0, 20, 40], "Int64")])
def test_numbers_stay_in_their_unit(column):
    found = read_times(pd.Series(column, name="time"), "a.csv")
    assert not found.are_dates
    assert found.values.tolist() == [0, 20, 40]


@pytest.mark.parametrize("column", [DAYS, DAYS - DAYS[0], DAYS.astype(str), [str(day.time()) for day in DAYS], SECONDS])
def test_missing_times_are_missing(column):
    times = pd.Series(column, name="time").astype(object)
    times[2] = None
    for typed in (times, times.infer_objects()):
        values = read_times(typed, "a.csv").values
        np.testing.assert_allclose(values - values[0], [0, 20, np.nan, 60, 80], atol=1e-5)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["2024-01-01", "later"], "expected times.*row 1 holds 'later'"),
        (["03/04/2024", "04/04/2024"], "day and month can be read in two ways"),
        (["10:00:00", "later"], "row 1 holds 'later'"),
        (["1 days 00:00:00", "later"], "row 1 holds 'later'"),
        (["23:59:50", "00:00:10"], "passes midnight at row 1, and holds no days"),
    ],
)
def test_times_that_cannot_be_known(column, message):
    with pytest.raises(DataError, match=message):
        read_times(pd.Series(column, name="time"), "a.csv")


def test_times_of_day_of_several_series():
    column = pd.Series(["22:00:00", "22:00:10", "01:00:00", "01:00:10"])
    assert read_times(column, "a.csv", np.array([0, 0, 1, 1])).values.tolist() == [79200, 79210, 3600, 3610]


def test_a_day_and_a_time_in_two_columns():
    days = pd.Series(["16/12/2006", "17/12/2006", None])
    joined = join_date_and_time(days, pd.Series(["23:59:00", "00:00:00", "00:01:00"], name="Time"))
    assert joined.tolist() == ["16/12/2006 23:59:00", "17/12/2006 00:00:00", None]
    assert np.diff(read_times(joined, "a.csv").values)[0] == 60
    assert join_date_and_time(pd.Series([datetime.date(2006, 12, 16)]), pd.Series(["1:00"]))[0] == "2006-12-16 1:00"


def test_rows_of_one_time_complete_each_other_or_are_refused():
    times, nan = np.array([0.0, 1, 1, 2]), np.nan
    merged = merge_repeats(times, np.array([[1, 2], [3, nan], [nan, 4], [5, 6]]), ["x", "y"], are_dates=False)
    assert merged.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert merged.n_dropped == 1
    with pytest.raises(DataError, match=r"different values of 'y' at the same time, 1; 2 of 4 rows share their time"):
        merge_repeats(times, np.array([[1, 2], [3, 7], [3, 4], [5, 6]]), ["x", "y"], are_dates=False)
    with pytest.raises(DataError, match="at the same time, 1970-01-01T00:00:01;"):
        merge_repeats(times, np.arange(4.0)[:, None], ["x"], are_dates=True)


def test_steps():
    assert read_step("20ms") == 0.02
    with pytest.raises(DataError, match="a duration such as '10ms'; got 'soon'"):
        read_step("soon")
