"""Files of WFDB records: found in any folder, and made readable where they differ from the letter of the format."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bam_core.data.folders import find_files

MICRO = (b"\xc2\xb5", b"\xce\xbc", b"\xb5")  # in UTF-8 (two signs) and Latin-1; wfdb reads µV as V


def header_files(folder: Path) -> list[Path]:
    """All headers in a folder and those below it, linked folders included, each folder once."""
    return [file for file in find_files(folder).files if file.suffix.lower() == ".hea"]


def header_of(record: Path) -> Path:
    """The header of a record, whatever the case of its suffix."""
    usual = record.with_name(f"{record.name}.hea")
    return usual if usual.exists() else record.with_name(f"{record.name}.HEA")


def segments(header: Path) -> list[Path]:
    """Records that are parts of another one, by its header."""
    lines = [line.split() for line in _text(header).splitlines() if line.strip() and not line.startswith("#")]
    if not lines or "/" not in lines[0][0]:  # "name/2" announces two segments, a line each
        return []
    return [header.with_name(fields[0]) for fields in lines[1:]]


def comments(record: Path) -> dict[str, str]:
    """What a header says in lines such as `#Dx: 426783006`, by key in lower case; of several lines, with commas.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a.hea").write_text("a 0 500 10\\n#Age: 74\\n# Dx: 426783006\\n")
        ...     comments(Path(folder) / "a")
        {'age': '74', 'dx': '426783006'}
    """
    found = re.findall(r"^#\s*<?([\w .-]+?)>?\s*:[ \t]*(.*?)\s*$", _text(header_of(record)), re.MULTILINE)
    values: dict[str, list[str]] = {}
    for key, value in found:
        values.setdefault(key.lower(), []).append(value)
    return {key: ",".join(filter(None, parts)) for key, parts in values.items()}


@contextmanager
def readable(record: Path) -> Iterator[Path]:
    """A record as wfdb reads it; one that differs from the letter of the format is mended in a folder of links.

    Mended are suffixes in capitals, names such as `E07835.mat` at the begin of a header, and units with the sign µ.
    """
    headers = [header_of(part) for part in (record, *segments(header_of(record))) if header_of(part).exists()]
    mended = {header: _mended(header.read_bytes()) for header in headers}
    if all(header.suffix == ".hea" and text == header.read_bytes() for header, text in mended.items()):
        yield record
        return
    with tempfile.TemporaryDirectory(prefix="bam-wfdb-") as folder:
        for header, text in mended.items():
            (Path(folder) / f"{header.stem}.hea").write_bytes(text)
            here = {name.lower(): name for name in os.listdir(header.parent)}
            for name in {line.split()[0].decode("latin-1") for line in _lines(text)[1:]}:
                link = Path(folder) / name
                if name.lower() in here and not link.exists():
                    link.symlink_to((header.parent / here[name.lower()]).resolve())
        yield Path(folder) / record.name


def _mended(text: bytes) -> bytes:
    for sign in MICRO:
        text = text.replace(b"/" + sign, b"/u")
    first = _lines(text)[:1]
    if first and (named := re.match(rb"(\S+)\.mat(?=\s)", first[0])):
        text = text.replace(first[0], first[0].replace(named[0], named[1], 1), 1)
    return text


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith(b"#")]


def _text(header: Path) -> str:
    raw = header.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
