"""What the names of files of series say: the person, the label."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from bam_core.data.column_names import NONE
from bam_core.data.name_patterns import compile_pattern, is_pattern, match_names
from bam_core.errors import DataError

Patterns = Mapping[str, re.Pattern[str]]


def take_patterns(about: Mapping[str, str | None]) -> tuple[dict[str, str | None], dict[str, re.Pattern[str]]]:
    """Role -> column, "none" where a pattern says it; and role -> pattern for these.

    Raises:
        InputError: no regular expression, or one without a group of that role.

    Example:
        >>> take_patterns({"label": "y", "group": "(?P<group>p.)"})
        ({'label': 'y', 'group': 'none'}, {'group': re.compile('(?P<group>p.)')})
    """
    patterns = {
        role: compile_pattern(str(given), option=role, roles=[role])
        for role, given in about.items()
        if is_pattern(given)
    }
    return {role: NONE if role in patterns else given for role, given in about.items()}, patterns


def said_by_names(patterns: Patterns, names: Sequence[str], *, is_new: bool) -> list[dict[str, str | None]]:
    """What every file's name says, by role; None where it does not match.

    Raises:
        DataError: a pattern matches none of the names.
    """
    said: list[dict[str, str | None]] = [{} for _ in names]
    for role, pattern in patterns.items():
        for found, match in zip(said, match_names(pattern, names, option=role, is_new=is_new), strict=True):
            found[role] = None if match is None else match[role]
    return said


def add_said(frame: pd.DataFrame, said: Mapping[str, str | None], name: str, *, is_new: bool) -> pd.DataFrame:
    """The rows of a file with what its name says, in columns such as `(group)`.

    Args:
        frame: rows of the file.
        said: role -> what its name says.
        name: of the file; a new file without a person is one of its own.
        is_new: whether it is new data for a saved encoder, which may be called otherwise.

    Raises:
        DataError: the name does not say what is wanted.
    """
    for role, value in said.items():
        if value is None and role != "label" and not is_new:
            raise DataError(f"its name does not match the pattern of {role}")
        frame = frame.assign(**{f"({role})": name if value is None and role == "group" else value})
    return frame
