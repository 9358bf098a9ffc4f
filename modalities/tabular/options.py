"""Options that readers of files and of frames share."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from bam_core.data.decimals import Decimal
from bam_core.errors import InputError
from modalities.tabular.columns import Notation

Thousands = Literal[".", ",", " ", "'"]


class Options(NamedTuple):
    """See `read_table`. Roles that have no name in `names` are not looked for."""

    names: Mapping[str, str | None]
    drop: Sequence[str]
    keep: Sequence[str]
    categorical: Sequence[str]
    max_categories: int
    max_unknown: float
    task: str | None
    unlabelled: Sequence[str | int] | None
    notation: Notation
    test_fraction: float
    seed: int
    fitted: Mapping[str, Any] | None
    label_columns: Sequence[str] = ()


def notation(decimal: Decimal | None, thousands: Thousands | None, na_values: Sequence[str | float] | None) -> Notation:
    """How values are written, as far as it was said; a point or comma between thousands says what decimals have.

    Raises:
        InputError: one mark for both.

    Example:
        >>> notation(None, ".", ["-99"])
        Notation(na_values=['-99'], decimal=',', guessed=None)
    """
    if decimal is not None and decimal == thousands:
        raise InputError(f"decimal and thousands expected different marks; both are {decimal!r}.")
    if decimal is None and thousands in (".", ","):
        decimal = "," if thousands == "." else "."
    return Notation(na_values or (), decimal)
