"""Several labels a row: cells of names, lists, and columns of 0 and 1."""

import numpy as np
import pandas as pd
import pytest

from bam_core.data.holdout import hold_out
from bam_core.data.several_labels import encode_columns
from bam_core.data.targets import read_target
from bam_core.errors import DataError
from bam_core.labels.strata import strata


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["AF, LBBB", "SR", "", None, "LBBB,AF,"], ","),
        (["AF|LBBB", "SR", "", None, "LBBB | AF"], "|"),
        (["AF;LBBB", "SR", "", None, "AF;LBBB"], ";"),
        ([["AF", "LBBB"], np.array(["SR"]), None, "", ("LBBB", "AF")], ","),
    ],
)
def test_cells_with_several_names(cells, mark):
    target = read_target(cells, name="dx", task="multi_label")
    assert target.classes == ["AF", "LBBB", "SR"]
    assert target.values.tolist() == [[1, 1, 0], [0, 0, 1], [-1, -1, -1], [-1, -1, -1], [1, 1, 0]]
    assert target.facts == {"classes": ["AF", "LBBB", "SR"], "task": "multi_label"}
    assert target.notes == [
        f"Labels 'dx', divided at {mark!r}: several a row, 3 classes, 1.7 a row; AF (2), LBBB (2), SR (1)."
    ]


def test_names_that_hold_a_comma_are_divided_at_the_other_mark():
    assert read_target(["block, left; AF", "AF"], task="multi_label").classes == ["AF", "block, left"]


def test_lists_in_cells_are_hinted_at_and_names_with_commas_are_not():
    hinted = read_target(["AF,SR", "AF", "SR", "AF,SR"], name="dx")
    assert hinted.notes == ["Labels 'dx' hold ',': if these are several labels a row, task: multi_label."]
    assert hinted.classes == ["AF", "AF,SR", "SR"]
    assert read_target(["block, left", "block, right", "none"]).notes == []


def test_a_column_a_class():
    frame = pd.DataFrame({"AF": [1, 0, 1.0, None], "SR": ["0", "True", "no", "1"]})
    target = read_target(frame)
    assert target.classes == ["AF", "SR"]
    assert target.values.tolist() == [[1, 0], [0, 1], [1, 0], [-1, -1]]
    assert read_target(frame, fitted={"classes": ["AF", "SR"], "task": "multi_label"}).values.tolist()[0] == [1, 0]
    with pytest.raises(DataError, match=r"column 'AF' of labels expected 0 or 1; row 1 holds '0.5'"):
        encode_columns(pd.DataFrame({"AF": [1, 0.5], "SR": [0, 1]}))
    with pytest.raises(DataError, match=r"expected at least two columns; got \['AF'\]"):
        encode_columns(frame[["AF"]])


def test_one_class_only():
    with pytest.raises(DataError, match=r"several labels a row expected at least two classes; got \['AF'\]"):
        read_target(["AF", "AF"], task="multi_label")
    assert read_target([None, ""], task="multi_label") is None


def test_new_data_are_read_by_the_classes_of_training():
    found = read_target(["SR,new", "", "AF"], fitted={"classes": ["AF", "SR"], "task": "multi_label"})
    assert found.values.tolist() == [[0, 1], [-1, -1], [1, 0]]


def test_the_held_out_part_has_its_share_of_the_rarest_label():
    labels = np.zeros((200, 2), np.int64)
    labels[:150, 0] = 1
    labels[140:160, 1] = 1
    labels[190:] = -1
    assert strata(labels)[[0, 145, 155, 180, 195]].tolist() == [0, 1, 1, 2, -1]
    held_out = hold_out(200, 0.25, seed=0, labels=labels)
    assert labels[held_out, 1].sum() == 5
    assert not held_out[190:].any()
