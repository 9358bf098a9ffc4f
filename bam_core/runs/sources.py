"""What new data consist of when they are read piece by piece: one path, or the files of a folder of shards."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bam_core.errors import DataError
from bam_core.protocols import Modality

SHARDS = (".parquet", ".tar")
"""Suffixes of files that hold many rows each."""


def sources_of(path: Path, modality: Modality, options: Mapping[str, Any]) -> list[Path]:
    """The pieces of new data, in order.

    A folder of parquet or tar files is read file by file if the modality reads such a file, and no reader of folders
    takes these files together; all other data are one piece, a folder with other files of rows beside them as well.

    Args:
        path: a file or folder.
        modality: of the rows.
        options: of the reader; `reader` may name it.

    Raises:
        DataError: there is nothing at the path.
    """
    if not path.exists():
        raise DataError(f"expected data at {str(path)!r}; there is nothing.")
    if not path.is_dir():
        return [path]
    of_folders = set(modality.readers_of(""))
    there = [file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path))]
    kinds = {file.suffix.lower() for file in there if modality.readers_of(file.suffix.lower())}
    for suffix in SHARDS:
        if kinds != {suffix}:
            continue
        readers = set(modality.readers_of(suffix))
        files = sorted(file for file in there if file.suffix.lower() == suffix)
        wanted = {options["reader"]} if "reader" in options else readers
        if files and wanted & readers and not readers & of_folders:
            return files
    return [path]


def check_output(path: Path, output: Path) -> None:
    """See that embeddings are not written among the data, which they would become a part of.

    Raises:
        DataError: the output is the folder of the data, or lies in it.
    """
    if output.resolve().is_relative_to(path.resolve()):
        raise DataError(f"the output {str(output)!r} lies in the data {str(path)!r}. Name a folder outside.")


def listing_hash(path: Path) -> str:
    """Sixteen hexadecimal digits that follow from name, size and time of change of all files at a path."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    found = hashlib.sha256()
    for file in files:
        stat = file.stat()
        found.update(json.dumps([str(file.relative_to(path)), stat.st_size, stat.st_mtime_ns]).encode())
    return found.hexdigest()[:16]


def _is_hidden(name: Path) -> bool:
    return any(part.startswith((".", "_")) for part in name.parts)
