"""Lines of text files, packed or not, in whatever encoding they were written."""

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from bam_core.errors import DataError


def _open_zstd(path: Path, mode: str, **options: Any) -> Any:
    import io

    import pyarrow as pa

    stream = pa.input_stream(str(path), compression="zstd")
    return stream if mode == "rb" else io.TextIOWrapper(stream, **options)


PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zstd}

_NOT_WINDOWS = re.compile(  # undefined there; quotes inside of words; capitals with an accent inside of small words
    rb"[\x81\x8d\x8f\x90\x9d]|[A-Za-z\xc0-\xff][\x82\x84\x93\x94][A-Za-z\xc0-\xff]|[a-z][\x8a\x8c\x8e][a-z]|[A-Za-z]\x9f[a-z]"
)

_NO_TABLES = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: fetch it with git lfs pull",
    b"<!doctype html": "a web page, perhaps an error in place of a download",
    b"<html": "a web page, perhaps an error in place of a download",
    b"<?xml": "XML, no table of rows and columns: save it as CSV or .parquet",
    b"%pdf": "a PDF: save its table as CSV or .parquet",
}

_READINGS = ("cp1252", "cp850", "mac_roman")


def read_lines(path: Path, encoding: str) -> Iterator[str]:
    """All lines of a file; .gz, .bz2, .xz and .zst are unpacked.

    Raises:
        DataError: it cannot be unpacked, is not in this encoding, or there is no encoding of that name.
    """
    with open_text(path, encoding) as file:
        yield from file


def open_text(path: Path, encoding: str) -> AbstractContextManager[Any]:
    """The unpacked text of a file, ends of lines as they are; see `read_lines`."""
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise DataError(
            f"expected the name of an encoding, such as utf-8, cp1252 or cp850, for {path.name}; got {encoding!r}."
        ) from error
    return _opened(path, "rt", encoding=encoding, newline="")


def unpacked_name(path: Path) -> Path:
    """The path without the suffix of the packing.

    Example:
        >>> unpacked_name(Path("a.CSV.gz")).name, unpacked_name(Path("a.csv")).name
        ('a.CSV', 'a.csv')
    """
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def find_encoding(path: Path) -> tuple[str, list[str]]:
    """UTF-8, UTF-16 with its mark, or else Windows-1252; and what is to be said about it.

    Raises:
        DataError: it cannot be unpacked, is no text, or is in another encoding than these.
    """
    with _opened(path, "rb") as file:
        start = file.read(8192)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", []
    for mark, what in _NO_TABLES.items():
        if start.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(mark):
            raise DataError(f"{path.name} is {what}.")
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
        _check_is_windows(path)
        return "cp1252", ["not in UTF-8, read as Windows-1252"]
    return "utf-8-sig", []


def _check_is_windows(path: Path) -> None:
    with _opened(path, "rb") as file:
        for line in file:
            if found := _NOT_WINDOWS.search(line):
                part = line[max(0, found.start() - 10) : found.end() + 10].strip()
                readings = " or ".join(f"{part.decode(name, 'replace')!r} ({name})" for name in _READINGS)
                raise DataError(
                    f"{path.name} is not in UTF-8, and Windows-1252 does not fit: it would hold {readings}. Save it in "
                    "UTF-8, or say encoding: cp850 (or whatever it is) where the reader takes an encoding."
                )


@contextmanager
def _opened(path: Path, mode: str, **options: Any) -> Iterator[Any]:
    try:
        with PACKED.get(path.suffix.lower(), open)(path, mode, **options) as file:
            yield file
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path.name} is no readable text ({error}).") from error
