import datetime
import decimal
import re

import numpy as np
import pandas as pd
import pytest

from modalities.tabular.columns import DATE_PARTS, MISSING, UNKNOWN, plan_column, read_column, tidy


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
        pd.Categorical([1.0, 2.0, 1.0]),
        ["1", "1,5", "2.000,25"],
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
        (["1,234", "5,678", "3"], "may separate decimals or thousands"),
        (["01/02/2024", "03/04/2024"], "may begin with the day or the month"),
        ([[1], [2]], "holds values of kind list"),
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
    assert read.notes == {"column 'c': decimal commas, read as points": 3}


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
