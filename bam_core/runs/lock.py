"""The folder of a run or comparison belongs to one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_only

from bam_core.errors import RecipeError
from bam_core.outputs import make_folder

LOCK = ".lock"


@contextmanager
def only_here(
    folder: Path, *, what: str = "run folder", way_out: str = "take another folder with run=NAME"
) -> Iterator[None]:
    """Keep other processes out of a run folder; the operating system gives it free when this one ends, however.

    The processes of one run share a lock: their first one holds it. Where the file system has no locks, nobody is kept
    out. A folder that holds nothing else in the end is removed.

    Args:
        folder: of a run; it is made if it is not there.
        what: the folder is, for the message.
        way_out: for the message, beside waiting.

    Raises:
        RecipeError: another process is at work in it.
        OutputError: it cannot be made.
    """
    make_folder(folder)
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    lock = FileLock(folder / LOCK, fallback_to_soft=False)  # a marker file would outlive a process that was killed
    with suppress(NotImplementedError, OSError):  # a file system without locks
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RecipeError(
                f"another process is at work in the {what} {str(folder)!r}. Wait until it has ended, or {way_out}."
            ) from error
    try:
        yield
    finally:
        if {file.name for file in folder.iterdir()} == {LOCK}:
            with suppress(OSError):
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()
