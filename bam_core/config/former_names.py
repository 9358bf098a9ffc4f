"""Former names of options of readers: they still work, and a warning says what they are called now."""

import warnings
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeVar

Reader = TypeVar("Reader", bound=Callable[..., Any])

FORMER = {"labels": "label", "groups": "group"}
"""Former name -> name, of options that say where labels and groups are."""


def with_present_names(options: Mapping[str, Any], known: Collection[str], prefix: str = "") -> dict[str, Any]:
    """The options under their present names; of two for the same, the later one counts, as it overrides the other.

    Args:
        options: of a reader, by name.
        known: names that the reader has: what it still calls by a former name stays.
        prefix: of the names, for the warning.

    Warns:
        FutureWarning: for every former name.

    Example:
        >>> with_present_names({"label": "age", "seed": 1}, ["label", "seed"])
        {'label': 'age', 'seed': 1}
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        present = name if name in known else FORMER.get(name, name)
        if present != name and present in known:
            warnings.warn(f"{prefix}{name} is called {prefix}{present} now.", FutureWarning, stacklevel=3)
            name = present
        found[name] = value
    return found


def takes_former_names(reader: Reader) -> Reader:
    """Let a reader be called with the former names of its options, too."""
    known = reader.__kwdefaults__ or {}

    @wraps(reader)
    def read(**options: Any) -> Any:
        return reader(**with_present_names(options, known))

    return read  # type: ignore[return-value]
