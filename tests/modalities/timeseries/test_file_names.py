"""The person and the label in the names of files."""

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError, InputError
from modalities.timeseries.long import read_long


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(("p1/walk_a", "p1/sit_b", "p2/walk_c", "p2/sit_d", "p3/other", "readme")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        values = np.random.default_rng(i).normal(size=12)
        pd.DataFrame({"time": range(12), "x": values}).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_persons_and_labels_of_paths(folder):
    options = {"group": r"(?P<group>p\d)/", "label": "/(?P<label>walk|sit)"}
    data = read_long(path=str(folder), test_fraction=0, **options)
    rows = data.splits["train"]
    assert dict(zip(rows["id"], rows["group"], strict=True)) == {
        "p1/walk_a": "p1", "p1/sit_b": "p1", "p2/walk_c": "p2", "p2/sit_d": "p2", "p3/other": "p3",
    }  # fmt: skip
    assert data.facts["classes"] == ["sit", "walk"]
    assert dict(zip(rows["id"], data.labels("train").tolist(), strict=True))["p3/other"] == -1
    assert [tuple(one) for one in data.set_aside] == [("readme.csv", "its name does not match the pattern of group")]
    new = read_long(path=str(folder / "readme.csv"), fitted=data.facts, **options)
    assert new.groups("train").tolist() == ["readme"]


def test_wrong_patterns(folder):
    with pytest.raises(
        DataError, match=r"group '\(\?P<group>q\)' matches none of 6 names, such as p1/sit_b, p1/walk_a"
    ):
        read_long(path=str(folder), group="(?P<group>q)")
    with pytest.raises(InputError, match="group expected groups named group; got person"):
        read_long(path=str(folder), group="(?P<person>p)")
