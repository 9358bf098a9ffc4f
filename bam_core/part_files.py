"""Parts of others: from a Python file, `path/to/file.py:NAME`, or an installed package. Standard library only.

A package announces its parts as entry points, in the groups `GROUPS`. Which files may run is decided where recipes and
encoders are opened, by `bam_core.config.trust`.
"""

import difflib
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bam_core.errors import RecipeError

GROUPS = {
    "reader": "bam_ssl.readers",
    "views": "bam_ssl.views",
    "encoder": "bam_ssl.encoders",
    "metric": "bam_ssl.metrics",
}
"""Kind of part -> group of the entry points by which packages bring such parts, for every modality."""


def is_file(name: str) -> bool:
    """Whether a name is that of something in a Python file, `path/to/file.py:NAME`."""
    return ".py:" in name


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """A hint such as `; did you mean 'epsilon'?`, or a full stop if no known word is near."""
    near = difflib.get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else "."


def displayed(name: str) -> str:
    """A name for tables: without the folders of its file."""
    return Path(name).name if is_file(name) else name


def by_content(name: str) -> str:
    """A name that follows from what its file holds and not from where that lies; others stay as they are."""
    path, _, attribute = name.rpartition(":")
    file = Path(path).expanduser()
    if not is_file(name) or not file.is_file():
        return displayed(name)
    return f"{hashlib.sha256(file.read_bytes()).hexdigest()}:{attribute}"


def load_from_file(kind: str, name: str) -> Any:
    """What a file holds under a name; the file runs once for every state that it is in.

    Args:
        kind: of part, for messages.
        name: `path/to/file.py:NAME`.

    Raises:
        RecipeError: no such file or name in it, or a file that raises.
    """
    path, _, attribute = name.rpartition(":")
    return _attribute(_import_file(kind, Path(path).expanduser()), attribute, name)


def function_from_file(kind: str, name: str) -> Callable[..., Any]:
    """The same, for a function or a class.

    Raises:
        RecipeError: as `load_from_file`, or it cannot be called.
    """
    found: Callable[..., Any] = load_from_file(kind, name)
    if not callable(found):
        raise RecipeError(f"{kind} {name!r} expected a callable; got {type(found).__name__}.")
    return found


def installed(kind: str) -> dict[str, EntryPoint]:
    """What installed packages bring of a kind of part, by name; nothing for kinds without a group."""
    return {entry.name: entry for entry in entry_points(group=GROUPS[kind])} if kind in GROUPS else {}


def function_installed(kind: str, name: str) -> Callable[..., Any]:
    """A function or a class that an installed package brings.

    Args:
        kind: of part.
        name: one of `installed`.

    Raises:
        RecipeError: the package cannot be imported, or it cannot be called.
    """
    entry = installed(kind)[name]
    try:
        found: Callable[..., Any] = entry.load()
    except Exception as error:
        package = "an installed package" if entry.dist is None else f"the package {entry.dist.name!r}"
        raise RecipeError(
            f"{kind} {name!r} of {package} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise RecipeError(f"{kind} {name!r} expected a callable; got {type(found).__name__}, from {entry.value!r}.")
    return found


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
