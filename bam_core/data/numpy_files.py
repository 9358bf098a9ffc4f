"""NumPy files: opened without running code, and with messages that say what is wrong with them."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.errors import DataError

_BEGIN = {".npy": b"\x93NUMPY", ".npz": b"PK"}
_ERRORS = (ValueError, EOFError, OSError, zipfile.BadZipFile)


def open_numpy(path: Path) -> Any:
    """An .npy file as a memory-mapped array, or an .npz file as NumPy's mapping, to be closed.

    Raises:
        DataError: it is none, is broken, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(6)
        if not begin.startswith(_BEGIN[path.suffix]):
            raise ValueError(f"it begins with {begin!r}, as no {path.suffix} does")
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except _ERRORS as error:
        raise DataError(f"{path.name} is no readable NumPy file ({_reason(error)}).") from error


def member(file: Any, key: str, path: Path) -> np.ndarray:
    """One array of an .npz file.

    Raises:
        DataError: it is broken, or holds Python objects.
    """
    try:
        return texts(np.asarray(file[key]))
    except _ERRORS as error:
        raise DataError(f"array {key!r} of {path.name} cannot be read ({_reason(error)}).") from error


def texts(array: np.ndarray) -> np.ndarray:
    """Bytes as texts, other arrays as they are.

    Example:
        >>> texts(np.array([b"a", "ü".encode()])).tolist()
        ['a', 'ü']
    """
    return np.char.decode(array, errors="replace") if array.dtype.kind == "S" else array


def _reason(error: Exception) -> str:
    if any(word in str(error) for word in ("pickle", "Python objects")):
        return "it holds Python objects, and reading those could run code; save strings with .astype(str)"
    return str(error)
