"""A table that is ready to be printed, whatever it is printed on."""

from itertools import groupby
from typing import NamedTuple


class Column(NamedTuple):
    """Head of a column: probe, part of the labels, number of labels; the last two are empty for label-free figures."""

    title: str
    share: str = ""
    n_labels: str = ""


class Cell(NamedTuple):
    """A number, its spread (as an interval where it is one; and in short), and whether none of its column is better."""

    value: str
    spread: str = ""
    short: str = ""
    best: bool = False


class TableView(NamedTuple):
    """A table ready to be printed.

    Attributes:
        title: the metric.
        columns: heads.
        rows: name of the features -> cells.
        footnotes: what the spreads are.
    """

    title: str
    columns: list[Column]
    rows: dict[str, list[Cell]]
    footnotes: list[str]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one title, and how many they are."""
        return [(title, len(list(part))) for title, part in groupby(column.title for column in self.columns)]
