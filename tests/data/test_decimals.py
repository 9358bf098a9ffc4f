"""Numbers as texts, in both notations."""

import numpy as np
import pytest

from bam_core.data.decimals import Evidence, evidence, to_numbers


@pytest.mark.parametrize(
    ("text", "with_points", "with_commas"),
    [
        ("950", 950, 950),
        ("1.5", 1.5, None),
        ("1,5", None, 1.5),
        ("1.234", 1.234, 1234),
        ("1,234", 1234, 1.234),
        ("0.500", 0.5, None),
        ("0,500", None, 0.5),
        ("1,234.50", 1234.5, None),
        ("1.234,50", None, 1234.5),
        ("1.234.567", None, 1234567),
        ("1,234,567", 1234567, None),
        ("-12,345.6", -12345.6, None),
        ("1 234,5", None, 1234.5),
        ("1'234.5", 1234.5, None),
        ("1\u00a0234", 1234, 1234),
        ("12,34,567", None, None),
        ("1,234'567", None, None),
        ("(1,234.50)", -1234.5, None),
        ("(0,5)", None, -0.5),
        ("(1.234)", -1.234, -1234),
        (".5", 0.5, None),
        ("5.", 5, None),
        ("1.5e3", 1500, None),
        ("31.12.2024", None, None),
        ("1.2.3", None, None),
        ("12 kg", None, None),
        ("", None, None),
    ],
)
def test_both_readings(text, with_points, with_commas):
    read = [None if np.isnan(x) else x for x in (to_numbers([text], ".")[0], to_numbers([text], ",")[0])]
    assert read == [with_points, with_commas]
    found = evidence([text])
    marked = "." in text or "," in text
    assert bool(found.points) == (marked and with_points is not None and with_commas is None)
    assert bool(found.commas) == (marked and with_commas is not None and with_points is None)
    assert bool(found.either) == (None not in (with_points, with_commas) and with_points != with_commas)


def test_evidence_looks_at_all_texts():
    assert evidence(["1.234"] * 5000 + ["1,5"]) == Evidence(None, "1,5", "1.234")
    assert to_numbers([1.5, True, None], ",").tolist()[:2] == [1.5, 1]
