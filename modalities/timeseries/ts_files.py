"""The .ts format of aeon, sktime and the UEA archive: a header of @ lines, then one series a line.

    @problemName JapaneseVowels
    @univariate false
    @classLabel true 1 2 3
    @data
    1.86,1.89,?:0.20,0.25,0.27:2

Channels are divided by colons, values by commas, `?` or NaN is a missing value, and the label comes last. Words of the
header are known in any case, with underscores or a plural, and divided by blanks, tabs or a colon.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bam_core.errors import DataError

_PLURALS = {"@classlabels": "@classlabel", "@targetlabels": "@targetlabel", "@timestamp": "@timestamps"}


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
        DataError: there is no `@data`, values carry time stamps, or the header does not say what the last value of
            every line is.

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
            key, value = (*re.split(r"[\s:=]+", text.lower(), maxsplit=1), "")[:2]
            key = key.replace("_", "").replace("-", "")
            header[_PLURALS.get(key, key)] = value.strip()
            in_data = key == "@data"
            has_label = header.get("@classlabel", "").startswith("true")
            has_target = header.get("@targetlabel", "").startswith("true")
    if not in_data:
        raise DataError(f"{path.name} is no .ts file: it has no line @data.")
    if header.get("@timestamps", "").startswith("true"):
        raise DataError(
            f"{path.name} has time stamps, which are not read from .ts files. Write it as a table with the columns id, "
            "time and values, for the reader 'long'."
        )
    if not has_label and not has_target:
        _check_unlabelled(file, header, path.name)
    _set_aside_other_channels(file)
    if has_target:
        return file._replace(are_targets=True)
    return file if has_label else file._replace(labels=None)


def _check_unlabelled(file: TSFile, header: Mapping[str, str], name: str) -> None:
    """See to it that lines without labels have none.

    Raises:
        DataError: the last part of every line is one value, as labels are, and the header does not say that it is none.
    """
    channels = {len(series) for series in file.series}
    ends = [series for series in file.series if np.isfinite(series[-1]).sum() == 1]
    if min(channels, default=1) < 2 or len(ends) < len(file.series) or all(one.shape[1] == 1 for one in ends):
        return
    says_one_more = header.get("@univariate", "").startswith("true")
    if says_one_more or header.get("@dimensions", "") == str(min(channels) - 1) or "@classlabel" not in header:
        raise DataError(
            f"{name} has one value after the last colon of every line, as a label is, and no line @classLabel or "
            "@targetLabel that says so. Add `@classLabel true 1 2`, or `@targetLabel true` for numbers."
        )


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
