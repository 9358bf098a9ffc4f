"""Columns of wide tables whose names are numbered: the order of time, and channels, such as acc_0, acc_1, gyr_0."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bam_core.errors import DataError

_NUMBERED = re.compile(r"(?P<name>.*?)[ _.\-\[(]*(?P<number>\d+)[\])]?")


class Order(NamedTuple):
    """How columns become channels.

    Attributes:
        columns: of every channel, in the order of time.
        channels: their names; None if there is one.
        note: what is to be said; None if columns stand as usual.
    """

    columns: list[list[str]]
    channels: list[str] | None
    note: str | None


def order_columns(names: Sequence[str]) -> Order:
    """Columns by the numbers in their names, if all have one; else as they stand.

    Example:
        >>> order_columns(["t0", "t1", "t10", "t2"]).columns
        [['t0', 't1', 't2', 't10']]
        >>> order_columns(["acc_0", "acc_1", "gyr_0", "gyr_1"])[:2]
        ([['acc_0', 'acc_1'], ['gyr_0', 'gyr_1']], ['acc', 'gyr'])
        >>> order_columns(["t-10", "t-9", "t-8"]).columns
        [['t-10', 't-9', 't-8']]
        >>> order_columns(["0.5", "0.0"]).columns
        [['0.5', '0.0']]
    """
    as_usual = Order([list(names)], None, None)
    found = [_NUMBERED.fullmatch(name) for name in names]
    if any(match is None or not match["name"].strip("0123456789. +-") for match in found):
        return as_usual
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, match in zip(names, found, strict=True):
        if match is not None:
            groups.setdefault(match["name"], []).append((int(match["number"]), name))
    if all(len(group) > 1 and group == sorted(group, reverse=True) for group in groups.values()):
        return as_usual  # lags: t-3, t-2, t-1
    numbers = {tuple(sorted(number for number, _ in group)) for group in groups.values()}
    if len(numbers) > 1 or len(set(next(iter(numbers)))) < max(2, len(names) // len(groups)):
        return as_usual
    columns = [[name for _, name in sorted(group)] for group in groups.values()]
    if len(groups) == 1:
        if columns[0] == list(names):
            return as_usual
        return Order(columns, None, f"Columns {names[0]}, {names[1]}, ... are taken in the order of their numbers.")
    listed = ", ".join(groups)
    steps = len(columns[0])
    return Order(columns, list(groups), f"Numbered columns are the channels {listed}, of {steps} steps each.")


class Channels(NamedTuple):
    """Series (n, c, t) of a wide table, the names of their channels if they have some, and what is to be said."""

    signals: np.ndarray
    names: list[str] | None
    notes: list[str]


def channels_of(frame: pd.DataFrame, source: str, expected: Sequence[str] | None = None) -> Channels:
    """The series of a wide table of numbers, a series a row.

    Args:
        frame: columns of values.
        source: what the table is called in messages.
        expected: names and order of the channels that an encoder was trained on, if they have names.

    Raises:
        DataError: other channels than expected.
    """
    order = order_columns(list(frame.columns))
    columns, names = order.columns, order.channels
    if names is not None and expected is not None:
        check_channels(source, names, expected)
        columns, names = [columns[names.index(name)] for name in expected], list(expected)
    signals = np.stack([frame[steps].to_numpy(np.float64) for steps in columns], axis=1)
    return Channels(signals, names, [] if order.note is None else [f"{source}: {order.note}"])


def check_channels(source: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """See to it that channels with names are those of training.

    Raises:
        DataError: they are not.
    """
    if set(expected) != set(found):
        raise DataError(
            f"{source} expected the channels {', '.join(expected)}, as the encoder was trained on; it has "
            f"{', '.join(found)}."
        )
