import os

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError
from modalities.tabular.data import read_table
from modalities.tabular.files import from_frame, read_file


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters(write, delimiter, end):
    lines = [delimiter.join(row) for row in (("age", "city"), ("31", "Bonn"), ("42", "Kiel"))]
    frame = read_file(write(end.join(lines) + end)).frame
    assert frame.to_dict("list") == {"age": ["31", "42"], "city": ["Bonn", "Kiel"]}


def test_decimal_commas_do_not_divide(write):
    frame = read_file(write("a;b\n1,5;2,5\n1,6;2,25\n")).frame
    assert frame.to_dict("list") == {"a": ["1,5", "1,6"], "b": ["2,5", "2,25"]}


def test_a_given_delimiter_and_header(write):
    path = write("a b\nc d\n")
    assert read_file(path, delimiter=" ", header=False).frame.to_dict("list") == {"0": ["a", "c"], "1": ["b", "d"]}
    assert list(read_file(path, delimiter=" ").frame.columns) == ["a", "b"]


def test_without_header_columns_are_counted(write):
    assert list(read_file(write("39, State-gov\n50, Private\n")).frame.columns) == ["0", "1"]


def test_quotes_spaces_and_byte_order_mark(write):
    table = read_file(write('age, note\n31, "Bonn, Rhein"\n', encoding="utf-8-sig"))
    assert table.frame.to_dict("list") == {"age": ["31"], "note": ["Bonn, Rhein"]}
    assert table.notes == ()


def test_other_encodings_are_named(write):
    table = read_file(write("name,n\nMüller,1\n", encoding="cp1252"))
    assert table.frame["name"].tolist() == ["Müller"]
    assert table.notes == ("table.csv: not in UTF-8, read as Windows-1252.",)
    assert read_file(write("name,n\nMüller,1\n", encoding="cp850"), encoding="cp850").frame["name"][0] == "Müller"


def test_row_names_of_pandas_and_of_r(write, tmp_path):
    frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    frame.to_csv(tmp_path / "pandas.csv")
    frame.to_parquet(tmp_path / "pandas.parquet")
    for path in (tmp_path / "pandas.csv", tmp_path / "pandas.parquet", write('"x","y"\n"a",1,5\n"b",2,6\n', "r.csv")):
        table = read_file(path)
        assert table.row_names.tolist() == ["a", "b"]
        assert table.frame["x"].astype(int).tolist() == [1, 2]


def test_lines_that_end_in_a_delimiter(write):
    table = read_file(write("x,y\n1,2,\n3,4,\n"))
    assert table.frame.to_dict("list") == {"x": ["1", "3"], "y": ["2", "4"]}
    assert table.row_names is None


def test_lines_that_are_too_short_are_counted_and_named(write):
    table = read_file(write("x,y\n1,2\n3\n4,5\n6\n"))
    assert table.frame["y"].fillna("").tolist() == ["2", "", "5", ""]
    said = "table.csv: lines with too few fields, such as line 3; the last columns are missing"
    assert table.repairs == {said: 2}


def test_packed_files_are_called_like_the_table(write, tmp_path):
    pd.DataFrame({"x": [1, 2]}).to_csv(tmp_path / "table.csv.gz", index=False)
    table = read_file(tmp_path / "table.csv.gz")
    assert (table.name, table.frame["x"].tolist()) == ("table", ["1", "2"])


def test_names_of_files_that_are_no_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xf6sse.csv")
    try:
        path.write_text("x,z\n1,2\n3,5\n")
    except OSError:
        pytest.skip("this file system knows UTF-8 only")
    assert read_file(path).name == "gr\\udcf6sse"
    assert read_table(path=str(path)).splits["train"]["id"][0] == "gr\\udcf6sse:0"


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame({"x": [1.5, np.nan], "day": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    frame.to_parquet(tmp_path / "table.parquet")
    table = read_file(tmp_path / "table.parquet")
    assert [str(dtype)[:8] for dtype in table.frame.dtypes] == ["float64", "datetime"]
    assert table.row_names is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table.csv is empty: it has no rows"),
        ("a,b\n", "table.csv is empty: it has no rows"),
        ("a,b\n1,2\n1,2,3,4\n", "expected 2 fields in every line, as in the first; line 3 has 4"),
        ("a,b\n" + "1,2\n" * 80 + "1,2,3\n", "expected 2 fields in every line, as in the first; line 82 has 3"),
        ("a,a\n1,2\n", "different names; 'a' came more than once. Rename them; or.* set header: false"),
        ("a,b\0\n1,2\n", "table.csv is no text"),
    ],
)
def test_files_that_are_no_tables(write, text, message):
    with pytest.raises(DataError, match=message):
        read_file(write(text))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="there is none"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(DataError, match="that is a folder"):
        read_file(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"broken.parquet is no readable parquet file"):
        read_file(tmp_path / "broken.parquet")


def test_frames():
    assert from_frame(pd.DataFrame(np.ones((2, 2))), "frame").frame.columns.tolist() == ["0", "1"]
    with pytest.raises(DataError, match="frame is empty"):
        from_frame(pd.DataFrame({"a": []}), "frame")
    with pytest.raises(DataError, match="'1' came more than once"):
        from_frame(pd.DataFrame([[1, 2]], columns=[1, "1"]), "frame")
