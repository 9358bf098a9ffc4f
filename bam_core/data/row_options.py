"""The options that readers of all domains share, and the one place where rows are assigned to splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from bam_core.data.holdout import check_disjoint, hold_out, missing
from bam_core.data.splits import read_splits
from bam_core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """What a reader is told of its rows; the options of a domain inherit from these and add their own.

    Attributes:
        label: what holds the labels: a column, an array, a list of columns of 0 and 1; None to look for it.
        group: the same for what must stay together, such as a person.
        id: the same for names of the rows.
        split: the same for train, validation, test.
        task: what labels are, see `read_target`.
        test_fraction: part of the groups, or of every class or quantile, to hold out where no split is named; 0: none.
        seed: of that choice.
        fitted: facts of a saved encoder: new data are read as its training data were, all into "train".
    """

    label: str | list[str] | None = None
    group: str | None = None
    id: str | None = None
    split: str | None = None
    task: str | None = None
    test_fraction: float | int = 0.2
    seed: int = 0
    fitted: Mapping[str, Any] | None = None

    facts_used: ClassVar[Sequence[str]] = ("classes", "task")  # of a saved encoder

    def settings(self) -> dict[str, Any]:
        """All values, as settings of the cache; of the facts of a saved encoder those that rows depend on."""
        known = self.fitted
        used = None if known is None else {name: known[name] for name in self.facts_used if name in known}
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"fitted": used}

    def assign(
        self,
        n: int,
        named: Sequence[object] | np.ndarray | None,
        *,
        labels: np.ndarray | None,
        groups: Sequence[str] | np.ndarray | None,
        what: str = "row",
    ) -> np.ndarray:
        """The split of every row: as named; else a part is held out if there are labels.

        Args:
            n: number of rows.
            named: (n,) names of splits, as data call them (`val`, `dev`, ...); None or empty where that is open.
            labels: as `read_target` returns them; None if there are none.
            groups: (n,) what must stay together; None if nothing must.
            what: a row is, for messages.

        Returns:
            (n,) of "train", "validation" and "test".

        Raises:
            DataError: splits of some rows only, another name of a split, a group in two splits, or too little to hold
                out.

        Example:
            >>> options = RowOptions(test_fraction=0.5)
            >>> options.assign(4, None, labels=np.array([0, 0, 1, 1]), groups=None).tolist()
            ['test', 'train', 'test', 'train']
            >>> options.assign(3, ["train", "dev", "test"], labels=None, groups=None).tolist()
            ['train', 'validation', 'test']
        """
        if self.fitted is not None:
            return np.full(n, "train")
        is_open = [] if named is None else missing(named).tolist()
        if named is not None and not all(is_open):
            if any(is_open):
                raise DataError(f"split expected a value for every {what}; {sum(is_open)} of {n} have none.")
            parts = np.array(read_splits(named, what))
        elif labels is not None and self.test_fraction:
            held_out = hold_out(n, self.test_fraction, seed=self.seed, labels=labels, groups=groups)
            parts = np.where(held_out, "test", "train")
        else:
            parts = np.full(n, "train")
        if groups is not None:
            check_disjoint(parts.tolist(), list(groups))
        return parts
