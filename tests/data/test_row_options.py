from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from bam_core.data.row_options import RowOptions
from bam_core.errors import DataError

LABELS = np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("options", "named", "labels", "expected"),
    [
        ({}, ["training", "VAL", "dev", "eval"], LABELS, ["train", "validation", "validation", "test"]),
        ({"test_fraction": 0.5}, None, LABELS, ["test", "train", "test", "train"]),
        ({"test_fraction": 0.5}, [None, "", float("nan"), pd.NA], LABELS, ["test", "train", "test", "train"]),
        ({"test_fraction": 0}, None, LABELS, ["train"] * 4),
        ({"test_fraction": 0.5}, None, None, ["train"] * 4),
        ({"fitted": {}}, ["test"] * 4, LABELS, ["train"] * 4),
    ],
)
def test_assignment(options, named, labels, expected):
    found = RowOptions(**options).assign(4, named, labels=labels, groups=None)
    assert found.tolist() == expected


def test_groups_are_not_divided():
    groups = ["a", "a", "b", "b"]
    found = RowOptions(test_fraction=0.5).assign(4, None, labels=LABELS, groups=groups)
    assert found[0] == found[1] != found[2] == found[3]
    with pytest.raises(DataError, match="group 'a' is in the splits 'train' and 'test'"):
        RowOptions().assign(4, ["train", "test"] * 2, labels=None, groups=groups)


def test_splits_of_some_rows_only():
    with pytest.raises(DataError, match="split expected a value for every clip; 1 of 4 have none"):
        RowOptions().assign(4, ["train", None, "test", "test"], labels=None, groups=None, what="clip")
    named = pd.array(["train", pd.NA, "test", "test"], dtype="string")
    with pytest.raises(DataError, match="split expected a value for every row; 1 of 4 have none"):
        RowOptions().assign(4, list(named), labels=None, groups=None)


def test_settings_hold_everything_that_rows_depend_on():
    @dataclass(frozen=True, kw_only=True)
    class Options(RowOptions):
        size: int = 3

        facts_used = ("classes",)

    found = Options(label="y", fitted={"classes": ["a"], "mean": 3}).settings()
    assert found["fitted"] == {"classes": ["a"]}
    assert (found["label"], found["size"], found["seed"]) == ("y", 3, 0)
    assert Options().settings()["fitted"] is None
