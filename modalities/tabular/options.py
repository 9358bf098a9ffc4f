"""Options that readers of files and of frames share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bam_core.data.column_names import NONE
from bam_core.data.decimals import Decimal
from bam_core.data.row_options import RowOptions
from bam_core.errors import InputError
from modalities.tabular.columns import Notation

Thousands = Literal[".", ",", " ", "'"]


@dataclass(frozen=True, kw_only=True)
class TableOptions(RowOptions):
    """See `read_table`; `only_features` says that no column is a label or the like, whatever it is called."""

    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    categorical: Sequence[str] = ()
    max_categories: int = 100
    max_unknown: float = 0.5
    unlabelled: Sequence[str | int] | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    na_values: Sequence[str | float] | None = None
    only_features: bool = False

    @property
    def names(self) -> dict[str, str | None]:
        """Role of a column -> its name, if it was said; roles that are not here are not looked for."""
        if self.only_features:
            return {}
        label = NONE if isinstance(self.label, list) else self.label
        return {"label": label, "group": self.group, "id": self.id, "split": self.split}

    @property
    def label_columns(self) -> Sequence[str]:
        """Columns of 0 and 1, one for every class."""
        return self.label if isinstance(self.label, list) else ()

    @property
    def notation(self) -> Notation:
        """How values are written, as far as it was said.

        Raises:
            InputError: one mark for decimals and thousands.
        """
        return notation(self.decimal, self.thousands, self.na_values)

    def checked(self) -> "TableOptions":
        """The same, after a look at options that contradict each other.

        Raises:
            InputError: one mark for decimals and thousands.
        """
        _ = self.notation
        return self

    def settings(self) -> dict[str, Any]:
        """All values; of the facts of a saved encoder its preprocessing."""
        return super().settings() | {"fitted": preprocessing_of(self.fitted)}


def preprocessing_of(fitted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those facts of a saved encoder that say how its training data were read."""
    return {} if fitted is None else {key: value for key, value in fitted.items() if key not in ("shape", "shapes")}


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
