import numpy as np
import pandas as pd
import pytest

from bam_core.errors import InputError
from modalities.tabular.ids import is_id_name, why_id
from modalities.tabular.memory import from_memory, read_frame

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "mrn", "Patient", "patient_id", "PatientID", "patientId", "case", "Case No.", "case_number", "caseno"],
)
def test_names_of_ids(name):
    assert is_id_name(name)
    assert "called like an id; keep: [" in why_id(pd.Series([1, 1, 2], name=name))


@pytest.mark.parametrize(
    "name", ["uuid", "customer id", "PassengerId", "Unnamed: 0", "subject", "record_id", "store id", "sampleid"]
)
def test_more_names_of_ids(name):
    assert is_id_name(name)


@pytest.mark.parametrize(
    "name", ["age", "humidity", "idle", "paid", "zip", "n_cases", "sample", "order", "width", "valid", "cases_per_day"]
)
def test_other_names(name):
    assert not is_id_name(name)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (RNG.permutation(300) + 5000, "looks like an id: its 300 whole numbers all differ"),
        ((RNG.permutation(300) + 5000).astype(str), "looks like an id"),
        ([None, *map(float, RNG.permutation(300))], "looks like an id"),
        (range(40), "counts the rows"),
        ([str(i) for i in range(1, 41)], "counts the rows"),
    ],
)
def test_whole_numbers_that_never_repeat(values, reason):
    assert reason in why_id(pd.Series(list(values), name="x"))


@pytest.mark.parametrize(
    "values", [RNG.integers(0, 90, 300), RNG.permutation(300) - 5, RNG.normal(size=300), range(12), [True, False] * 30]
)
def test_numbers_that_are_no_ids(values):
    assert why_id(pd.Series(list(values), name="x")) is None


@pytest.fixture
def frame():
    label = RNG.integers(0, 2, 300)
    return pd.DataFrame(
        {
            "size": RNG.normal(size=300),
            "case_no": np.where(label == 1, 1000, 5000) + RNG.permutation(300),
            "serial": RNG.permutation(300) + 7,
            "store id": RNG.integers(0, 5, 300),
            "label": label,
        }
    )


def test_ids_are_set_aside_and_said(frame):
    prepared = read_frame(frame=frame)
    assert prepared.facts["numeric_names"] == ["size"]
    assert [row.source for row in prepared.set_aside] == ["column 'case_no'", "column 'serial'", "column 'store id'"]
    assert "column 'case_no'" in prepared.account()
    assert set(prepared.facts["unused_columns"]) == {"case_no", "serial", "store id"}


def test_ids_that_are_wanted(frame):
    prepared = read_frame(frame=frame, keep=["serial"], categorical=["store id"])
    assert prepared.facts["numeric_names"] == ["size", "serial"]
    assert prepared.facts["categorical_names"] == ["store id"]


def test_ids_in_memory(frame):
    rows = from_memory(frame.drop(columns="label"))
    assert rows.facts["numeric_names"] == ["size"]
    assert from_memory(frame[["size", "serial"]], keep=["serial"]).facts["numeric_names"] == ["size", "serial"]


def test_columns_by_place(frame):
    rows = from_memory(frame.drop(columns="label"), categorical=[3], keep=[2], drop=["case_no"])
    assert (rows.facts["numeric_names"], rows.facts["categorical_names"]) == (["size", "serial"], ["store id"])
    array = np.column_stack([RNG.normal(size=60), RNG.integers(0, 4, 60)])
    assert from_memory(array, categorical=[1]).facts["categorical_names"] == ["1"]
    with pytest.raises(InputError, match="by place expected numbers from 0 to 1; got 2"):
        from_memory(array, categorical=[2])
