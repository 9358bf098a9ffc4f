"""Files of a folder and those below it: hidden ones are passed over; each is found once, whatever links lead to it."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

NOBODYS = frozenset(
    ("__MACOSX", "__pycache__", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir", "Thumbs.db",
     "desktop.ini")
)  # fmt: skip
"""What systems and tools leave in folders, besides what begins with a dot."""


class Found(NamedTuple):
    """Files below a folder.

    Attributes:
        files: where they are, in order.
        names: their paths below the folder, with "/" between folders; parts that are not UTF-8 are written as escapes.
        passed_over: links to what was found already, and folders that cannot be read -> why.
    """

    files: list[Path]
    names: list[str]
    passed_over: dict[str, str]

    def with_suffixes(self, suffixes: Collection[str]) -> tuple["Found", list[str]]:
        """The files with one of these suffixes (in lower case), and the names of all others."""
        wanted = [file.suffix.lower() in suffixes for file in self.files]
        return (
            Found(list(compress(self.files, wanted)), list(compress(self.names, wanted)), self.passed_over),
            [name for name, yes in zip(self.names, wanted, strict=True) if not yes],
        )


class _Folder(NamedTuple):
    path: str
    real: str


def find_files(root: Path) -> Found:
    """All files below a folder, or the one at that path.

    Links to folders and files elsewhere are followed. Links to what lies in the folder itself, or that lead back to
    where it lies, are passed over: a row is not read twice.

    Args:
        root: the folder, or a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "cat").mkdir()
        ...     _ = (Path(folder) / "cat" / "1.png").write_text("")
        ...     (Path(folder) / "cat" / "again").symlink_to(folder)
        ...     find_files(Path(folder)).names
        ['cat/1.png']
    """
    if not root.is_dir():
        return Found([root], [printable(root.name)], {})
    top = os.path.realpath(root)
    passed_over: dict[str, str] = {}
    files: dict[str, str] = {}  # path -> real path
    file_links: list[str] = []
    folder_links = [str(root)]
    entered: set[str] = set()
    while folder_links:
        link = folder_links.pop(0)
        real = os.path.realpath(link)
        if real in entered or (link != str(root) and f"{top}{os.sep}".startswith(f"{real.rstrip(os.sep)}{os.sep}")):
            passed_over[link] = "is a link to what is read already"
            continue
        stack = [_Folder(link, real)]
        while stack:
            folder = stack.pop()
            if folder.real in entered:
                continue
            entered.add(folder.real)
            for entry in _entries(folder.path, passed_over):
                real = os.path.join(folder.real, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    stack.append(_Folder(entry.path, real))
                elif entry.is_dir():
                    folder_links.append(entry.path)
                elif entry.is_symlink():
                    file_links.append(entry.path)
                elif entry.is_file():  # no pipe, which would wait for ever
                    files[entry.path] = real
    real_files = set(files.values()) if file_links else set()
    for link in file_links:
        if os.path.realpath(link) in real_files:
            passed_over[link] = "is a link to what is read already"
        else:
            files[link] = link
    found = sorted(files, key=lambda file: file.split(os.sep))
    above = len(os.path.join(root, ""))
    names = [printable(file[above:].replace(os.sep, "/")) for file in found]
    return Found(
        [Path(file) for file in found],
        names,
        {printable(os.path.relpath(path, root)): why for path, why in passed_over.items()},
    )


def held(kinds: Counter[str]) -> str:
    """What else is there, for an error that says what is not.

    Example:
        >>> held(Counter({".txt": 2})), held(Counter())
        ('; it holds 2 x .txt', '')
    """
    return f"; it holds {', '.join(f'{n} x {kind}' for kind, n in kinds.most_common(5))}" if kinds else ""


def printable(name: str) -> str:
    """A name that can be stored and printed: bytes of file names that are no UTF-8 become escapes.

    Example:
        >>> printable(b"caf\\xe9.wav".decode("utf-8", "surrogateescape"))
        'caf\\\\udce9.wav'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _entries(folder: str, passed_over: dict[str, str]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in NOBODYS]
    except OSError as error:
        passed_over[folder] = f"cannot be read ({error.strerror})"
        return
    yield from sorted(kept, key=lambda entry: entry.name)
