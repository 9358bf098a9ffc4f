"""Numbers with units, dates as whole numbers, and texts that look like numbers: read, asked for, or said."""

import numpy as np
import pandas as pd
import pytest

from bam_core import BAMEmbedder
from bam_core.errors import DataError, InputError
from modalities.tabular.data import read_table
from modalities.tabular.memory import from_memory, read_frame


def table(**columns):
    return pd.DataFrame({"score": np.arange(60) / 8, **columns})


def read(path, sep=",", fitted=None, **columns):
    table(**columns).to_csv(path / "a.csv", index=False, sep=sep)
    return read_table(path=str(path / "a.csv"), fitted=fitted)


@pytest.mark.parametrize(
    ("write", "mean"),
    [
        (lambda i: f"${1000 + i:,}", 1029.5),
        (lambda i: f"-$ {1000 + i:,}.50", -1030),
        (lambda i: f"{i % 7 + 1} %", 3.9),
        (lambda i: f"{i / 2}kg", 14.75),
        (lambda i: f"US$ {i}", 29.5),
        (lambda i: f"CHF {i}.00", 29.5),
        (lambda i: "" if i == 3 else f"{i} mg/dL", 1767 / 59),
    ],
)
def test_numbers_with_units(tmp_path, write, mean):
    data = read(tmp_path, m=[write(i) for i in range(60)])
    assert data.facts["numeric_names"] == ["score", "m"]
    assert data.facts["means"][1] == pytest.approx(mean)
    assert any(kind.startswith("column 'm': numbers with '") for kind in data.repairs)


def test_euros_with_commas_and_points_between_thousands(tmp_path):
    texts = [f"{1000 + i:,} €".replace(",", ".") for i in range(60)]
    with pytest.raises(DataError, match=r"column 'm' has numbers such as '1\.000', which may be 1\.000 or 1000"):
        read(tmp_path, m=texts)
    data = read(tmp_path, sep=";", m=[text.replace(" €", ",50 €") for text in texts])
    assert data.facts["means"][1] == pytest.approx(1030)


def test_new_tables_with_and_without_the_unit(tmp_path):
    trained = read(tmp_path, m=[f"{i} %" for i in range(60)]).facts
    same = read(tmp_path, m=[f"{i}%" for i in range(60)], fitted=trained)
    without = read(tmp_path, m=range(60), fitted=trained)
    assert np.array_equal(same.column("train", "numeric"), without.column("train", "numeric"))
    assert without.repairs == {"column 'm': numbers with '%' in training, and now without it": 60}
    with pytest.raises(DataError, match=r"column 'm': 60 of 60 values are no numbers, such as '0 kg'"):
        read(tmp_path, m=[f"{i} kg" for i in range(60)], fitted=trained)


def test_codes_stay_categories(tmp_path):
    for codes in (["Q1", "Q2", "Q3"], ["1st", "2nd", "3rd"], ["007 A", "012 A"], ["5 kg", "5 lb"], ["I10", "I21"]):
        data = read(tmp_path, m=[codes[i % len(codes)] for i in range(60)])
        assert data.facts["categorical_names"] == ["m"]


def test_dates_as_whole_numbers(tmp_path):
    days = pd.date_range("2021-01-01", periods=60, freq="11D")
    dates = [int(day.strftime("%Y%m%d")) for day in days]
    expected = read(tmp_path, m=days).column("train", "numeric")
    for values in (dates, pd.Series(dates).astype(float)):
        frame = table(m=values)
        frame.loc[[1]] = frame.loc[[0]].to_numpy()  # so that it is no id
        data = from_memory(frame)
        assert "m: year" in data.facts["numeric_names"]
        assert data.repairs["column 'm': whole numbers such as " + str(values[0]) + " read as dates"] == 60
    frame.to_csv(tmp_path / "b.csv", index=False)
    again = read_table(path=str(tmp_path / "b.csv"))
    assert again.facts["numeric_names"] == data.facts["numeric_names"]
    np.testing.assert_allclose(again.column("train", "numeric"), data.column("train", "numeric"), rtol=1e-5)
    assert expected.shape == data.column("train", "numeric").shape
    assert from_memory(table(m=[20210100 + i // 2 for i in range(60)])).facts["numeric_names"] == ["score", "m"]


def test_the_year_9999_is_missing(tmp_path):
    data = read(
        tmp_path, end=["9999-12-31" if i % 3 == 0 else f"2021-{i % 12 + 1:02d}-0{i % 9 + 1}" for i in range(60)]
    )
    assert data.repairs == {"column 'end': dates of the year 9999 taken as missing": 20}
    years = data.column("train", "numeric")[:, data.facts["numeric_names"].index("end: year")]
    assert np.isnan(years).sum() == 20


def test_many_texts_with_digits_are_said(tmp_path):
    times = [f"{i % 24:02d}:{i % 7}0" for i in range(48)] + ["00:00"] * 12
    data = read(tmp_path, m=times)
    assert data.facts["categorical_names"] == ["m"]
    assert data.notes[0].startswith(
        "Column 'm': 48 different texts such as '00:00' are taken as categories; numbers and"
    )


def test_infinities_among_few_numbers_are_missing(tmp_path):
    data = read(tmp_path, m=[["inf", "-inf", "1.5", "2.5"][i % 4] for i in range(60)])
    assert data.facts["means"][1] == pytest.approx(2)
    assert data.repairs == {"column 'm': no numbers, such as 'inf' in row 0, taken as missing": 30}


def test_labels_with_units_and_lists(tmp_path):
    texts = [f"{i + 0.5} %" for i in range(60)]
    data = read(tmp_path, label=texts)
    assert data.facts["task"] == "regression"
    assert "Label 'label': numbers with '%', read without it." in data.notes
    stars = read(tmp_path, label=[f"{i % 5} stars" for i in range(60)])
    assert stars.facts["classes"] == ["0 stars", "1 stars", "2 stars", "3 stars", "4 stars"]
    frame = table(label=[["a", "b"], ["b"], []] * 20)
    frame.to_parquet(tmp_path / "a.parquet")
    for found in (read_table(path=str(tmp_path / "a.parquet")), read_frame(frame=frame, label="label")):
        assert (found.facts["classes"], found.facts["task"]) == (["a", "b"], "multi_label")


def test_arrays_of_the_other_byte_order():
    values = np.random.default_rng(0).normal(size=(60, 3))
    swapped = from_memory(values.astype(values.dtype.newbyteorder()))
    assert np.array_equal(swapped.column("train", "numeric"), from_memory(values).column("train", "numeric"))


def test_columns_of_one_name():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "a", "b"])
    with pytest.raises(
        InputError, match=r"X expected columns of different names; 'a' came more than once\. Rename them"
    ):
        BAMEmbedder(epochs=1).fit(frame)
    fitted = BAMEmbedder(encoder={"width": 8, "depth": 1}, steps=1, random_state=0).fit(
        frame.set_axis(list("abc"), axis=1)
    )
    with pytest.raises(InputError, match="'a' came more than once"):
        fitted.transform(frame)
