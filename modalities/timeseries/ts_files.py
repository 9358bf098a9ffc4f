"""The .ts format of aeon, sktime and the UEA archive: a header of @ lines, then one series a line.

    @problemName JapaneseVowels
    @univariate false
    @classLabel true 1 2 3
    @data
    1.86,1.89,?:0.20,0.25,0.27:2

Channels are divided by colons, values by commas, `?` or NaN is a missing value, and the label comes last.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bam_core.errors import DataError


class TSFile(NamedTuple):
    """What a .ts file holds.

    Attributes:
        series: (c, t) arrays, NaN where missing, of any lengths.
        labels: of these series, None where missing; None if the file has no classes.
        lines: numbers of their lines in the file.
        broken: line number -> why it could not be used.
        are_targets: whether labels are numbers to be predicted.
    """

    series: list[np.ndarray]
    labels: list[str | None] | None
    lines: list[int]
    broken: dict[int, str]
    are_targets: bool = False


def read_ts(path: Path) -> TSFile:
    """Read a .ts file; lines that cannot be used are named, not raised.

    Raises:
        DataError: there is no `@data`, or values carry time stamps.

    Source: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
    """
    header: dict[str, str] = {}
    file = TSFile([], [], [], {})
    has_label = has_target = in_data = False
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith(("#", "%")):
                continue
            if in_data:
                _add_line(file, number, text, has_label or has_target)
                continue
            key, _, value = text.partition(" ")
            header[key.lower()] = value.strip().lower()
            in_data = key.lower() == "@data"
            has_label = header.get("@classlabel", "").startswith("true")
            has_target = header.get("@targetlabel", "").startswith("true")
    if not in_data:
        raise DataError(f"{path.name} is no .ts file: it has no line @data.")
    if header.get("@timestamps", "").startswith("true"):
        raise DataError(
            f"{path.name} has time stamps, which are not read from .ts files. Write it as a table with the columns id, "
            "time and values, for the reader 'long'."
        )
    _set_aside_other_channels(file)
    if has_target:
        return file._replace(are_targets=True)
    return file if has_label else file._replace(labels=None)


def _add_line(file: TSFile, number: int, text: str, last_is_label: bool) -> None:
    parts = text.split(":")
    label = parts.pop().strip() if last_is_label else ""
    try:
        channels = [_numbers(part) for part in parts]
    except ValueError as error:
        file.broken[number] = str(error)
        return
    longest = max((len(channel) for channel in channels), default=0)
    if not longest:
        file.broken[number] = "holds no values" + (" besides the label" if last_is_label else "")
        return
    series = np.full((len(channels), longest), np.nan)
    for row, channel in zip(series, channels, strict=True):
        row[: len(channel)] = channel
    file.series.append(series)
    file.lines.append(number)
    if file.labels is not None:
        file.labels.append(None if label in ("", "?") else label)


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")] if text.strip() else []
    except ValueError:
        return [np.nan if value.strip() in ("?", "") else _number(value) for value in text.split(",")]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected numbers; got {text.strip()[:40]!r}") from None


def _set_aside_other_channels(file: TSFile) -> None:
    counts = [len(series) for series in file.series]
    usual = max(set(counts), key=counts.count, default=0)
    for index in reversed([i for i, count in enumerate(counts) if count != usual]):
        file.broken[file.lines.pop(index)] = f"has {counts[index]} channels; most lines have {usual}"
        del file.series[index]
        if file.labels:
            del file.labels[index]
