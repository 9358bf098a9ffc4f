"""Tables as people's programs write them: the right columns and values, or an error that names the line."""

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bam_core.data.text_sniffing import WHITESPACE, names_columns, sniff_delimiter
from bam_core.data.text_tables import read_text_table
from bam_core.errors import DataError

ROWS = [["m1", "0", "1.5"], ["m1", "1", "2.5"], ["m2", "0", "3.5"]]
HEADER = ["id", "time", "x"]
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, name="a.csv", encoding="utf-8", **options):
        if isinstance(text, bytes):
            options["encoding"] = encoding if encoding != "utf-8" else None
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_text_table(tmp_path / name, **options)

    return write_and_read


def lines(delimiter=",", header=HEADER, rows=ROWS, end="", header_end=""):
    head = [delimiter.join(header) + header_end] if header else []
    return "\n".join([*head, *(delimiter.join(row) + end for row in rows)]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        lines(),
        lines(";"),
        lines("\t"),
        lines("|"),
        lines(", "),
        lines(end=","),
        lines(end=",", header_end=","),
        lines(header_end=","),
        lines().replace("1.5\n", "1.5,\n"),  # some lines only
        lines().replace("\n", "\r\n"),
        lines().replace("\n", "\n\n"),
        "\ufeff" + lines(),
        "sep=;\n" + lines(";"),
        '"sep=;"\r\n' + lines(";"),
        "Device;X100\nSerial;17\n\n" + lines(";"),
        "Logger X\nserial 17\n\n" + lines(),
        "# a comment\n" + lines(),
        "# " + lines(),  # as numpy.savetxt writes it
        lines().replace("m1", '"m1"'),
    ],
)
def test_the_same_table_whatever_wrote_it(read, text):
    table = read(text)
    names = [name.lstrip("# ") for name in table.frame.columns]
    assert names == HEADER
    assert table.frame.to_numpy().tolist() == ROWS
    assert table.header
    assert not table.short
    assert table.row_names is None


@pytest.mark.parametrize(("header", "end"), [(["", *HEADER], ""), (["", *HEADER], ","), (HEADER, "")])
def test_a_first_column_without_a_name_names_the_rows(read, header, end):
    table = read(lines(header=header, rows=[[str(i), *row] for i, row in enumerate(ROWS)], end=end))
    assert table.row_names.tolist() == ["0", "1", "2"]
    assert table.frame.to_numpy().tolist() == ROWS


def test_numbers_are_numbers_where_they_are_not_kept_as_texts(read):
    table = read("id,x\n007,1.5\n008,NaN\n009,null\n", as_text=lambda name: name == "id")
    assert table.frame["id"].tolist() == ["007", "008", "009"]
    np.testing.assert_array_equal(table.frame["x"], [1.5, np.nan, np.nan])


def test_lines_that_are_too_long_are_named(read):
    with pytest.raises(DataError, match=r"expected 3 fields in every line, as in the first; line 3 has 4\."):
        read(lines().replace("1,2.5", "1,2.5,7"))


def test_lines_that_are_too_short_are_named(read):
    table = read(lines().replace("m1,1,2.5", "m1,1"), as_text=lambda name: name == "id")
    assert (table.short, table.n_short) == ((3,), 1)
    assert table.frame["x"].isna().tolist() == [False, True, False]


def test_a_quote_that_is_never_closed_loses_no_rows(read):
    rows = [[f"n{i}", str(i)] for i in range(60)]
    rows[20][0] = '"5 inch'
    rows[50][0] = '"6 inch'
    table = read(lines("\t", ["name", "x"], rows), "a.tsv")
    assert table.frame["x"].tolist() == [str(i) for i in range(60)]
    assert table.frame["name"][20] == '"5 inch'
    assert table.notes == ("a quote is never closed; quotes are read as part of the texts",)


def test_a_quote_that_swallows_rows_is_named(read):
    rows = ['"one, two",0', '"5 inch,1', *(f"n{i},{i}" for i in range(9)), '"6 inch,9']
    with pytest.raises(DataError, match=r"a quote of line 3 is closed in line 13 only"):
        read("\n".join(["name,x", *rows, ""]))


def test_fields_of_several_lines_stay_one_field(read):
    table = read('a,b\n"one\ntwo, three",1\nx,2\n')
    assert table.frame["a"].tolist() == ["one\ntwo, three", "x"]


def test_lines_of_a_table_with_quotes_are_numbered_as_in_the_file(read):
    with pytest.raises(DataError, match="line 4 has 3"):
        read('a,b\n"one\ntwo",1\nx,2,3\n')


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8"])
def test_encodings(read, encoding):
    table = read("Temperatur [°C],x\n1,2\n", encoding=encoding)
    assert table.frame.columns.tolist() == ["Temperatur [°C]", "x"]
    assert bool(table.notes) == (encoding == "cp1252")


@pytest.mark.parametrize("encoding", ["cp850", "cp437"])
@pytest.mark.parametrize("text", ["Größe,x\n1,2\n", "a\nKöln\nZürich\n"])
def test_an_encoding_that_is_not_windows_is_asked_for(read, text, encoding):
    with pytest.raises(DataError, match=r"Windows-1252 does not fit: it would hold '.*\(cp1252\).*say encoding: cp850"):
        read(text, encoding=encoding)


def test_typographic_marks_are_windows(read):
    table = read("a,b\nAndré’s „Café“,x\nŠkoda – Ž,y\n", encoding="cp1252")
    assert table.frame["a"].tolist() == ["André’s „Café“", "Škoda – Ž"]


def test_an_encoding_that_there_is_not(read):
    with pytest.raises(DataError, match=r"expected the name of an encoding.*got 'utf9'"):
        read(b"a,b\n1,2\n", encoding="utf9")


def test_an_encoding_that_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("Größe,x\n1,2\n".encode("cp850"))
    assert read_text_table(tmp_path / "a.csv", encoding="cp850").frame.columns[0] == "Größe"


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_packed_files(read, suffix):
    text = lines(rows=[*ROWS[:2], ["müll", "0", "3.5"]]).encode()
    packed = pa.compress(text, codec="zstd", asbytes=True) if suffix == "zst" else PACKERS[suffix](text)
    assert read(packed, f"a.csv.{suffix}").frame.to_numpy().tolist() == [*ROWS[:2], ["müll", "0", "3.5"]]
    with pytest.raises(DataError, match="is no readable text"):
        read(packed[:-9], f"b.csv.{suffix}")


def test_packed_files_that_are_cut(read):
    with pytest.raises(DataError, match="is no readable text"):
        read(gzip.compress(lines().encode())[:-9], "b.csv.gz")
    with pytest.raises(DataError, match="is no readable text"):
        read(b"no gzip", "c.csv.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "is empty"),
        (b"PK\x03\x04\0\0\0", "is no text"),
        ('{"a": 1}\n{"a": 2}\n', "begins as JSON does"),
        ("% title\n@relation x\n", "begins as ARFF does"),
        ("x,y,x\n1,2,3\n", "different names; 'x' came more than once"),
    ],
)
def test_what_is_no_table(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_a_header_of_sampling_times(read):
    rows = np.random.default_rng(0).normal(size=(4, 12)).round(3).astype(str).tolist()
    table = read(lines(header=[str(0.004 * i) for i in range(12)], rows=rows))
    assert table.header
    assert table.frame.to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("rows", "is_header"),
    [
        ([["x", "y"], ["a", "b"]], True),
        ([["a", "0.5"], ["b", "0.7"]], False),
        ([["class", "0.5"], ["1", "0.7"]], True),
        ([["0", "1", "2"], ["5.5", "1.2", "0"]], True),
        ([["2019", "2020"], ["5.5", "1.2"]], True),
        ([["city", "2019", "2020"], ["Bonn", "327", "330"]], True),
        ([["a", "2019", "2020"], ["b", "2001", "2004"]], False),
        ([["x", "x"], ["a", "x"]], False),
        ([["?", "0.5"], ["1", "0.7"]], False),
    ],
)
def test_headers(rows, is_header):
    assert names_columns(rows) == is_header


def test_columns_set_apart_by_blanks(read):
    table = read("  1.0000000e+00  -2.5e-01\n -1.0000000e+00   3.5e+00\n", as_text=lambda name: False)
    assert table.delimiter == WHITESPACE
    assert table.frame.to_numpy().tolist() == [[1, -0.25], [-1, 3.5]]
    assert sniff_delimiter(["two words", "more words"]) != WHITESPACE


def test_series_of_unequal_length_without_a_header(read):
    table = read("7,2,3\n4,5\n6,7,8\n", as_text=lambda name: False)
    assert table.n_short == 1
    np.testing.assert_array_equal(table.frame, [[7, 2, 3], [4, 5, np.nan], [6, 7, 8]])


def test_rows_without_any_value_stay(read):
    table = read("x,y\n1,2\n,\n3,4\n", as_text=lambda name: False)
    assert isinstance(table.frame, pd.DataFrame)
    np.testing.assert_array_equal(table.frame, [[1, 2], [np.nan, np.nan], [3, 4]])


@pytest.mark.parametrize("text", ["height\n1,80\n1,75\n1,8\n", "1,80\n1,05\n", "height;\n1,80;\n1,75;\n"])
def test_a_lone_column_of_decimal_commas(read, text):
    if text.startswith("1"):
        with pytest.raises(DataError, match="may be one number with a decimal comma or two fields"):
            read(text)
        text = "x\n" + text
    table = read(text)
    assert table.row_names is None
    assert table.frame.iloc[:, 0].str.contains(",").all()
    assert table.frame.shape[1] == 1
    assert read("x\n1,5\n2,7\n3,8\n").row_names.tolist() == ["1", "2", "3"]
    assert read("1,80\n2,75\n").frame.shape == (2, 2)


@pytest.mark.parametrize("start", ['{"a": 1}\n', "[1, 2]\n", "@RELATION x\n", "% a\n% b\n@relation y\n"])
def test_json_and_arff_are_no_tables(read, start):
    with pytest.raises(DataError, match=r"begins as (JSON|ARFF) does"):
        read(start * 3)
    assert read("% of all,x\n3,4\n").frame.columns.tolist() == ["% of all", "x"]


def test_a_header_of_a_table_without_numbers_is_said(read):
    table = read("p,x,s\ne,x,y\np,b,w\n")
    assert table.notes == ("the first line is taken as the header; if it is a row, header: false",)
    assert read("name,n\na,1\n").notes == ()


def test_a_header_that_holds_numbers_is_said(read):
    table = read("city,2019,2020\nBonn,1,2\nKiel,3,4\n")
    assert table.frame.columns.tolist() == ["city", "2019", "2020"]
    assert table.notes == ("the first line is taken as the header, though it holds '2019'",)
