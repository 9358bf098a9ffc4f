import pytest

from bam_core.data.column_names import find_columns, left_out, role_of
from bam_core.errors import DataError

WANTED = {"id": None, "time": None, "label": None, "group": None, "split": None}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("ID", "id"),
        (" id ", "id"),
        ("series_id", "id"),
        ("recording", "id"),
        ("Time", "time"),
        ("timestamp", "time"),
        ("TimeStamp_ms", "time"),
        ("Time (s)", "time"),
        ("time [ms]", "time"),
        ("datetime", "time"),
        ("Date", "time"),
        ("Class", "label"),
        ("ACTIVITY_ID", "label"),
        ("Diagnosis", "label"),
        ("Patient-ID", "group"),
        ("subject", "group"),
        ("Subject No.", "group"),
        ("MRN", "group"),
        ("Split", "split"),
        ("Unnamed: 0", "row"),
        ("index", "row"),
        ("x", None),
        ("acc_x [g]", None),
        ("temperature", None),
        ("t1", None),
        ("time_0", None),
        ("idle", None),
        ("y", None),
        ("classical", None),
        ("[°C]", None),
    ],
)
def test_what_a_column_would_be(name, role):
    assert role_of(name) == role


def test_the_usual_name_comes_before_its_spellings_and_these_before_near_names():
    assert find_columns(WANTED, ["timestamp", "Time", "time"], "a.csv").columns["time"] == "time"
    assert find_columns(WANTED, ["timestamp", "Time"], "a.csv").columns["time"] == "Time"
    found = find_columns(WANTED, ["timestamp", "x"], "a.csv")
    assert found.columns["time"] == "timestamp"
    assert found.notes == ["Column 'timestamp' is taken as the time; to say otherwise, time: NAME, or time: none."]
    assert not find_columns(WANTED, ["time", "x"], "a.csv").notes


def test_what_is_called_like_a_role_and_was_not_taken_is_named():
    found = find_columns({**WANTED, "label": "none"}, ["id", "Class", "subject", "person", "x"], "a.csv")
    assert found.columns == {"id": "id", "time": None, "label": None, "group": "subject", "split": None}
    assert found.others == {"Class": "label", "person": "group"}
    assert left_out("Class", "label") == "Column 'Class' is no input: it is called like a label."


def test_names_that_are_given_are_found_in_any_spelling_or_asked_for():
    assert find_columns({"time": "Zeit"}, [" zeit", "x"], "a.csv").columns == {"time": " zeit"}
    assert find_columns({"time": "zeit"}, ["x"], "a.csv", required=()).columns == {"time": None}
    with pytest.raises(DataError, match=r"a.csv expected 'machin' as id; it has machine, x. Did you mean 'machine'\?"):
        find_columns({"id": "machin"}, ["machine", "x"], "a.csv")
