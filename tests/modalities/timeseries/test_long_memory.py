"""Long DataFrames in memory: a row for every time, an input for every series."""

import numpy as np
import pandas as pd
import pytest

from bam_core import DataError, InputError
from modalities.ecg import MODALITY as ECG
from modalities.timeseries.memory import from_memory, read_series


def long(n=3, t=20, seed=0):
    """Series b, a, c, ... of two channels, their rows mixed."""
    x = np.random.default_rng(seed).normal(size=(n, t, 2)).round(3)
    frame = pd.DataFrame(x.reshape(-1, 2), columns=["x", "y"])
    names = np.array(["b", "a", "c", *"defgh"])[:n]
    frame.insert(0, "who", np.repeat(names, t))
    frame.insert(1, "day", np.tile(np.arange(t), n))
    return frame, x


def signals(data):
    return np.reshape(data.splits["train"].with_format("numpy")["signal"][:], (-1, *data.facts["shape"]))


def test_rows_in_any_order_are_the_same_series():
    frame, x = long()
    expected = signals(read_series(series=x.transpose(0, 2, 1)))
    mixed = frame.sample(frac=1, random_state=0)
    data = from_memory(mixed, id="who", time="day")
    assert list(data.names) == list(dict.fromkeys(mixed["who"]))
    order = ["bac".index(name) for name in data.names]
    np.testing.assert_array_equal(signals(data), expected[order])
    assert data.column("train", "id").tolist() == ["0", "1", "2"]
    assert data.facts["channels"] == ["x", "y"]


@pytest.mark.parametrize("named", [True, False])
def test_index_levels_name_series_and_times(named):
    frame, x = long()
    frame = frame.set_index(["who", "day"])
    frame.index.names = ["id", "time"] if named else [None, None]
    data = from_memory(frame)
    assert list(data.names) == ["b", "a", "c"]
    np.testing.assert_array_equal(signals(data), signals(read_series(series=x.transpose(0, 2, 1))))


def test_columns_are_found_by_their_names_and_channels_in_another_order_by_theirs():
    frame, _ = long()
    trained = from_memory(frame.rename(columns={"who": "ID", "day": "time"}))
    other = frame.rename(columns={"who": "ID", "day": "time"})[["y", "time", "x", "ID"]]
    again = from_memory(other, fitted=dict(trained.facts))
    np.testing.assert_array_equal(signals(again), signals(trained))


def test_a_label_is_no_channel():
    frame, _ = long()
    data = from_memory(frame.assign(label=1), id="who", time="day")
    assert data.facts["channels"] == ["x", "y"]
    assert "Column 'label' is no input: it is called like a label." in data.notes


def test_series_that_cannot_be_used_are_called_by_name():
    frame, _ = long(4)
    frame.loc[frame["who"] == "a", ["x", "y"]] = 1.0
    twice = frame[(frame["who"] == "c") & (frame["day"] == 5)].assign(x=77.0)
    data = from_memory(pd.concat([frame, twice]), id="who", time="day")
    assert [row.source for row in data.set_aside] == ["c", "a"]
    assert data.column("train", "id").tolist() == ["0", "3"]
    assert len(data.names) == 4


def test_parts_of_a_series():
    frame, _ = long()
    data = from_memory(frame, id="who", time="day", window=10)
    assert data.column("train", "id").tolist() == ["0@0", "0@10", "1@0", "1@10", "2@0", "2@10"]


def test_ecgs_in_a_long_frame():
    frame, x = long(3, 40)
    data = ECG.from_memory(frame, id="who", time="day", sampling_rate_hz=10)
    assert data.facts["shape"] == [2, 40]
    assert data.facts["sampling_rate_hz"] == 10
    np.testing.assert_array_equal(signals(data), signals(read_series(series=x.transpose(0, 2, 1))))
    with pytest.raises(DataError, match="expected records of one length; those of the frame differ"):
        ECG.from_memory(frame.iloc[:-5], id="who", time="day", sampling_rate_hz=10)


def test_frames_with_a_series_in_every_row():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 9)))
    assert from_memory(wide).facts["shape"] == [1, 9]
    with pytest.raises(DataError, match=r"'patient' is called like something else. Leave it out; for a row of every"):
        from_memory(wide.assign(patient=[1, 1, 2, 2]))
    with pytest.raises(DataError, match=r"'id' is called like something else"):
        from_memory(wide.assign(id=[1, 2, 3, 4]))


def test_names_of_columns_are_for_frames():
    with pytest.raises(InputError, match="id and time name columns of a DataFrame; got ndarray"):
        from_memory(np.ones((3, 9)), id="who")
    with pytest.raises(DataError, match=r"expected 'whom' as id; it has who, day, x, y. Did you mean 'who'"):
        from_memory(long()[0], id="whom")


def test_columns_that_training_did_not_know_are_named():
    frame, _ = long()
    trained = from_memory(frame, id="who", time="day")
    new = from_memory(frame.assign(extra=1.0), id="who", time="day", fitted=trained.facts)
    assert new.notes == ["Column 'extra' is not read: no channel of the training."]
    np.testing.assert_array_equal(signals(new), signals(trained))
    assert from_memory(frame, id="who", time="day", fitted=trained.facts).notes == []
