"""What a reader returns: splits of rows, facts about them, and what was guessed, mended or left out.

Columns of every split: the inputs (named by the modality, `signal` for sampled signals), `id`, and where known
`label` (int64, -1 for none; a row of 0/1 for multi-label data; or float64, NaN for none, for regression) and `group`
(whose rows must stay together: the person, the machine, the recording). Rows that are parts of records have `record`,
its name, and where the part begins and ends in it: `start_s` and `end_s`, or without a sampling rate `start_step` and
`end_step`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import torch

from bam_core.errors import DataError
from bam_core.labelled_views import with_labels

PLACE = ("record", "start_s", "end_s", "start_step", "end_step")
ABOUT = ("id", *PLACE, "split", "seen_in_training", "group", "label")
"""Columns about rows, which no network sees."""

HASHED_ROWS = 1024  # at a time; part of the definition of the hashes
ACCOUNTED = 3  # inputs left out that are named on the screen


class SetAside(NamedTuple):
    """An input that could not be used, and why; it is named in the run's report."""

    source: str
    reason: str


def listed(set_aside: Sequence[SetAside], most: int = 10) -> str:
    """One line for each of the first, and how many more there are; for messages.

    Example:
        >>> print(listed([SetAside("a.wav", "is silent"), SetAside("b.wav", "is empty")], 1))
        <BLANKLINE>
          a.wav: is silent
          ... and 1 more
    """
    lines = [f"{source}: {reason}" for source, reason in set_aside[:most]]
    lines += [f"... and {len(set_aside) - most} more"] * (len(set_aside) > most)
    return "".join(f"\n  {line}" for line in lines)


def account(
    sizes: Mapping[str, int], *, notes: Sequence[str], repairs: Mapping[str, int], set_aside: Sequence[SetAside]
) -> str:
    """What was read, guessed, mended and left out, for people to read.

    Args:
        sizes: rows of every split.
        notes: see `PreparedData`, as for the others.
        repairs: as there.
        set_aside: as there.
    """
    shown = ", ".join(f"{split} {size:,}" for split, size in sizes.items())
    lines = [f"Data: {sum(sizes.values()):,} rows ({shown})."]
    lines += [f"  Note: {note}" for note in notes]
    lines += [f"  Mended: {kind}: {count:,}" for kind, count in repairs.items()]
    if set_aside:
        named = listed(set_aside, ACCOUNTED).replace("\n", "\n  ")
        lines.append(f"  Left out: {len(set_aside):,} input(s):{named}")
    return "\n".join(lines)


@dataclass(frozen=True)
class PreparedData:
    """The result of a reader.

    Attributes:
        splits: "train", and where the data has them "validation" and "test": memory-mapped Hugging Face data sets.
        facts: plain JSON values about the data, such as `shape`, `in_channels`, `sampling_rate_hz`, `classes`.
        set_aside: inputs left out, with reasons.
        repairs: kind of repair -> number of inputs mended that way.
        notes: what the reader had to guess or choose, a sentence each.
        fingerprint: identifies files and settings.
        names: of the inputs in memory, in order, if they are not just counted: of the series in a long DataFrame.
    """

    splits: Mapping[str, datasets.Dataset]
    facts: Mapping[str, Any] = field(default_factory=dict)
    set_aside: Sequence[SetAside] = ()
    repairs: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    fingerprint: str = ""
    names: Sequence[str] = ()

    def account(self) -> str:
        """What was read, guessed, mended and left out, for people to read; `bam pretrain` and `bam embed` print it.

        Example:
            >>> rows = datasets.Dataset.from_dict({"id": ["a", "b"]})
            >>> data = PreparedData({"train": rows}, repairs={"gaps filled": 3}, notes=["Column 'x' is the id."])
            >>> print(data.account())
            Data: 2 rows (train 2).
              Note: Column 'x' is the id.
              Mended: gaps filled: 3
        """
        sizes = {split: len(rows) for split, rows in self.splits.items()}
        return account(sizes, notes=self.notes, repairs=self.repairs, set_aside=self.set_aside)

    def column(self, split: str, name: str) -> np.ndarray | None:
        """A whole column of a split as an array, or None if the data has none."""
        rows = self.splits[split]
        return np.asarray(rows.with_format("numpy")[name][:]) if name in rows.column_names else None

    def labels(self, split: str) -> np.ndarray | None:
        """(n,) int64 class indices, -1 for none; (n, k) 0/1, several a row; (n,) float64, NaN for none; or None."""
        rows = self.splits[split]
        if rows.features.get("label") == datasets.Value("float64"):  # the format "numpy" makes float32 of it
            return np.asarray(rows.select_columns("label").with_format("arrow")[:]["label"])
        return self.column(split, "label")

    def groups(self, split: str) -> np.ndarray | None:
        """(n,) group names, or None."""
        return self.column(split, "group")

    def content_hash(self) -> str:
        """Sixteen hexadecimal digits that follow from the rows and facts alone, wherever the files lie.

        Names of rows and records are left out, since they may be paths.
        """
        found = hashlib.sha256(json.dumps(dict(self.facts), sort_keys=True).encode())
        for split, rows in sorted(self.splits.items()):
            kept = rows.select_columns(sorted(set(rows.column_names) - {"id", *PLACE}))
            found.update(f"{split} {len(kept)} {kept.features}".encode())
            for part in kept.with_format("arrow").iter(HASHED_ROWS):
                for name in kept.column_names:
                    for batch in pa.table({name: part[name].combine_chunks()}).to_batches():
                        found.update(batch.serialize())
        return found.hexdigest()[:16]

    def rows_hash(self) -> str:
        """Sixteen hexadecimal digits that follow from which row is in which split, with its label and group.

        Inputs are not read, so it is quick; and wherever the files lie, it is the same.
        """
        found = hashlib.sha256()
        for split, rows in sorted(self.splits.items()):
            kept = rows.select_columns(sorted({"id", "label", "group"} & set(rows.column_names)))
            for part in kept.with_format("arrow").iter(HASHED_ROWS):
                found.update(json.dumps([split, part.to_pydict()], default=str).encode())
        return found.hexdigest()[:16]

    @property
    def multi_label(self) -> bool:
        """Whether a row can carry several labels."""
        label = self.splits["train"].features.get("label")
        return label is not None and not isinstance(label, datasets.Value)


class SplitDataset(torch.utils.data.Dataset[Any]):
    """Rows of one split as batches for a modality: `__getitems__` fetches many rows at once.

    Use it with a DataLoader whose `collate_fn` is the identity.

    Args:
        rows: one of `PreparedData.splits`.
        collate: `Modality.collate`.
        facts: `PreparedData.facts`.
        labels: of the rows, for batches `bam_core.labelled_views.with_labels`; None for batches without.

    Raises:
        DataError: the split is empty.
    """

    def __init__(
        self,
        rows: datasets.Dataset,
        collate: Callable[..., Any],
        facts: Mapping[str, Any],
        labels: np.ndarray | None = None,
    ) -> None:
        if len(rows) == 0:
            raise DataError("a split expected at least one row; got none.")
        keep = [name for name in rows.column_names if name not in ABOUT]
        self.rows = rows.select_columns(keep).with_format("numpy")
        self.collate = collate
        self.facts = facts
        self.labels = labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self._labelled(self.collate(self.rows[list(indices)], self.facts), indices)

    def _labelled(self, batch: Any, indices: Sequence[int]) -> Any:
        return batch if self.labels is None else with_labels(batch, torch.from_numpy(self.labels[list(indices)]))

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])


class DrawnDataset(SplitDataset):
    """Rows of train as views want them that draw where data are read, such as crops of large images.

    Args:
        rows: as in `SplitDataset`.
        load: (columns, facts, *, rows, seed) -> batch; what is random follows from seed and row.
        facts: as in `SplitDataset`.
        seed: the numbers that the draws follow from; asked for when a batch is read.
        labels: as in `SplitDataset`.
    """

    def __init__(
        self,
        rows: datasets.Dataset,
        load: Callable[..., Any],
        facts: Mapping[str, Any],
        seed: Callable[[], Sequence[int]],
        labels: np.ndarray | None = None,
    ) -> None:
        super().__init__(rows, load, facts, labels)
        self.seed = seed

    def __getitems__(self, indices: Sequence[int]) -> Any:
        batch = self.collate(self.rows[list(indices)], self.facts, rows=list(indices), seed=self.seed())
        return self._labelled(batch, indices)
