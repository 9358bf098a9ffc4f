import numpy as np
import pytest

from bam_core.errors import DataError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.ts_files import read_ts

HEADER = "#a comment\n@problemName Test\n@timeStamps false\n@univariate false\n@classLabel true 1 2\n@data\n"


@pytest.fixture
def write(tmp_path):
    def write_ts(text, name="Some.ts"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_ts


def test_channels_lengths_missing_values_and_labels(write):
    file = read_ts(write(HEADER + "1,2,3:4,5,6:1\n\n7,?:NaN,8:2\n 1.5e1, 2 :0,-1: ?\n"))
    expected = [[[1, 2, 3], [4, 5, 6]], [[7, np.nan], [np.nan, 8]], [[15, 2], [0, -1]]]
    for series, values in zip(file.series, expected, strict=True):
        np.testing.assert_array_equal(series, values)
    assert file.labels == ["1", "2", None]
    assert file.lines == [7, 9, 10]
    assert not file.broken


def test_a_shorter_channel_is_missing_at_its_end(write):
    assert np.isnan(read_ts(write(HEADER + "1,2,3:4,5:1\n")).series[0][1]).tolist() == [False, False, True]


def test_without_classes(write):
    file = read_ts(write("@problemName a\n@classLabel false\n@data\n1,2\n3,4,5\n"))
    assert file.labels is None
    assert [series.shape for series in file.series] == [(1, 2), (1, 3)]


def test_targets_of_a_regression_are_numbers(write, tmp_path):
    path = write("@targetLabel true\n@data\n1,2,1:0.5\n3,4,3:1.5\n")
    assert [series.shape for series in read_ts(path).series] == [(1, 3)] * 2
    prepared = read_arrays(path=str(path), test_fraction=0)
    assert prepared.labels("train").tolist() == [0.5, 1.5]


def test_broken_lines_are_named(write):
    file = read_ts(write(HEADER + "1,2:3,4:1\n1,two:3,4:1\n:1\n1,2:2\n5,6:7,8:2\n"))
    assert file.labels == ["1", "2"]
    assert file.broken == {
        8: "expected numbers; got 'two'",
        9: "holds no values besides the label",
        10: "has 1 channels; most lines have 2",
    }


def test_a_broken_line_is_set_aside_by_name(write):
    text = HEADER + "".join(f"{i},2,5:3,{i},4:{i % 2}\n" for i in range(8)) + "1,x:3,4:1\n"
    prepared = read_arrays(path=str(write(text)), test_fraction=0)
    assert len(prepared.splits["train"]) == 8
    assert prepared.column("train", "id")[0] == "Some:7"
    assert list(prepared.set_aside) == [("Some.ts, line 15", "expected numbers; got 'x'")]


def test_minus_one_is_a_class(write):
    text = "@classLabel true -1 1\n@data\n" + "".join(f"{i},2,{-i}:{(-1) ** i}\n" for i in range(8))
    assert read_arrays(path=str(write(text))).facts["classes"] == ["-1", "1"]


def test_files_of_the_archive_find_each_other(write, tmp_path):
    for part, rows in (("TRAIN", 6), ("TEST", 4)):
        lines = "".join(f"{','.join(map(str, range(i, 2 * i + 3)))}:{i % 2}\n" for i in range(rows))
        write("@classLabel true 0 1\n@data\n" + lines, f"Some_{part}.ts")
    for path in (tmp_path, tmp_path / "Some_TRAIN.ts"):
        prepared = read_arrays(path=str(path))
        assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 6, "test": 4}
        assert prepared.facts == {
            "in_channels": 1,
            "classes": ["0", "1"],
            "unequal": True,
            "shortest": 3,
            "longest": 8,
        }
    write("0\t1\t2\n", "Some_TRAIN.tsv")
    with pytest.raises(DataError, match=r"has 2 of these: Some_TRAIN\.ts, Some_TRAIN\.tsv"):
        read_arrays(path=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", r"Some\.ts is no \.ts file: it has no line @data"),
        ("@timeStamps true\n@data\n(0,1),(1,2)\n", "has time stamps.* for the reader 'long'"),
        ("@data\n", r"Some\.ts is empty: it has no rows\.$"),
        (HEADER + "a:1\n", "is empty: it has no rows. Some.ts, line 7: expected numbers; got 'a'"),
    ],
)
def test_files_that_cannot_be_used(write, text, message):
    with pytest.raises(DataError, match=message):
        read_arrays(path=str(write(text)))


@pytest.mark.parametrize(
    "line",
    [
        "@classLabel\ttrue\t1 2",
        "@CLASSLABEL TRUE 1 2",
        "@class_label true 1 2",
        "@classLabels true 1 2",
        "@classLabel: true 1 2",
    ],
)
def test_spellings_of_the_header(write, line):
    file = read_ts(write(f"@problemName\tx\n@univariate\tfalse\n{line}\n@DATA\n1,2:3,4:1\n5,6:7,8:2\n"))
    assert file.labels == ["1", "2"]
    assert [series.shape for series in file.series] == [(2, 2)] * 2


def test_tabs_in_front_of_true_are_time_stamps_too(write):
    with pytest.raises(DataError, match="has time stamps"):
        read_ts(write("@time_stamps\ttrue\n@data\n(0,1),(1,2):1\n"))


@pytest.mark.parametrize("header", ["", "@univariate true\n@classLabel false\n", "@dimensions 1\n@classLabel false\n"])
def test_labels_that_the_header_does_not_tell_are_asked_about(write, header):
    with pytest.raises(
        DataError, match=r"one value after the last colon of every line, as a label is.*@classLabel true"
    ):
        read_ts(write(f"{header}@data\n1,2,3:1\n4,5,6:2\n"))


def test_channels_without_labels_stay_channels(write):
    file = read_ts(write("@univariate false\n@dimensions 2\n@classLabel false\n@data\n1,2,3:1\n4,5,6:2\n"))
    assert file.labels is None
    assert [series.shape for series in file.series] == [(2, 3)] * 2
    assert len(read_ts(write("@data\n1,2:3,4\n5,6:7,8\n")).series) == 2
