"""Labels, persons and splits that stand in the names of files and folders, found by a regular expression."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from bam_core.errors import DataError, InputError

ROLES = ("label", "group", "split")


def is_pattern(text: object) -> bool:
    """Whether an option is a pattern with a named group, not the name of a column or file.

    Example:
        >>> is_pattern(r"(?P<group>p\\d+)"), is_pattern("patients.csv:id")
        (True, False)
    """
    return isinstance(text, str) and "(?P<" in text


def compile_pattern(pattern: str, *, option: str = "pattern", roles: Collection[str] = ROLES) -> re.Pattern[str]:
    """The pattern, after a look at its named groups.

    Args:
        pattern: regular expression with named groups.
        option: what it was given as, for messages.
        roles: names that groups may have.

    Raises:
        InputError: no regular expression, or a group of another name.

    Example:
        >>> compile_pattern(r"(?P<group>p\\d+)/").groupindex["group"]
        1
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"{option} expected a regular expression; {pattern!r} is none: {error}.") from error
    unknown = sorted(set(compiled.groupindex) - set(roles))
    if unknown:
        listed = " or ".join(filter(None, [", ".join([*roles][:-1]), [*roles][-1]]))
        raise InputError(f"{option} expected groups named {listed}; got {', '.join(unknown)}.")
    return compiled


def match_names(
    pattern: re.Pattern[str], names: Sequence[str], *, option: str = "pattern", is_new: bool = False
) -> list[dict[str, Any] | None]:
    """What every name says, by named group; None for a name that does not match.

    Args:
        pattern: searched for in the names.
        names: paths below the folder, with "/", without suffix.
        option: what the pattern was given as, for the message.
        is_new: whether the names are those of new data for a saved encoder, which may be called otherwise.

    Raises:
        DataError: it matches none of the names.

    Example:
        >>> match_names(compile_pattern(r"(?P<group>p\\d+)"), ["p1/a", "p12/b", "readme"])
        [{'group': 'p1'}, {'group': 'p12'}, None]
    """
    matches = [pattern.search(name) for name in names]
    if names and not any(matches) and not is_new:
        raise DataError(
            f"{option} {pattern.pattern!r} matches none of {len(names)} names, such as {', '.join(names[:3])}. It is "
            "searched for in the path below the folder, without suffix."
        )
    return [None if match is None else match.groupdict() for match in matches]
