"""Find modalities and objectives by name: an installed entry point, or `file.py:NAME` of a third party's one file."""

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bam_core.config.trust import is_file
from bam_core.errors import MissingExtraError, RecipeError
from bam_core.protocols import Modality


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """A hint such as `; did you mean 'epsilon'?`, or a full stop if no known word is near."""
    near = difflib.get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else "."


def load_modality(name: str) -> Modality:
    """The adapter of a domain.

    Args:
        name: of an installed entry point in the group `bam_ssl.modalities`, or `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such modality, file or name in the file, a file that raises, or it is no `Modality`.
        MissingExtraError: the modality needs a package that is not installed.
    """
    found = _load("modality", "bam_ssl.modalities", name)
    if not isinstance(found, Modality):
        raise RecipeError(f"modality {name!r} expected a bam_core.protocols.Modality; got {type(found).__name__}.")
    return found


def load_objective(name: str) -> Callable[..., Any]:
    """The factory of an objective: (encoder, view_fn, *, total_steps, **options) -> `Objective`.

    Args:
        name: of an installed entry point in the group `bam_ssl.objectives`, or `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such objective, file or name in the file, a file that raises, or it is not callable.
        MissingExtraError: the objective needs a package that is not installed.
    """
    found = _load("objective", "bam_ssl.objectives", name)
    if not callable(found):
        raise RecipeError(f"objective {name!r} expected a callable; got {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def choose(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """One of several by name.

    Raises:
        RecipeError: no such name; the message lists those that exist.
    """
    if name not in known:
        raise RecipeError(f"{kind} {name!r} does not exist{did_you_mean(name, known)} Known: {', '.join(known)}.")
    return known[name]


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


def _load(kind: str, group: str, name: str) -> Any:
    if is_file(name):
        path, _, attribute = name.rpartition(":")
        return _attribute(_import_file(kind, Path(path).expanduser()), attribute, name)
    known = {entry.name: entry for entry in entry_points(group=group)}
    if name not in known:
        raise RecipeError(
            f"{kind} {name!r} is not installed{did_you_mean(name, known)} Known: {', '.join(sorted(known))}; "
            "or give 'path/to/file.py:NAME'."
        )
    with extra(name, f"{kind} {name!r}"):
        return known[name].load()


def displayed(name: str) -> str:
    """A name for tables: without the folders of its file."""
    return Path(name).name if is_file(name) else name


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


def _import_file(kind: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise RecipeError(
            f"{kind} file {str(path)!r} does not exist. A relative path starts at the recipe's folder, or at the "
            "current one; a run and its encoder remember the absolute one."
        )
    file = path.resolve()
    return _run_file(kind, file, file.stat().st_mtime_ns)


@lru_cache  # once for every state of a file: a run asks for it several times
def _run_file(kind: str, file: Path, changed: int) -> ModuleType:
    module_name = f"bam_ssl_user_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{kind} file {str(file)!r} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RecipeError(f"{kind} file {str(file)!r} cannot be imported: {_where(error, file)}") from error
    return module


def _where(error: Exception, file: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    what = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    return f"line {line}: {what}" if line else what


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise RecipeError(f"{name!r}: the file defines no {attribute!r}{did_you_mean(attribute, public)}")
    return getattr(module, attribute)
