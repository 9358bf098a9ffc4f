from dataclasses import replace

import pytest

from bam_core.protocols import Modality


def adapter(**functions):
    nothing = {
        "readers": {},
        "reader_for_suffix": {},
        "views": {},
        "encoders": {},
        "collate": lambda columns, facts: None,
    }
    plain = {"raw_features": lambda batch: batch, "example": lambda: None, "draw": lambda axes, sample: None}
    return Modality(name="x", **nothing, **{**plain, **functions})


def test_facts_reach_the_functions_that_take_them():
    drawn = []
    modality = adapter(
        raw_features=lambda batch, *, facts: batch * facts["scale"],
        draw=lambda axes, sample, *, facts: drawn.append((sample, facts["names"])),
    ).with_facts({"scale": 3, "names": ["a"]})
    assert modality.raw_features(2) == 6
    modality.draw(None, 1)
    assert drawn == [(1, ["a"])]


def test_other_functions_stay_as_they_are():
    modality = adapter()
    assert modality.with_facts({"scale": 3}) == modality


def test_former_names_of_fields_are_taken_with_a_hint():
    with pytest.warns(FutureWarning, match=r"Modality\(reads=\.\.\.\) is called reader_for_suffix now"):
        modality = adapter(reads={".csv": ("a", "b")})
    assert modality.reads == modality.reader_for_suffix == {".csv": ("a", "b")}
    assert modality.readers_of(".csv") == ("a", "b")
    with pytest.warns(FutureWarning, match="label_risks now"):
        other = replace(modality, invalidates={"noise": "loud"})
    assert other.invalidates == other.label_risks == {"noise": "loud"}
