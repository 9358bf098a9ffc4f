"""Prepare once, map afterwards: rows go to Arrow files under a key made from the input files and the settings.

The cache lies in `$BAM_CACHE`, or `~/.cache/bam-ssl`. An entry appears under its name only when it is complete, so an
interrupted preparation does no harm. Of several processes that want the same entry, such as the ranks of a run, one
builds it; where the file system cannot lock, all of them do, and the first is taken.
"""

import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import datasets
from filelock import FileLock, Timeout

from bam_core import __version__
from bam_core.data.prepared import PreparedData
from bam_core.data.writer import SplitWriter, prepared
from bam_core.errors import BAMError, UnforeseenDataError
from bam_core.outputs import explained, make_folder

FORMAT = 5  # raise it when the layout of an entry changes
PATIENCE = 10.0  # seconds, after which a process says that it waits


_CHOSEN: ContextVar[Path | None] = ContextVar("_CHOSEN", default=None)


def cache_root() -> Path:
    """Folder of all prepared data."""
    return _CHOSEN.get() or Path(os.environ.get("BAM_CACHE") or Path.home() / ".cache" / "bam-ssl")


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Inside, data are prepared in another folder: where they are needed once, and many of them would not fit."""
    token = _CHOSEN.set(folder)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def fingerprint(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Hash of the files (path, size, time of change), the settings and our version."""
    paths = sorted({os.path.abspath(file) for file in files})
    stats = [(path, stat.st_size, stat.st_mtime_ns) for path in paths for stat in [_stat(path)]]
    text = json.dumps([FORMAT, __version__, stats, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stat(path: str) -> os.stat_result:
    return os.stat(path) if os.path.exists(path) else os.lstat(path)  # a link whose file was not fetched


def cached(
    name: str, files: Iterable[Path], settings: Mapping[str, Any], build: Callable[[SplitWriter], None]
) -> PreparedData:
    """Open the prepared data of these files and settings, after building it if it is not there.

    Args:
        name: of the reader; part of the key.
        files: all files that the result depends on.
        settings: all options that the result depends on; plain values.
        build: writes the rows; called only if there is no entry yet.

    Returns:
        Memory-mapped splits with facts and report.

    Raises:
        DataError: `build` wrote no row to the split "train"; the message lists what was set aside.
    """
    key = fingerprint(files, {"reader": name, **settings})
    folder = cache_root() / f"{name}-{key}"
    if not (folder / "about.json").exists():
        make_folder(cache_root())
        _remove_remains(name)
        with _one_at_a_time(folder):
            if not (folder / "about.json").exists():
                _build(name, folder, build)
    splits = {f.stem: datasets.Dataset.from_file(str(f)) for f in sorted(folder.glob("*.arrow"))}
    return prepared(splits, json.loads((folder / "about.json").read_text()), key)


def _build(name: str, folder: Path, build: Callable[[SplitWriter], None]) -> None:
    partial = cache_root() / f".{name}-{uuid.uuid4().hex[:12]}"
    partial.mkdir()
    writer = SplitWriter(partial)
    try:
        with explained(partial, also_reads=True), _named(name):
            build(writer)
            (partial / "about.json").write_text(json.dumps(writer.finish(name), indent=1))
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            if not (folder / "about.json").exists():
                raise
    finally:
        writer.close()
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _named(reader: str) -> Iterator[None]:
    """The last resort: what a library makes of a file that no reader foresaw is an error of ours, too.

    Raises:
        UnforeseenDataError: anything else than a `BAMError` or an error of the system was raised.
    """
    try:
        yield
    except (BAMError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UnforeseenDataError(
            f"reader {reader!r} cannot read these data ({type(error).__name__}: {str(error)[:300]}). A file is "
            "damaged, or of a form that it does not know: look for rows or values of another kind."
        ) from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for other processes that build the same entry."""
    lock = FileLock(f"{folder}.lock", fallback_to_soft=False)  # a marker file would outlive a process that was killed
    with suppress(NotImplementedError, OSError):  # a file system without locks
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            print(f"Another process prepares the same data; waiting for it ({lock.lock_file}).", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        with suppress(OSError):  # who waits for it finds the entry, or builds beside another
            os.unlink(lock.lock_file)
        lock.release()


def _remove_remains(name: str) -> None:
    """Delete what killed processes left behind a day ago or earlier."""
    for partial in cache_root().glob(f".{name}-*"):
        if time.time() - partial.stat().st_mtime > 24 * 3600:
            shutil.rmtree(partial, ignore_errors=True)
