"""Tables that say who is who: every record its own value, or a word about it."""

import pandas as pd
import pytest

from bam_core.data.writer import SplitWriter
from bam_core.errors import DataError, InputError
from modalities.ecg.assignment import per_record, table_file

NAMES = ["0", "1", "2", "3"]
WANTED = {"0": "a", "1": "b", "2": "a", "3": "b"}


def assign(folder, table, names=NAMES, column="dx", writer=None):
    (folder / "l.csv").write_text(table)
    return per_record(f"l.csv:{column}", names, folder, writer)


@pytest.mark.parametrize(
    "table",
    [
        "record,dx\n0,a\n1,b\n2,a\n3,b\n",
        "dx,record\na,0\nb,1\na,2\nb,3\n",
        "patient;record;dx\nx;0.dat;a\ny;1.hea;b\nx; 2 ;a\ny;data/3;b\n",
        ",record,dx\n0,3,b\n1,1,b\n2,0,a\n3,2,a\n",  # a saved index
        ",dx\n0,a\n1,b\n2,a\n3,b\n",
        "record,DX\n0,a\n1,b\n2,a\n3,b\n0,a\n",
    ],
)
def test_the_column_of_the_records_is_found_by_what_it_holds(tmp_path, table):
    assert assign(tmp_path, table) == WANTED


def test_short_and_long_names(tmp_path):
    assert assign(tmp_path, "file,dx\nh1/100,a\nh2/100,b\n", ["h1/100", "h2/100"]) == {"h1/100": "a", "h2/100": "b"}


def test_what_matches_nothing_is_said(tmp_path):
    writer = SplitWriter()
    writer.add("train", id=["0"])
    assert assign(tmp_path, "record,dx\n0,a\n1,b\nx9,a\nx8,b\n3,\n", writer=writer) == {"0": "a", "1": "b"}
    assert writer.finish("test")["repairs"] == {
        "rows of l.csv that name no record, such as 'x9'": 2,
        "records without a value of 'dx' in l.csv, such as '2'": 2,
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("record,dx\n0,a\n1,b\n0,b\n", "names record 0 twice with different values of 'dx': 'a' and 'b'"),
        (
            "p,q,dx\n0,3,a\n1,2,b\n2,1,a\n3,0,b\n",
            "columns p, q each name 4 of the 4 records. Call the right one record",
        ),
        ("record,dx\nx,a\ny,b\n", r"none of the 4 records .*no column of l\.csv names them; it has record, dx"),
        ("record,rhythm\n0,a\n", "expected a column 'dx'; it has record, rhythm"),
    ],
)
def test_tables_that_do_not_say_who_is_who(tmp_path, table, message):
    with pytest.raises(DataError, match=message):
        assign(tmp_path, table)


def test_numbers_of_records_are_texts(tmp_path):
    table = pd.DataFrame({"record": ["00", "01"], "dx": ["a", "b"]}).to_csv(index=False)
    assert assign(tmp_path, table, ["00", "01"]) == {"00": "a", "01": "b"}


def test_a_source_of_values_that_is_none_says_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"expected 'table.csv:column', 'header:KEY' for a comment.*; got 'Dx'"):
        table_file("Dx", tmp_path)
