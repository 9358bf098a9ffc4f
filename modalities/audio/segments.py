"""Columns of a table that say which parts of its files are meant."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bam_core.data.column_names import NONE, plain
from bam_core.errors import DataError
from modalities.audio.clips import Segment

_UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "ms": 1000, "msec": 1000, "milliseconds": 1000,
    "sample": None, "samples": None,
}  # fmt: skip
_NAMES = {1: "seconds", 1000: "milliseconds", None: "samples"}
_UNIT = f"(?P<unit>{'|'.join(_UNITS)})"
_STARTS = rf"t?(start|begin|onset)(time|at|pos)?{_UNIT}?"
_ENDS = rf"t?(end|stop)(time|at|pos)?{_UNIT}?"
_OFFSET = rf"offset(time)?{_UNIT}?"  # the end beside an onset, else the start
_DURATION = rf"(duration|dur|length){_UNIT}?"


class Times(NamedTuple):
    """Start and end of the part that each line means.

    Attributes:
        start: name of its column.
        end: name of the column of ends or durations, or None.
        unit: "seconds", "milliseconds" or "samples".
        per_second: how many of these are a second; None for samples.
        starts: (n,) None for whole files.
        ends: (n,) None for the end of the file.
    """

    start: str
    end: str | None
    unit: str
    per_second: float | None
    starts: list[float | None]
    ends: list[float | None]

    def segments(self, files: Sequence[Path]) -> list[Path | Segment]:
        """What to read of every file."""
        return [
            file if start is None and end is None else Segment(file, start or 0.0, end, self.per_second)
            for file, start, end in zip(files, self.starts, self.ends, strict=True)
        ]

    def ids(self, names: Sequence[str]) -> list[str]:
        """Names with start and end."""
        return [
            name if start is None and end is None else f"{name}@{start or 0:g}-{'' if end is None else f'{end:g}'}"
            for name, start, end in zip(names, self.starts, self.ends, strict=True)
        ]

    def note(self, n_files: int) -> str:
        """What is read, as a sentence."""
        parts = sum(start is not None or end is not None for start, end in zip(self.starts, self.ends, strict=True))
        columns = repr(self.start) + (f" and {self.end!r}" if self.end else "")
        return f"{columns} are times in {self.unit}: {parts:,} part(s) of {n_files:,} file(s) are read."


def find_times(
    frame: pd.DataFrame, start: str | None, end: str | None, source: str, *, taken: Collection[str | None] = ()
) -> Times | None:
    """Times by the names of their columns, or None if there are none.

    Args:
        frame: a table.
        start: its column of starts; None to look for it, "none" for whole files.
        end: the same for ends.
        source: the table, for messages.
        taken: columns that are something else.

    Raises:
        DataError: no such column, different units, or values that are no times.

    Example:
        >>> frame = pd.DataFrame({"Begin Time (s)": ["0.5", ""], "End Time (s)": ["2", ""]})
        >>> find_times(frame, None, None, "calls.csv").segments([Path("a.wav")] * 2)
        [Segment(path=PosixPath('a.wav'), start=0.5, end=2.0, per_second=1), PosixPath('a.wav')]
    """
    if start == NONE:
        return None
    names = [name for name in frame.columns if name not in taken]
    for wanted in (start, end):
        if wanted is not None and wanted != NONE and wanted not in frame:
            raise DataError(f"{source} has no column {wanted!r}; it has {', '.join(frame.columns)}.")
    begin = start or _find(names, _STARTS)
    has_onset = begin is not None
    begin = begin or _find(names, _OFFSET)
    if begin is None:
        return None
    until = end or _find(names, _ENDS) or (_find(names, _OFFSET) if has_onset else None)
    duration = None if until else _find(names, _DURATION)
    until = None if until == NONE else until
    units = {name: _unit(name) for name in (begin, until or duration) if name is not None}
    if len(set(units.values())) > 1:
        raise DataError(
            f"{source} expected start and end in the same unit; got "
            f"{', '.join(f'{name!r} in {_NAMES[unit]}' for name, unit in units.items())}."
        )
    per_second = units[begin]
    starts = _numbers(frame, begin, source)
    ends: list[float | None] = [None] * len(frame)
    if until is not None or duration is not None:
        ends = _numbers(frame, until or str(duration), source)
    if duration is not None:
        ends = [None if length is None else (at or 0) + length for at, length in zip(starts, ends, strict=True)]
    return Times(begin, until or duration, _NAMES[per_second], per_second, starts, ends)


def _find(names: Sequence[str], pattern: str) -> str | None:
    return next((name for name in names if re.fullmatch(pattern, plain(name))), None)


def _unit(name: str) -> int | None:
    in_brackets = re.search(r"[\[(]\s*(\w+)\s*[\])]", name.lower())
    usual = (re.fullmatch(pattern, plain(name)) for pattern in (_STARTS, _ENDS, _OFFSET, _DURATION))
    found = next((match["unit"] for match in usual if match), re.split(r"[\W_]+", name.lower())[-1])
    return _UNITS.get(in_brackets[1] if in_brackets else found or "s", 1)


def _numbers(frame: pd.DataFrame, column: str, source: str) -> list[float | None]:
    text = frame[column].astype("string").str.strip()
    text = text.mask(text == "")
    values = pd.to_numeric(text, errors="coerce")
    wrong = text[values.isna() & text.notna()]
    if len(wrong):
        raise DataError(
            f"column {column!r} of {source} expected numbers, times within a file; got {wrong.iloc[0]!r}. For whole "
            "files: start: none."
        )
    return [None if pd.isna(value) else float(value) for value in values]
