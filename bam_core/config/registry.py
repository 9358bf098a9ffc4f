"""Find modalities and objectives by name: an installed entry point, or `file.py:NAME` of a third party's one file."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bam_core.errors import MissingExtraError, RecipeError
from bam_core.part_files import did_you_mean as did_you_mean
from bam_core.part_files import displayed as displayed
from bam_core.part_files import function_from_file, function_installed, installed, is_file, load_from_file
from bam_core.protocols import Modality


def load_modality(name: str) -> Modality:
    """The adapter of a domain.

    Args:
        name: of an installed entry point in the group `bam_ssl.modalities`, or `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such modality, file or name in the file, a file that raises, or it is no `Modality`.
        MissingExtraError: the modality needs a package that is not installed.
    """
    found = load_named("modality", "bam_ssl.modalities", name)
    if not isinstance(found, Modality):
        raise RecipeError(f"modality {name!r} expected a bam_core.protocols.Modality; got {type(found).__name__}.")
    return found


def load_objective(name: str) -> Callable[..., Any]:
    """The factory of an objective: (encoder, view_fn, *, total_steps, **options) -> `Objective`.

    Args:
        name: of a file in `bam_core/objectives` that has a `make_<name>`, of an installed entry point in the group
            `bam_ssl.objectives`, or `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such objective, file or name in the file, a file that raises, or it is not callable.
        MissingExtraError: the objective needs a package that is not installed.
    """
    if name in _own_objectives():
        found = getattr(import_module(f"bam_core.objectives.{name}"), f"make_{name}")
    else:
        found = load_named("objective", "bam_ssl.objectives", name, known_besides=objective_names())
    if not callable(found):
        raise RecipeError(f"objective {name!r} expected a callable; got {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def objective_names() -> list[str]:
    """Names of all objectives that can be had without a file: those of bam_core, and those of installed packages."""
    return sorted(_own_objectives() | {entry.name for entry in entry_points(group="bam_ssl.objectives")})


@cache
def _own_objectives() -> frozenset[str]:
    files = (Path(__file__).parents[1] / "objectives").glob("*.py")
    return frozenset(file.stem for file in files if f"\ndef make_{file.stem}(" in file.read_text(encoding="utf-8"))


def choose(where: str, name: str, known: Mapping[str, Any], *, open_to: str | None = None) -> Any:
    """One of several by name.

    Args:
        where: the name stands, for messages.
        name: of one of them.
        known: all, by name.
        open_to: a kind of part that others may bring: then it may also be a function or a class in a Python file,
            `path/to/file.py:NAME`, or one that an installed package brings (`bam_core.part_files.GROUPS`).

    Raises:
        RecipeError: no such name; the message lists those that exist. Of a file or a package: see `function_from_file`
            and `function_installed`.
    """
    if name in known:
        return known[name]
    if open_to is not None and is_file(name):
        return function_from_file(where, name)
    others = {} if open_to is None else installed(open_to)
    if open_to is not None and name in others:
        return function_installed(open_to, name)
    names = [*known, *(other for other in others if other not in known)]
    way_out = "." if open_to is None else "; or give 'path/to/file.py:NAME'."
    raise RecipeError(f"{where} {name!r} does not exist{did_you_mean(name, names)} Known: {', '.join(names)}{way_out}")


def complete(
    kind: str, factory: Callable[..., Any], options: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The keyword arguments for a factory: the recipe's options, and for the rest the facts of the data.

    Raises:
        RecipeError: a required argument is in neither.
    """
    filled = dict(options)
    for parameter in keyword_parameters(factory):
        if parameter.name in filled:
            continue
        if parameter.name in facts:
            filled[parameter.name] = facts[parameter.name]
        elif parameter.default is inspect.Parameter.empty:
            raise RecipeError(
                f"{kind} needs {parameter.name!r}, which neither the recipe gives nor the data know "
                f"(facts: {', '.join(facts)}). Set it in the recipe."
            )
    return filled


def keyword_parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    """The keyword-only parameters of a factory: what a recipe may set."""
    return [p for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY]


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Import optional packages inside of it; a missing one becomes an error that names the extra.

    Args:
        name: of the extra that brings them.
        what: needs them, in words.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{what} needs the package {error.name!r}, which is not installed: pip install 'bam-ssl[{name}]'"
        ) from error


def load_named(kind: str, group: str, name: str, *, known_besides: Iterable[str] = ()) -> Any:
    """What an entry point of a group, or a `file.py:NAME`, stands for.

    Args:
        kind: of thing, for messages.
        group: of the entry points.
        name: of one of them, or of something in a file.
        known_besides: further names for the message.

    Raises:
        RecipeError: no such name, file or name in the file, or a file that raises.
        MissingExtraError: it needs a package that is not installed.
    """
    if is_file(name):
        return load_from_file(kind, name)
    known = {entry.name: entry for entry in entry_points(group=group)}
    if name not in known:
        names = sorted({*known, *known_besides})
        raise RecipeError(
            f"{kind} {name!r} is not installed{did_you_mean(name, names)} Known: {', '.join(names)}; "
            "or give 'path/to/file.py:NAME'."
        )
    with extra(name, f"{kind} {name!r}"):
        return known[name].load()


def anchored(name: str, folder: Path) -> str:
    """The same name with an absolute path, if it is one of a file in a folder, or else in the current one.

    Args:
        name: any name; those of entry points stay as they are.
        folder: where to look first, that of the recipe.
    """
    if not is_file(name):
        return name
    path, _, attribute = name.rpartition(":")
    for place in (folder, Path()):
        file = place / Path(path).expanduser()
        if file.is_file():
            return f"{file.resolve()}:{attribute}"
    return name
