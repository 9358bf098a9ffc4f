"""Lines of text files, packed or not, in whatever encoding they were written."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bam_core.errors import DataError

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_lines(path: Path, encoding: str) -> Iterator[str]:
    """All lines of a file; .gz, .bz2 and .xz are unpacked.

    Raises:
        DataError: it cannot be unpacked, or is not in this encoding.
    """
    with _opened(path, "rt", encoding=encoding, newline="") as file:
        yield from file


def find_encoding(path: Path) -> tuple[str, list[str]]:
    """UTF-8, UTF-16 with its mark, or else Windows-1252; and what is to be said about it.

    Raises:
        DataError: it cannot be unpacked, or is no text.
    """
    with _opened(path, "rb") as file:
        start = file.read(8192)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", []
    if b"\0" in start:
        raise DataError(
            f"{path.name} is no text (it holds zero bytes). Save it as CSV in UTF-8, or as .parquet; "
            "of a spreadsheet, one sheet."
        )
    try:
        for _ in read_lines(path, "utf-8-sig"):
            pass
    except DataError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
        return "cp1252", ["not in UTF-8, read as Windows-1252"]
    return "utf-8-sig", []


@contextmanager
def _opened(path: Path, mode: str, **options: Any) -> Iterator[Any]:
    try:
        with PACKED.get(path.suffix.lower(), open)(path, mode, **options) as file:
            yield file
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path.name} is no readable text ({error}).") from error
