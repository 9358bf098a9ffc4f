"""Which column is what: names of labels, persons, times, series and splits, in the spellings that people use.

A column that is called so is found, or left out and named; it never becomes an input in silence.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bam_core.errors import DataError

NONE = "none"
"""Given as a name, it says that there is no such column."""

_NUMBERED = r"(id|ids|no|nr|num|number|name|code|index|key)?"
_UNIT = r"(s|ms|us|ns|sec|secs|seconds?|msec|millis|milliseconds?|minutes?|hours?|utc|unix|local|gmt|stamps?|index)?"
_LABELS = "labels?|class|classes|targets?|classlabels?|categor(y|ies)|activit(y|ies)|diagnos[ie]s|groundtruth"
_GROUPS = "groups?|persons?|subjects?|subj|patients?|participants?|users?|volunteers?|animals?|mrn|machines?|devices?"
_SERIES = "series|instances?|case|recordings?|records?|sequences?|segments?|trials?|episodes?|runs?"
NEAR_NAMES = {
    "time": rf"(time|times|timepoints?|datetime|date|ts|epoch|unixtime|elapsed(time)?|utc|timeofday){_UNIT}{_UNIT}",
    "id": rf"id|ids|uid|uuid|({_SERIES}){_NUMBERED}|(sample|session|file|window)(id|ids|name)",
    "label": rf"({_LABELS}){_NUMBERED}",
    "group": rf"({_GROUPS}){_NUMBERED}",
    "split": r"splits?",
    "row": r"unnamed\d*|index|level0|rownames?|row|rows|rowid|rownumber|rowno|sampleno|samplenumber|sampleindex",
}
"""Role -> names after `plain`; "row" are numbers of rows, which nobody asks for."""


class Found(NamedTuple):
    """What the columns of a table are.

    Attributes:
        columns: role -> column, or None.
        others: column that is called like some role, but was not taken -> that role.
        notes: what was guessed.
    """

    columns: dict[str, str | None]
    others: dict[str, str]
    notes: list[str]


def plain(name: str) -> str:
    """A name without case, blanks, punctuation and a unit in brackets.

    Example:
        >>> plain(" Time [ms]"), plain("Subject_ID"), plain("Unnamed: 0")
        ('time', 'subjectid', 'unnamed0')
    """
    without_unit = re.sub(r"[\[(].*?[\])]", "", name.casefold())
    return re.sub(r"[\W_]+", "", without_unit or name.casefold())


def role_of(name: str) -> str | None:
    """What a column of this name would be, or None.

    Example:
        >>> role_of("Patient-ID"), role_of("timestamp (s)"), role_of("temperature")
        ('group', 'time', None)
    """
    return next((role for role, pattern in NEAR_NAMES.items() if re.fullmatch(pattern, plain(name))), None)


def find_columns(
    wanted: Mapping[str, str | None],
    available: Sequence[str],
    source: str,
    *,
    usual: Mapping[str, Sequence[str]] | None = None,
    required: Iterable[str] | None = None,
) -> Found:
    """Find columns by the names that were given, else by usual ones, else by near ones.

    Args:
        wanted: role -> name of its column; None to look for it, "none" if there is none.
        available: names of all columns.
        source: what the table is called in messages.
        usual: role -> its usual names; default: the role itself.
        required: roles whose columns have to be there if they are named; default: all.

    Raises:
        DataError: there is no column of a name that was given.

    Example:
        >>> find_columns({"id": None, "time": None}, ["ID", "time", "Class", "x"], "a.csv")[:2]
        ({'id': 'ID', 'time': 'time'}, {'Class': 'label'})
    """
    by_plain = {plain(name): name for name in reversed(available)}
    columns: dict[str, str | None] = {}
    notes = []
    for role, name in wanted.items():
        found: str | None = None
        if name is not None and name in available:
            found = name
        elif name == NONE:
            pass
        elif name is not None:
            found = by_plain.get(plain(name)) if plain(name) else None
            if found is None and (required is None or role in required):
                raise DataError(_unknown(name, role, available, source))
        else:
            names = (usual or {}).get(role, (role,))
            found = next((key for key in names if key in available), None)
            found = found or next((by_plain[plain(key)] for key in names if plain(key) in by_plain), None)
            taken = set(columns.values())
            found = found or next((key for key in available if role_of(key) == role and key not in taken), None)
            if found is not None and found not in names:
                notes.append(
                    f"Column {found!r} is taken as the {role}; to say otherwise, {role}: NAME, or {role}: none."
                )
        columns[role] = found
    taken = set(columns.values())
    roles = {name: role_of(name) for name in available if name not in taken}
    others = {name: role for name, role in roles.items() if role is not None}
    return Found(columns, others, notes)


def left_out(name: str, role: str) -> str:
    """What is said about a column that is not taken as an input for its name."""
    what = {"row": "a number of the row", "id": "an id", "time": "a time", "group": "a person or machine"}
    return f"Column {name!r} is no input: it is called like {what.get(role, f'a {role}')}."


def _unknown(name: str, role: str, available: Sequence[str], source: str) -> str:
    listed = ", ".join(map(str, available[:10])) + (", ..." if len(available) > 10 else "")
    near = difflib.get_close_matches(name, list(available), 1)
    return f"{source} expected {name!r} as {role}; it has {listed}." + (f" Did you mean {near[0]!r}?" if near else "")
