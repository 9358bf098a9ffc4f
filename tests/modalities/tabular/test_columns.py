import datetime
import decimal
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bam_core.errors import DataError
from modalities.tabular.columns import MISSING, UNKNOWN, Notation, plan_column, tidy
from modalities.tabular.dates import DATE_PARTS
from modalities.tabular.reading import read_column


def series(values, **kwargs):
    return pd.Series(values, name="c", **kwargs)


def plan(values, **options):
    return plan_column(series(values), **options)


# --- what a column holds


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2.5", "-3e2"],
        ["1", "?", "NA", "", None, "2"],
        [1, 2, None],
        [1.5, np.nan, 2],
        [decimal.Decimal("1.5"), decimal.Decimal("2")],
        pd.array([1, None, 3], dtype="Int64"),
        ["1", "1,5", "2.000,25"],
        ["1,234.50", "950", "12.25", "1,234,567"],
        ["1 234", "1\u00a0234\u00a0567", "12"],
        ["\u22125.5", "2"],
    ],
)
def test_numbers(values):
    assert plan(values)["kind"] == "number"


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["red", "blue", " red ", None], ["blue", "red"]),
        ([True, False, None], ["False", "True"]),
        (["yes", "no", "no"], ["no", "yes"]),
        (["1", "2", "x"] * 5, ["1", "2", "x"]),
        (pd.Categorical(["a", "b", "a"]), ["a", "b"]),
        (["a", None, "a"], ["a"]),
        (pd.Categorical([1.0, 2.0, 1.0]), ["1", "2"]),
        (pd.Categorical([3, None, 1, 10]), ["1", "3", "10"]),
        (pd.Categorical([True, None, False]), ["False", "True"]),
        (["007", "012", "7"], ["007", "7", "012"]),
    ],
)
def test_categories(values, categories):
    found = plan(values)
    assert (found["kind"], found["categories"]) == ("category", categories)


def test_numbers_that_are_codes():
    found = plan(["10", "9", "10.0", 9], as_category=True)
    assert found == {"name": "c", "kind": "category", "categories": ["9", "10"], "codes": True}
    assert read_column(found, series([9.0, "10", "11", None])).indices.tolist() == [2, 3, UNKNOWN, MISSING]


@pytest.mark.parametrize(
    ("values", "date_format"),
    [
        (["2024-12-31", "2023-01-02"], "ISO8601"),
        (["2024-12-31T10:00:00Z", "2023-01-02 11:30"], "ISO8601"),
        (["31.12.2024", "02.01.2023", None], "%d.%m.%Y"),
        (["31/12/2024 10:30", "02/01/2023 11:00"], "%d/%m/%Y %H:%M"),
        (["12/31/2024", "01/02/2023"], "%m/%d/%Y"),
        ([pd.Timestamp("2024-12-31"), None, pd.Timestamp("2024-12-30")], "ISO8601"),
        ([datetime.datetime(2024, 12, 31), datetime.datetime(2023, 1, 2)], "ISO8601"),
    ],
)
def test_dates(values, date_format):
    found = plan(values)
    assert (found["kind"], found["format"]) == ("date", date_format)
    year = read_column(found, series(values)).numbers["c: year"]
    assert year[0] == pytest.approx(25, abs=0.01)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, "?", ""], "every value is missing"),
        ([np.nan, np.nan], "every value is missing"),
        (["a", "a"], "constant: every value is 'a'"),
        ([0, 0], "constant: every value is '0'"),
        ([f"name {i}" for i in range(12)], "an id or free text: all 12 values differ, such as 'name 0'"),
        ([f"name {i % 150}" for i in range(300)], r"150 different values.*max_categories \(100\)"),
        ([str(i) for i in range(50)] + [f"x{i}" for i in range(100)], "neither numbers nor categories: 33% of its"),
        (
            [str(i) for i in range(60)] + ["<5"] * 30,
            "neither numbers nor categories: 67% of .* others are not, such as '<5'",
        ),
        (pd.Categorical([i % 120 for i in range(240)]), "120 different values"),
        ([f"{i % 150:05d}" for i in range(300)], "150 different values, such as '00000'"),
        (["01/02/2024", "03/04/2024"], "may begin with the day or the month"),
        ([[1], [2]], "holds values of kind list"),
        ([1j, 2j], "holds complex numbers"),
    ],
)
def test_columns_of_no_use(values, reason):
    assert re.search(reason, plan(values))


def test_more_categories_on_request():
    values = [f"name {i % 150}" for i in range(300)]
    assert len(plan(values, max_categories=150)["categories"]) == 150


# --- reading by a plan


def test_texts_among_numbers_are_missing_and_named():
    values = [str(i) for i in range(60)] + ["12 kg", "inf"]
    read = read_column(plan(values), series(values))
    assert np.isnan(read.numbers["c"][60:]).all()
    assert read.notes == {"column 'c': no numbers, such as '12 kg' in row 60, taken as missing": 2}


def test_decimal_commas_are_named():
    values = ["1,5", "2.000,25", "3", None]
    read = read_column(plan(values), series(values))
    np.testing.assert_array_equal(read.numbers["c"], [1.5, 2000.25, 3, np.nan])
    assert read.notes == {"column 'c': decimal commas, read as points": 2}


def test_unseen_and_missing_categories_have_their_own_indices():
    found = plan(["a", "b"])
    read = read_column(found, series(["b", "new", None, "?"]))
    assert read.indices.tolist() == [3, UNKNOWN, MISSING, MISSING]
    assert read.notes == {"column 'c': categories not seen in training, such as 'new'": 1}


def test_the_same_category_in_text_and_in_types():
    found = plan([True, False])
    assert read_column(found, series(["True", "False"])).indices.tolist() == [3, 2]


def test_parts_of_a_date():
    values = ["2024-01-01 00:00", "2024-07-01 06:00", "nonsense", None]
    read = read_column({"name": "c", "kind": "date", "format": "ISO8601"}, series(values))
    assert list(read.numbers) == [f"c: {part}" for part in DATE_PARTS]
    at_new_year, in_july = (np.array([part[i] for part in read.numbers.values()]) for i in (0, 1))
    np.testing.assert_allclose(at_new_year, [24, 0, 1, 0, 1, 0, 1], atol=1e-6)
    assert in_july[0] == pytest.approx(24 + 182.25 / 366)
    np.testing.assert_allclose(in_july[5:], [1, 0], atol=1e-6)
    assert all(np.isnan(part[2:]).all() for part in read.numbers.values())
    assert read.notes == {"column 'c': no dates, such as 'nonsense' in row 2, taken as missing": 1}


def test_tidy_leaves_types_alone():
    assert tidy(pd.Series([1.5, 2.0])).dtype == np.float64
    assert tidy(pd.Series([1, None], dtype=object)).dtype == np.float64
    assert tidy(pd.Series([" x", None, "NULL"])).tolist() == ["x", None, None]


# --- numbers that people write in two ways


@pytest.mark.parametrize(
    ("values", "decimal", "means"),
    [
        (["1.234", "950"], ".", [1.234, 950]),
        (["1.234", "950"], ",", [1234, 950]),
        (["1,234", "950"], ".", [1234, 950]),
        (["1,234", "950"], ",", [1.234, 950]),
    ],
)
def test_ambiguous_numbers_are_asked_about(values, decimal, means):
    mark = values[0][1]
    with pytest.raises(
        DataError, match=rf"column 'c' has numbers such as '1{re.escape(mark)}234', which may be 1\.234 or"
    ):
        plan(values)
    notation = Notation(decimal=decimal)
    read = read_column(plan(values, notation=notation), series(values), notation)
    assert read.numbers["c"].tolist() == means


def test_columns_with_both_marks_are_asked_about():
    values = ["1.5", "2,5", "3"]
    with pytest.raises(DataError, match=r"decimal points, as in '1.5', and decimal commas, as in '2,5'"):
        plan(values)
    notation = Notation(decimal=".")
    values = [*values, *(f"{i}.5" for i in range(40))]
    read = read_column(plan(values, notation=notation), series(values), notation)
    assert np.isnan(read.numbers["c"]).tolist() == [False, True] + [False] * 41


@pytest.mark.parametrize("mark", ["-", ".", "n.a.", "missing", "?", "--", "unbekannt"])
def test_marks_of_missing_numbers(mark):
    values = [mark if i % 3 == 0 else str(18 + i) for i in range(90)]
    read = read_column(plan(values), series(values))
    assert np.isnan(read.numbers["c"]).sum() == 30
    assert sum(read.notes.values()) == (0 if mark == "?" else 30)
    few = ["1", "2", "3", "2", mark, "1"]
    assert plan(few)["kind"] == ("category" if mark in ("missing", "unbekannt") else "number")


def test_marks_of_missing_values_on_request():
    notation = Notation(na_values=["x", -99])
    values = ["1", "x", "-99", "-99.0", "2"]
    assert tidy(pd.Series(values), notation.na_values).isna().tolist() == [False, True, True, True, False]
    assert tidy(pd.Series([1, -99]), notation.na_values).isna().tolist() == [False, True]
    assert plan(values, notation=notation)["kind"] == "number"
    assert plan(["a", "x", "b", "a"], notation=notation)["categories"] == ["a", "b"]


@pytest.mark.parametrize("values", [[3.5, -999, 7, None], ["3.5", "-999", "7", ""], ["3,5", "-999", "7", "-"]])
def test_numbers_that_stand_for_missing_ones(values):
    found = plan(values)
    assert found["filler"] == -999
    read = read_column(found, series(values))
    np.testing.assert_array_equal(read.numbers["c"], [3.5, np.nan, 7, np.nan])
    assert read.notes["column 'c': -999 taken as missing"] == 1
    assert read_column(found, series([-999, 4])).numbers["c"][1] == 4
    assert "filler" not in plan([0, 0, 999])
    assert "filler" not in plan([0, 500, 999])
    assert plan([0, 1, -999, 1])["boolean"]


# --- new values that are written otherwise than those of training


def test_the_notation_of_new_numbers_is_its_own():
    commas = plan(["1,5", "2,25"])
    assert read_column(commas, series(["0.500", "12.500"])).numbers["c"].tolist() == [0.5, 12.5]
    assert read_column(commas, series(["12.500"])).numbers["c"].tolist() == [12500]  # as in training
    points = plan(["1.5", "2.25"])
    assert read_column(points, series(["1234,5", "0,5"])).numbers["c"].tolist() == [1234.5, 0.5]
    assert read_column(points, series(["1,234", "7"]), Notation(guessed=",")).numbers["c"].tolist() == [1.234, 7]


@pytest.mark.parametrize(
    "new", [["TRUE", "false"], ["1", "0"], [1, 0], [1.0, 0.0], ["1.0", "0.0"], [True, False], ["yes", "No"]]
)
def test_booleans_in_other_words(new):
    trained = plan([True, False])
    read = read_column(trained, series(new))
    assert read.indices.tolist() == [3, 2]
    assert read.n_unread == 0
    as_numbers = plan(["0", "1", "1"])
    assert read_column(as_numbers, series(new)).numbers["c"].tolist() == [1, 0]


def test_categories_in_other_letters():
    read = read_column(plan(["Bonn", "kiel", "1"] * 4), series(["BONN", "Kiel", "1.0", "Ulm"]))
    assert read.indices.tolist() == [3, 4, 2, UNKNOWN]
    assert read.notes == {
        "column 'c': categories written otherwise than in training, such as 'BONN' for 'Bonn'": 3,
        "column 'c': categories not seen in training, such as 'Ulm'": 1,
    }
    alike = plan(["a", "A", "b"])
    assert read_column(alike, series(["A", "a", "B"])).indices.tolist() == [2, 3, 4]
    assert read_column(plan(["007", "7", "08"]), series(["7", "007", "8"])).indices.tolist() == [3, 2, UNKNOWN]


def test_dates_in_another_order():
    trained = plan(["2024-12-31", "2024-01-01"])
    expected = read_column(trained, series(["2024-12-31", "2024-05-02"])).numbers
    for new in (
        ["31.12.2024", "02.05.2024"],
        ["12/31/2024", "05/02/2024"],
        pd.to_datetime(["2024-12-31", "2024-05-02"]),
    ):
        got = read_column(trained, series(new))
        for name, values in expected.items():
            np.testing.assert_array_equal(got.numbers[name], values)
    either = read_column(trained, series(["01/02/2024", "03/04/2024"]))
    assert (either.n_unread, either.n_known) == (2, 2)


def test_the_clock_on_the_wall_counts():
    trained = plan(["2024-12-31 10:00", "2024-01-01 12:30"])
    expected = read_column(trained, series(["2024-12-31 10:00"])).numbers
    there = pd.Timestamp("2024-12-31 10:00", tz="Europe/Berlin")
    for new in (["2024-12-31T10:00:00+01:00"], ["2024-12-31T10:00Z"], pd.DatetimeIndex([there]), [there, "x"][:1]):
        assert read_column(trained, series(new)).numbers == expected


@pytest.mark.parametrize("dtype", ["timestamp[us, tz=Europe/Berlin]", "timestamp[ns]", "date32"])
def test_dates_of_arrow(dtype):
    kinds = {
        "timestamp[us, tz=Europe/Berlin]": pa.timestamp("us", "Europe/Berlin"),
        "timestamp[ns]": pa.timestamp("ns"),
    }
    days = [pd.Timestamp("2024-12-31"), None, pd.Timestamp("2024-07-02")]
    if "tz" in dtype:
        days = [day and day.tz_localize("Europe/Berlin") for day in days]
    values = pd.Series(days, name="c").astype(pd.ArrowDtype(kinds.get(dtype, pa.date32())))
    expected = read_column(plan(["2024-12-31", "2024-07-02"]), series(["2024-12-31", None, "2024-07-02"]))
    got = read_column(plan_column(values), values)
    for name, numbers in expected.numbers.items():
        np.testing.assert_array_equal(got.numbers[name], numbers)


def test_dates_at_the_end_of_time():
    values = pd.Series(np.array(["9999-12-31", "2024-01-01"], "datetime64[us]"), name="c")
    read = read_column(plan_column(values), values)
    assert read.numbers["c: year"] == pytest.approx([np.nan, 24], abs=0.01, nan_ok=True)
    assert read.notes == {"column 'c': dates of the year 9999 taken as missing": 1}


def test_one_bad_date_among_many():
    values = [str(day.date()) for day in pd.date_range("2023-01-01", periods=600)]
    values[17] = "31.02.2024"
    read = read_column(plan(values), series(values))
    assert np.flatnonzero(np.isnan(read.numbers["c: year"])).tolist() == [17]
    assert read.notes == {"column 'c': no dates, such as '31.02.2024' in row 17, taken as missing": 1}


def test_times_are_no_numbers():
    read = read_column(plan([1.5, 2.5]), series(pd.to_datetime(["2024-12-31", "2024-05-02"])))
    assert np.isnan(read.numbers["c"]).all()
    assert read.n_unread == 2
