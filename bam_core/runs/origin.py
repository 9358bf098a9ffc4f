"""Where rows to be embedded come from: their split, and whether the encoder was trained on them."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch

from bam_core.config.build import read_data
from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData, SplitDataset
from bam_core.data.prepared import ABOUT, HASHED_ROWS
from bam_core.errors import BAMError

MOST_FILES = 200_000  # of a split, that are opened for the comparison


class _Place(NamedTuple):
    split: str
    id: str


class Training(NamedTuple):
    """Where the data of a run hold which values.

    Attributes:
        recipe: of the run.
        places: digest of a row -> splits and names of the rows that hold the same; empty where that is not known.
        problem: why it is not known.
        asked: whether anybody wants to know.
    """

    recipe: Resolved
    places: Mapping[bytes, Sequence["_Place"]]
    problem: str = ""
    asked: bool = True

    @classmethod
    def unknown(cls, recipe: Resolved) -> "Training":
        """Nothing is looked up, and no column added."""
        return cls(recipe, {}, asked=False)

    @classmethod
    def of(cls, recipe: Resolved) -> "Training":
        """Look through the run's own data, if they are where they were."""
        try:
            return cls(recipe, _places_of_training(recipe))
        except (BAMError, OSError) as error:
            return cls(recipe, {}, str(error))

    def mark(self, data: PreparedData) -> PreparedData:
        """Add the columns `split` and `seen_in_training` to rows.

        `split` is the one of the run's own data that holds the row, None for new rows; `seen_in_training` says whether
        a row of train holds the same values. Where the training data cannot be looked at both are missing, and a note
        says why.

        Args:
            data: that were read for the run's encoder.
        """
        if not self.asked:
            return data
        types = {"split": datasets.Value("string"), "seen_in_training": datasets.Value("bool")}
        splits = {}
        for name, rows in data.splits.items():
            columns = datasets.Dataset.from_dict(self._columns(rows, data.facts), features=datasets.Features(types))
            plain = rows.select_columns([column for column in rows.column_names if column not in types])
            splits[name] = datasets.concatenate_datasets([plain, columns], axis=1)
        notes = list(data.notes)
        if self.problem:
            notes.append(f"split and seen_in_training are empty: the training data cannot be looked at. {self.problem}")
        return replace(data, splits=splits, notes=notes)

    def _columns(self, rows: datasets.Dataset, facts: Mapping[str, Any]) -> dict[str, list[Any]]:
        if self.problem:
            return {"split": [None] * len(rows), "seen_in_training": [None] * len(rows)}
        found = [self.places.get(digest, ()) for digest in row_digests(rows, self.recipe, facts)]
        ids = [str(one) for one in rows["id"]] if "id" in rows.column_names else [""] * len(rows)
        return {
            "split": [_split(places, one) for places, one in zip(found, ids, strict=True)],
            "seen_in_training": [any(place.split == "train" for place in places) for places in found],
        }


def _split(places: Sequence["_Place"], name: str) -> str | None:
    """Of a row: of several that hold the same values, that of the same name, else train."""
    if not places:
        return None
    same = [place.split for place in places if place.id == name]
    found = same or [place.split for place in places]
    return "train" if "train" in found else found[0]


def row_digests(rows: datasets.Dataset, recipe: Resolved, facts: Mapping[str, Any]) -> Iterator[bytes]:
    """Sixteen bytes for every row, which follow from its values.

    Args:
        rows: a split.
        recipe: whose modality reads them.
        facts: of the data.
    """
    if _hold_values(rows):
        names = sorted(set(rows.column_names) - set(ABOUT))
        for part in rows.select_columns(names).with_format("numpy").iter(HASHED_ROWS):
            for row in zip(*(part[name] for name in names), strict=True):
                yield _digest(map(np.asarray, row))
    else:
        dataset = SplitDataset(rows, recipe.modality.collate, facts)
        for index in range(len(dataset)):  # alone: a batch may be padded
            leaves: Callable[[Any], list[Any]] = torch.utils._pytree.tree_leaves
            yield _digest(np.asarray(leaf) for leaf in leaves(dataset.__getitems__([index])))


def _hold_values(rows: datasets.Dataset) -> bool:
    """Whether rows hold the inputs, and not only the places in files where these are."""
    kinds = [kind for name, kind in rows.features.items() if name not in ABOUT]
    return any(not isinstance(kind, datasets.Value) or "binary" in kind.dtype for kind in kinds)


def _digest(values: Any) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for value in values:
        found.update(repr(value.tolist()).encode() if value.dtype.kind in "OUS" else value.tobytes())
        found.update(b"|")
    return found.digest()


def _places_of_training(recipe: Resolved) -> dict[bytes, list[_Place]]:
    """Where the run's own data hold which values.

    Raises:
        BAMError: the reader says why not.
        OSError: there are no such files any more, or too many to be opened.
    """
    path = recipe.reader.options.get("path")
    if path is not None and not Path(str(path)).expanduser().exists():
        raise OSError(f"There is nothing at {str(path)!r}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the run was trained
        data = read_data(recipe)
    found: dict[bytes, list[_Place]] = {}
    for split, rows in data.splits.items():
        if not _hold_values(rows) and len(rows) > MOST_FILES:
            raise OSError(f"{len(rows):,} files are more than the {MOST_FILES:,} that are opened for this.")
        for name, digest in zip(rows["id"], row_digests(rows, recipe, data.facts), strict=True):
            found.setdefault(digest, []).append(_Place(split, str(name)))
    return found
