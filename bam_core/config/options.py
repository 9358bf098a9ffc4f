"""What a section of a recipe names: a function, and its options held against the function's signature."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bam_core.config.former_names import with_present_names
from bam_core.config.registry import choose, complete, did_you_mean, keyword_parameters
from bam_core.errors import BAMError, RecipeError
from bam_core.part_files import function_from_file, is_file

KINDS = {"data": "reader", "views": "views", "encoder": "encoder"}  # of part, by the section that names it
FILLED_IN = {"total_steps", "micro_batch", "fitted", "generator"}  # by the run, or by `bam embed`; never by a recipe


class Named(NamedTuple):
    """What a section of a recipe names, found.

    Attributes:
        section: of the recipe, for messages.
        name: that the recipe gives.
        factory: the function of that name.
        options: those that the recipe gives, of the types that the factory wants.
    """

    section: str
    name: str
    factory: Callable[..., Any]
    options: Mapping[str, Any]

    def with_facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments for the factory: the options, and for the rest the facts of the data.

        Raises:
            RecipeError: a required argument is in neither.
        """
        return complete(f"{self.section} {self.name!r}", self.factory, self.options, facts)

    def with_defaults(self) -> dict[str, Any]:
        """Name, options and the defaults of all others, as plain values."""
        parameters = [p for p in keyword_parameters(self.factory) if p.name not in FILLED_IN]
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        plain: dict[str, Any] = json.loads(json.dumps({**defaults, **self.options, "name": self.name}, default=str))
        return plain


def option_types(factory: Callable[..., Any]) -> dict[str, Any]:
    """Keyword argument of a factory -> its type."""
    hints = get_type_hints(factory if inspect.isfunction(factory) else factory.__init__)
    return {p.name: hints.get(p.name, Any) for p in keyword_parameters(factory)}


def options_model(factory: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of a factory's keyword arguments; nothing is required, since data may fill it in."""
    fields: dict[str, Any] = {
        name: (hint, None) for name, hint in option_types(factory).items() if name not in FILLED_IN
    }
    return create_model(factory.__name__, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)


def find_named(
    section: str,
    key: str,
    options: Any,
    find: Mapping[str, Callable[..., Any]] | Callable[[str], Callable[..., Any]],
    problems: list[str],
) -> Named | None:
    """Find what a section names, and check its options against it.

    Args:
        section: of the recipe.
        key: that holds the name.
        options: the section.
        find: the functions by name, beside which one of others will do (`choose`); or what finds one.
        problems: gets what is wrong, a line each.

    Returns:
        What was found, or None after adding to `problems`.
    """
    if not isinstance(options, Mapping):
        return None  # pydantic says so
    if key not in options:
        names = f", one of {', '.join(find)}" if isinstance(find, Mapping) else ""
        problems.append(f"{section}.{key}: is missing{names}")
        return None
    name = str(options[key])
    try:
        if isinstance(find, Mapping):
            factory = choose(f"{section}.{key}", name, find, open_to=KINDS[section])
        else:
            factory = find(name)
    except BAMError as error:
        problems.append(str(error))
        return None
    model = options_model(factory)
    given = {k: v for k, v in options.items() if k != key}
    if section == "data":
        given = with_present_names(given, model.model_fields, prefix="data.")
    try:
        checked = model.model_validate(given)
    except ValidationError as error:
        problems += [describe(e, model, prefix=f"{section}.") for e in error.errors()]
        return None
    return Named(section, name, factory, checked.model_dump(include=set(given)))


def find_changes(changes: Any, problems: list[str]) -> list[Named]:
    """Find the changes of views that a recipe lists, each `file.py:NAME`, or `name` with options.

    Args:
        changes: the list; None for none.
        problems: gets what is wrong, a line each.
    """
    if changes is None:
        return []
    if not isinstance(changes, list) or not all(isinstance(change, str | Mapping) for change in changes):
        problems.append(
            f"views.changes: expected a list, each 'file.py:NAME' or with a name and options, got {changes!r}"
        )
        return []
    sections = [{"name": change} if isinstance(change, str) else change for change in changes]
    found = [find_named("views.changes", "name", section, _change, problems) for section in sections]
    return [change for change in found if change is not None]


def _change(name: str) -> Callable[..., Any]:
    if not is_file(name):
        raise RecipeError(f"views.changes expected 'path/to/file.py:NAME'; got {name!r}.")
    return function_from_file("change of views", name)


def describe(error: Any, model: type[BaseModel], prefix: str = "") -> str:
    """A mistake that pydantic found, as a line: the key, what is wrong, the nearest known key or what came."""
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            inner = model.model_fields.get(str(part))
            model = inner.annotation if inner and isinstance(inner.annotation, type) else model
        hint = did_you_mean(str(error["loc"][-1]), model.model_fields)
        known = "" if hint.endswith("?") else f" Known: {', '.join(model.model_fields)}."
        return f"{prefix}{path}: no such key{hint}{known}"
    got = "" if error["type"] == "missing" else f", got {error['input']!r}"
    return f"{prefix}{path}: {error['msg'][0].lower()}{error['msg'][1:]}{got}"
