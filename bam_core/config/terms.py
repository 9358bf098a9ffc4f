"""Terms that a recipe adds to its objective: `objective.terms: [{name: koleo, weight: 0.1}, ...]`."""

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from bam_core.config.options import Named, find_named
from bam_core.config.registry import did_you_mean, load_named
from bam_core.errors import RecipeError
from bam_core.part_files import is_file
from bam_core.schedules import Ramp

GROUP = "bam_core.terms"
_BUILT_IN = "bam_core.objectives.terms"
_FOLDER = Path(__file__).parents[1] / "objectives" / "terms"


class AddedTerm(NamedTuple):
    """A term that a recipe adds.

    Attributes:
        term: name, factory and options.
        weight: a number, or a function of the fraction of the run that is over.
    """

    term: Named
    weight: float | Ramp

    @property
    def word(self) -> str:
        """The name in the objective: of a file that of the class."""
        name = self.term.name
        return name.rpartition(":")[2].lower() if is_file(name) else name

    def plain(self) -> dict[str, Any]:
        """As recipes write it."""
        ramp = self.weight
        weight = {"from": ramp.start, "to": ramp.end, "over": ramp.over} if isinstance(ramp, Ramp) else ramp
        return {"name": self.term.name, "weight": weight, **self.term.options}


def term_names() -> list[str]:
    """Names of all terms that can be had without a file: those of bam_core, and those of installed packages."""
    own = {file.stem for file in _FOLDER.glob("*.py")} - {"__init__"}
    return sorted(own | {entry.name for entry in entry_points(group=GROUP)})


def load_term(name: str) -> Callable[..., nn.Module]:
    """The factory of a term: (**options) -> `bam_core.terms.Term`.

    Args:
        name: of a file in `bam_core/objectives/terms`, of an installed entry point in the group `bam_core.terms`, or
            `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such term, file or name in the file, a file that raises, or it is not callable.
    """
    if (_FOLDER / f"{name}.py").is_file() and name != "__init__":
        found = import_module(f"{_BUILT_IN}.{name}").TERM
    else:
        found = load_named("term", GROUP, name, known_besides=term_names())
    if not callable(found):
        raise RecipeError(f"term {name!r} expected a callable; got {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def find_terms(section: Any, problems: list[str]) -> tuple[AddedTerm, ...]:
    """Find the terms of a recipe's `objective.terms`, and check weights and options.

    Args:
        section: what the recipe gives; None for none.
        problems: gets what is wrong, a line each.
    """
    if section is None:
        return ()
    if not isinstance(section, list) or not all(isinstance(entry, Mapping) for entry in section):
        problems.append(f"objective.terms: expected a list such as [{{name: koleo, weight: 0.1}}], got {section!r}")
        return ()
    found = []
    for number, entry in enumerate(section):
        where = f"objective.terms.{number}"
        weight = _weight(entry.get("weight", 1.0), where, problems)
        options = {key: value for key, value in entry.items() if key != "weight"}
        named = find_named(where, "name", options, load_term, problems)
        if named is not None and weight is not None:
            found.append(AddedTerm(named, weight))
    return tuple(found)


def _weight(value: Any, where: str, problems: list[str]) -> float | Ramp | None:
    if _is_number(value):
        return float(value)
    if isinstance(value, Mapping):
        keys = ("from", "to", "over")
        for key in value:
            if key not in keys:
                problems.append(
                    f"{where}.weight.{key}: no such key{did_you_mean(str(key), keys)} Known: {', '.join(keys)}."
                )
                return None
        given = {"over": 1.0, **value}
        if all(_is_number(given.get(key)) for key in keys) and 0 < given["over"] <= 1:
            return Ramp(float(given["from"]), float(given["to"]), float(given["over"]))
    problems.append(
        f"{where}.weight: expected a number, or {{from: 0, to: 1, over: 0.2}} with `over` a part of the run in (0, 1], "
        f"got {value!r}"
    )
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
