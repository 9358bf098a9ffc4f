"""Options inside a parameter, such as `encoder__width`, so that grids can name them."""

from collections.abc import Mapping
from typing import Any

SECTIONS = ("data", "views", "encoder", "objective")
"""Parameters that are mappings of options."""


def with_nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, and every option of a mapping beside it.

    Example:
        >>> with_nested({"encoder": {"width": 16}, "epochs": 3})
        {'encoder': {'width': 16}, 'epochs': 3, 'encoder__width': 16}
    """
    inner = {
        f"{section}__{name}": value
        for section in SECTIONS
        if isinstance(params.get(section), Mapping)
        for name, value in params[section].items()
    }
    return {**params, **inner}


def merged(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters to set, where an option of a mapping is set inside the mapping; all other options of it stay.

    Args:
        current: the parameters so far.
        given: new values; `encoder__width` is the option `width` of `encoder`.

    Example:
        >>> merged({"encoder": {"depth": 2}}, {"encoder__width": 16})
        {'encoder': {'depth': 2, 'width': 16}}
    """
    found = {
        name: value for name, value in given.items() if name.partition("__")[0] not in SECTIONS or "__" not in name
    }
    for name, value in given.items():
        section, nested, option = name.partition("__")
        if nested and section in SECTIONS:
            found[section] = {**(found.get(section, current.get(section)) or {}), option: value}
    return found
