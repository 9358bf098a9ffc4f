"""Labels and persons in the names of files."""

import re

import pytest

from bam_core.data.name_patterns import compile_pattern, match_names
from bam_core.errors import DataError, InputError


def test_groups_of_a_name():
    pattern = compile_pattern(r"(?P<label>[a-z]+)/(?P<group>p\d+)?")
    assert match_names(pattern, ["cat/p1_x", "dog/y", "7"]) == [
        {"label": "cat", "group": "p1"}, {"label": "dog", "group": None}, None,
    ]  # fmt: skip


def test_patterns_that_are_wrong():
    with pytest.raises(InputError, match=r"groups expected a regular expression; '\(\?P<group>' is none"):
        compile_pattern("(?P<group>", option="groups")
    with pytest.raises(InputError, match="pattern expected groups named label, group or split; got person"):
        compile_pattern("(?P<person>x)")
    wrong = compile_pattern(r"(?P<group>x\d)")
    message = f"pattern {wrong.pattern!r} matches none of 4 names, such as a, b, c. It is searched for in the path"
    with pytest.raises(DataError, match=re.escape(message)):
        match_names(wrong, list("abcd"))
    assert match_names(wrong, ["a"], is_new=True) == [None]
    assert match_names(wrong, []) == []
