import decimal

import numpy as np
import pandas as pd
import pytest

from bam_core.data.numbers import read_numbers
from bam_core.errors import DataError


def read(*columns, **options):
    frame = pd.DataFrame({f"c{i}": pd.Series(column) for i, column in enumerate(columns)})
    return read_numbers(frame, "a.csv", **options)


@pytest.mark.parametrize(
    "column",
    [
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        ["1", "2.0", " 3 "],
        ["1,0", "2,0", "3"],
        [decimal.Decimal(1), decimal.Decimal(2), decimal.Decimal(3)],
        pd.array([1, 2, 3], dtype="Int64"),
        pd.Categorical([1, 2, 3]),
        pd.Categorical(["1", "2", "3"]),
    ],
)
def test_the_same_numbers_in_all_types(column):
    found = read(column)
    assert found.frame["c0"].tolist() == [1, 2, 3]
    assert found.frame["c0"].dtype == np.float64
    assert not found.missing


@pytest.mark.parametrize("mark", ["?", "-", "null", "NA", "n.a.", "none", "--", "nan "])
def test_marks_of_missing_numbers_are_counted(mark):
    found = read(["1.5", mark, "2.5"])
    np.testing.assert_array_equal(found.frame["c0"], [1.5, np.nan, 2.5])
    assert found.missing == {mark.strip(): 1}


def test_empty_values_are_missing():
    found = read(["1.5", "", None, np.nan], pd.array([1, None, 3, 4], dtype="Int64"))
    assert found.frame.isna().sum().tolist() == [3, 1]
    assert not found.missing


def test_decimal_commas_are_said_and_one_column_decides_for_all():
    found = read(["1,234", "2,345"], ["0,5", "1,25"])
    assert found.frame.to_numpy().tolist() == [[1.234, 0.5], [2.345, 1.25]]
    assert found.notes == ["Numbers of a.csv are read with decimal commas."]


def test_numbers_of_two_readings_are_asked_for():
    with pytest.raises(
        DataError, match=r"'c0' of a.csv has numbers such as '1,234', which may be 1.234 or 1234; .* Say"
    ):
        read(["1,234", "2,345"])
    assert read(["1,234", "2,345"], decimal=",").frame["c0"].tolist() == [1.234, 2.345]
    assert read(["1,234", "2,345"], decimal=".").frame["c0"].tolist() == [1234, 2345]
    with pytest.raises(DataError, match="row 1 holds '2,5'"):
        read(["1,234", "2,5"], decimal=".")


@pytest.mark.parametrize("value", ["1,234.50", "1.234,50", "1 234.5"])
def test_thousands_are_read_as_in_tables(value):
    assert read(["1", "2", value]).frame["c0"][2] == 1234.5


def test_a_column_with_both_marks_is_asked_about():
    with pytest.raises(DataError, match=r"'c0' of a\.csv has decimal points, as in '0\.5', and decimal commas, as in"):
        read(["0.5", "1,5"])
    assert read(["0.5", "2.5"], ["1,5", "2,25"]).frame.to_numpy().tolist() == [[0.5, 1.5], [2.5, 2.25]]


@pytest.mark.parametrize("value", ["12,34,567", "1.2.3", "four", "12:30"])
def test_what_is_no_number_is_named(value):
    with pytest.raises(DataError, match=f"column 'c1' of a.csv expected numbers.*row 2 holds '{value}'"):
        read([1, 2, 3], ["1", "2", value])


def test_fillers_far_outside_are_missing():
    found = read([0.5, -999, 1.5, -999.0], [-998, -999, -997, -1000], [100.0, 9999, 120, 130])
    np.testing.assert_array_equal(found.frame["c0"], [0.5, np.nan, 1.5, np.nan])
    assert found.frame["c1"].tolist() == [-998, -999, -997, -1000]
    assert found.missing == {"-999": 2, "9999": 1}
