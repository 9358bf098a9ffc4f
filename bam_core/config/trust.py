"""Which Python files that a recipe, a run or an encoder names may run: those that the user has trusted, as they are.

A recipe or a run may come from somebody else, and so may the file that it names. What `bam pretrain` has run on this
machine, and what `bam new` has written, is remembered by path and content in `$XDG_STATE_HOME/bam-ssl` (default:
`~/.local/state/bam-ssl`), outside every folder that could be handed on. Standard library only.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bam_core.errors import RecipeError
from bam_core.part_files import is_file

_of_this_process: set[str] = set()  # where nothing can be remembered on disk


def files_in(value: Any) -> list[str]:
    """All names of something in a Python file, at any depth of plain values."""
    return list(dict.fromkeys(_names(value)))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str) and is_file(value):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _names(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _names(part)


def check_trusted(names: Iterable[str], *, where: str, trusted: bool = False) -> None:
    """Refuse Python files that the user has not trusted; nothing of them has run by then.

    Args:
        names: `path/to/file.py:NAME`; files that are not there are left to who looks for them.
        where: what names them, in words.
        trusted: the user has said so for this call.

    Raises:
        RecipeError: names the first file and how to trust it.
    """
    for name in () if trusted else names:
        file = _file(name)
        if file.is_file() and not _known(file):
            raise RecipeError(
                f"{where} wants to run the Python file {str(file)!r}, which nobody has trusted as it is now. Read it; "
                "if you trust it, say so with --trust (in Python: trusted=True)."
            )


def remember(names: Collection[str]) -> None:
    """From now on these files, as they are now, may run without being asked about."""
    for name in names:
        with suppress(OSError):
            key = _key(_file(name))
            _of_this_process.add(key)
            mark = _folder() / key
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(f"{_file(name)}\n", encoding="utf-8")


def _known(file: Path) -> bool:
    key = _key(file)
    return key in _of_this_process or (_folder() / key).is_file()


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "bam-ssl" / "trusted"


def _file(name: str) -> Path:
    return Path(name.rpartition(":")[0]).expanduser().resolve()


def _key(file: Path) -> str:
    return hashlib.sha256(str(file).encode() + b"\0" + file.read_bytes()).hexdigest()
