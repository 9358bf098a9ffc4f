"""Labels that change within a series: one a window; and labels that are numbers."""

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError, InputError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long import read_frame, read_long
from modalities.timeseries.memory import read_series


def activities(labels, series="a", start=0):
    rng = np.random.default_rng(len(labels))
    n = len(labels)
    return pd.DataFrame({"id": series, "time": np.arange(n) + start, "x": rng.normal(size=n), "label": labels})


def windows(data):
    return {
        name: label
        for split, rows in data.splits.items()
        for name, label in zip(rows["id"], data.labels(split).tolist(), strict=True)
    }


def test_a_window_has_the_label_of_most_of_its_steps():
    walk = ["sit"] * 5 + ["walk"] * 7 + ["sit"] * 2 + ["walk"] * 2
    frame = pd.concat([activities(walk), activities(["run"] * 8, "b", start=100)])
    data = read_frame(frame=frame, window=4, test_fraction=0)
    assert data.facts["classes"] == ["run", "sit", "walk"]
    assert windows(data) == {"a@0": 1, "a@4": 2, "a@8": 2, "a@12": -1, "b@0": 0, "b@4": 0}
    said = [(kind, count) for kind, count in data.repairs.items() if kind.startswith("windows left without a label")]
    assert [count for _, count in said] == [1]
    assert "less than 50% of their labelled steps have the same one" in said[0][0]
    strict = windows(read_frame(frame=frame, window=4, purity=0.8, test_fraction=0))
    assert (strict["a@4"], strict["a@8"], strict["b@0"]) == (-1, 2, 0)
    again = read_frame(frame=frame, window=4, fitted=data.facts)
    assert windows(again) == windows(data)


def test_gaps_and_missing_labels_keep_labels_at_their_steps(tmp_path):
    frame = activities(["s"] * 6 + [None] * 2 + ["w"] * 8)
    frame.loc[:1, "x"] = np.nan  # trimmed: windows begin with the third row
    frame = frame.drop(index=[4])
    other = activities(["w"] * 4 + ["s"] * 4, "b")
    path = tmp_path / "t.csv"
    pd.concat([frame, other]).to_csv(path, index=False)
    data = read_long(path=str(path), window=4, max_gap=0.5, test_fraction=0)
    assert windows(data) == {"a@0": 0, "a@4": 1, "a@8": 1, "b@0": 1, "b@4": 0}


def test_persons_are_held_out_as_a_whole():
    frame = pd.concat([activities(["s"] * 8 + ["w"] * 8, f"p{i}") for i in range(5)])
    data = read_frame(frame=frame, window=4)
    assert set(data.groups("train").tolist()) | set(data.groups("test").tolist()) == {f"p{i}" for i in range(5)}
    assert not set(data.groups("train").tolist()) & set(data.groups("test").tolist())
    assert len(data.splits["test"]) == 4


def test_numbers_that_change_are_averaged():
    frame = activities(np.repeat([1.5, 2.5, 4.25], 4) + np.arange(12) / 100)
    data = read_frame(frame=frame, window=6, task="regression", test_fraction=0)
    assert data.facts["task"] == "regression"
    assert list(windows(data).values()) == pytest.approx([(1.515 * 4 + 2.545 * 2) / 6, (2.565 * 2 + 4.345 * 4) / 6])


def test_what_does_not_fit():
    frame = pd.concat([activities(["s", "w"] * 4), activities(["s"] * 8, "b"), activities(["w"] * 8, "c")])
    whole = read_frame(frame=frame, test_fraction=0)
    assert whole.set_aside[0].source == "a"
    assert (
        "2 values of 'label' in its rows; one is expected, unless series are cut into wind" in whole.set_aside[0].reason
    )
    with pytest.raises(InputError, match=r"purity expected a part .*; got 1\.5"):
        read_frame(frame=frame, window=4, purity=1.5)
    with pytest.raises(DataError, match="labels that change within a series expected one a step"):
        read_frame(frame=frame, window=4, task="multi_label")


def test_series_with_numbers_as_labels(tmp_path):
    series = np.random.default_rng(0).normal(size=(40, 1, 12))
    life = np.linspace(0.5, 9.7, 40)
    data = read_series(series=series, label=life)
    assert data.facts["task"] == "regression"
    assert sorted([*data.labels("train"), *data.labels("test")]) == pytest.approx(life)
    with pytest.raises(DataError, match="'label' are 40 different whole numbers, 10 to 49"):
        read_series(series=series, label=np.arange(10, 50))
    np.savez(tmp_path / "a.npz", signals=series, label=np.arange(10, 50))
    data = read_arrays(path=str(tmp_path / "a.npz"), task="regression", test_fraction=0)
    assert data.labels("train").tolist() == list(range(10, 50))
    new = read_arrays(path=str(tmp_path / "a.npz"), fitted=data.facts)
    assert new.labels("train").tolist() == list(range(10, 50))


def test_targets_of_ts_files(tmp_path):
    lines = "".join(f"{i}.5,{i % 3},{i % 2}:{10 + i}\n" for i in range(30))
    path = tmp_path / "a.ts"
    path.write_text(f"@problemName a\n@univariate true\n@targetlabel true\n@data\n{lines}")
    data = read_arrays(path=str(path), test_fraction=0)
    assert data.facts["task"] == "regression"
    assert data.labels("train").tolist() == [10.0 + i for i in range(30)]
    path.write_text(f"@problemName a\n@univariate true\n@classlabel true 1 2\n@data\n{lines}")
    assert len(read_arrays(path=str(path), test_fraction=0).facts["classes"]) == 30
