"""Wide tables whose columns are numbered, files that are no tables, and frames that are no series."""

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError
from modalities.tabular.data import read_table
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long import read_long
from modalities.timeseries.memory import from_memory
from modalities.timeseries.numbered import order_columns

VALUES = np.random.default_rng(0).normal(size=(12, 20)).round(3)


def read(path, frame, **options):
    frame.to_csv(path / "a.csv", index=False)
    data = read_arrays(path=str(path / "a.csv"), normalize="none", test_fraction=0, **options)
    rows = data.column("train", "signal").reshape(len(frame), data.facts["in_channels"], -1)
    return data, rows


def test_steps_are_in_the_order_of_their_numbers(tmp_path):
    frame = pd.DataFrame(VALUES, columns=[f"t{i}" for i in range(20)])
    by_text, rows = read(tmp_path, frame[sorted(frame.columns)])
    np.testing.assert_allclose(rows[:, 0], VALUES, rtol=1e-6)
    assert by_text.notes == ["a.csv: Columns t0, t1, ... are taken in the order of their numbers."]
    in_order, rows = read(tmp_path, frame)
    np.testing.assert_allclose(rows[:, 0], VALUES, rtol=1e-6)
    assert in_order.notes == []


@pytest.mark.parametrize("name", ["{}_{}", "{}[{}]", "{} {}", "{}.{}"])
def test_numbered_columns_of_several_names_are_channels(tmp_path, name):
    names = [name.format(channel, step) for step in range(10) for channel in ("acc", "gyr")]
    data, rows = read(tmp_path, pd.DataFrame(VALUES, columns=names))
    np.testing.assert_allclose(rows, VALUES.reshape(12, 10, 2).transpose(0, 2, 1), rtol=1e-6)
    assert data.facts["channels"] == ["acc", "gyr"]
    assert data.notes == ["a.csv: Numbered columns are the channels acc, gyr, of 10 steps each."]
    swapped = [name.format(channel, step) for channel in ("gyr", "acc") for step in range(10)]
    new = pd.DataFrame(np.concatenate([VALUES[:, 1::2], VALUES[:, ::2]], axis=1), columns=swapped)
    _, again = read(tmp_path, new, fitted=data.facts)
    np.testing.assert_array_equal(again, rows)
    other = new.rename(columns=lambda column: column.replace("gyr", "mag"))
    with pytest.raises(
        DataError, match="expected the channels acc, gyr, as the encoder was trained on; it has mag, acc"
    ):
        read(tmp_path, other, fitted=data.facts)


@pytest.mark.parametrize(
    "names",
    [["t0", "t1", "x"], ["0.0", "0.1", "0.2"], ["a1", "a2", "b1"], ["v1", "v1_2", "v3"], ["2021-01", "2021-02"]],
)
def test_other_names_say_nothing(names):
    assert order_columns(names) == ([names], None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "is a pointer of Git LFS"),
        ("<!DOCTYPE html><html><body>404, not found</body></html>\n<p>a,b\n", "is a web page"),
        ("\ufeff\n<HTML>\n<body>a,b\n", "is a web page"),
        ('<?xml version="1.0"?>\n<a>1,2</a>\n', "is XML"),
        ("%PDF-1.4\n1,2\n", "is a PDF"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    for reader in (read_table, read_arrays, read_long):
        with pytest.raises(DataError, match=f"a.csv {message}"):
            reader(path=str(tmp_path / "a.csv"))


def test_frames_that_are_no_series():
    two = pd.DataFrame(VALUES[:, :4], columns=pd.MultiIndex.from_product([["a", "b"], ["x", "y"]]))
    with pytest.raises(DataError, match=r"got columns of 2 levels, such as \('a', 'x'\)"):
        from_memory(two)
    cells = pd.DataFrame({"a": [np.ones(5), np.ones(6)], "b": [np.ones(5), np.ones(5)]})
    with pytest.raises(DataError, match="expected channels of one length in every row of the frame"):
        from_memory(cells)
