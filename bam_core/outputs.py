"""Files that appear whole or not at all, and what cannot be written said in one line. Standard library only."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bam_core.errors import OutputError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SAID_BY_OTHERS = ("os error 28", "No space left", "File too large", "Disk quota")  # of Rust and C++, without a number


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write a file so that under its name there is always all of the old or all of the new one.

    Its rights follow the user's umask. Whatever goes wrong, nothing partial stays.

    Args:
        path: of the file; its folder must exist.

    Yields:
        Another path in the same folder. What lies there at the end takes the place of the file.

    Raises:
        OutputError: it cannot be written: a full disk, a folder that is missing or must not be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, written(Path(folder) / "a.txt") as partial:
        ...     _ = partial.write_text("all of it")
    """
    partial = path.with_name(f"{path.name}.partial")
    with explained(path):
        try:
            yield partial
            sync(partial)
            partial.replace(path)
            sync(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


@contextmanager
def written_folder(folder: Path) -> Iterator[Path]:
    """The same for a folder: it is made anew, and takes the place of an older one only when it is complete."""
    partial = folder.with_name(f"{folder.name}.partial")
    with explained(folder):
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        try:
            yield partial
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as `written` does."""
    with written(path) as partial:
        partial.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> Path:
    """Make a folder, and those around it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def explained(path: Path, *, also_reads: bool = False) -> Iterator[None]:
    """Turn errors of writing to a path into an `OutputError` that says what to do; all others pass.

    Args:
        path: that is written to, for the message.
        also_reads: files are read meanwhile, so that only a full or write-protected disk is surely one of writing.

    Raises:
        OutputError: the disk is full, or the place is missing or must not be written to.
    """
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        problem = _problem(error)
        if problem is None or (also_reads and problem[0] not in _FULL | {errno.EROFS}):
            raise
        number, reason = problem
        raise OutputError(f"{path} cannot be written: {reason}. {_way_out(number)}") from error


def _problem(error: BaseException | None) -> tuple[int, str] | None:
    """Number and reason of the operating system's error in a chain of errors, if there is one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno, os.strerror(error.errno)
        if any(words in str(error) for words in _SAID_BY_OTHERS):
            return errno.ENOSPC, os.strerror(errno.ENOSPC)
        error = error.__cause__ or error.__context__
    return None


def _way_out(number: int) -> str:
    if number in _FULL:
        return "Make room, or write elsewhere; what was there before is as it was."
    if number in (errno.ENOENT, errno.ENOTDIR):
        return "Make its folder first, or correct the path."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Take a folder that you may write to."
    return "Look at the disk, or write elsewhere."


def sync(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on disk; Windows has the former only, if it may write."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
