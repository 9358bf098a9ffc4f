"""Labelled data for a run: its own, its own with other options, or other data of the domain."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from bam_core.config.build import read_data
from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.data.holdout import hold_out
from bam_core.errors import DataError
from bam_core.labels.strata import is_real
from bam_core.probes.inputs import SplitLabels, labelled
from bam_core.runs.baselines import split_labels
from bam_core.runs.new_data import read_files
from bam_core.runs.pretrained import PretrainedEncoder

OF_LABELS = ("classes", "task")
"""Facts that say what the labels are."""
TEST_FRACTION = 0.2


def labelled_data(
    recipe: Resolved, encoder: PretrainedEncoder, options: Mapping[str, Any], *, seed: int
) -> PreparedData:
    """Read labelled data, scaled as the encoder's training data were, with a test split.

    Args:
        recipe: of the run.
        encoder: of the run.
        options: of the reader, over those of the recipe; with `path` other data, and with `test_path` their test split.
        seed: of a test split that is drawn, by group where there are groups; of 20 %.

    Raises:
        DataError: no labels in train or test, or other data than the encoder takes.
        RecipeError: no such option.
    """
    if "path" in options:
        data = _other(recipe, encoder, options)
    else:
        data = read_data(recipe.changed("data", data={**recipe.recipe.data, **options}) if options else recipe)
        differing = _differing(data.facts, encoder.facts)
        if differing:
            raise DataError(
                f"the encoder expected data that are prepared as its training data were; with these options they have "
                f"other {', '.join(differing)}. A label must not be a column that the encoder was trained on."
            )
    return with_test_split(data, seed)


def labels_of(data: PreparedData) -> SplitLabels:
    """Labels and groups of all splits.

    Raises:
        DataError: none in train or in test.
    """
    labels = split_labels(data)
    for split in ("train", "test"):
        if labels is None or not labelled(getattr(labels, split)).any():
            raise DataError(
                f"fine-tuning expected labels in {split}; there are none. Say where they are by options of the reader, "
                "such as data.label=COLUMN, or for WFDB records data.label=TABLE.csv:COLUMN."
            )
    return labels  # type: ignore[return-value]


def _other(recipe: Resolved, encoder: PretrainedEncoder, options: Mapping[str, Any]) -> PreparedData:
    """Data from elsewhere: every row of `path` is of train, or as it says itself; those of `test_path` are of test."""
    given = dict(options)
    path, test = Path(str(given.pop("path"))), given.pop("test_path", None)
    facts = {name: value for name, value in encoder.facts.items() if name not in OF_LABELS} | {"classes": None}
    data = read_files(recipe, encoder, path.expanduser(), given, fitted=facts)
    if test is None:
        return data
    known = {**facts, **{name: data.facts[name] for name in OF_LABELS if name in data.facts}}
    other = read_files(recipe, encoder, Path(str(test)).expanduser(), given, fitted=known)
    parts = {"train": [*data.splits.values()], "test": [*other.splits.values()]}
    return replace(
        data,
        splits={split: datasets.concatenate_datasets(rows) for split, rows in parts.items()},
        set_aside=[*data.set_aside, *other.set_aside],
        notes=[*dict.fromkeys([*data.notes, *other.notes])],
        fingerprint=f"{data.fingerprint}-{other.fingerprint}",
    )


def with_test_split(data: PreparedData, seed: int) -> PreparedData:
    """The same with a fifth of train as test, by group where there are groups, unless there is a test split.

    Raises:
        DataError: one group only, or too few rows.
    """
    if "test" in data.splits or data.labels("train") is None:
        return data
    rows, labels, groups = data.splits["train"], data.labels("train"), data.groups("train")
    held_out = hold_out(len(rows), TEST_FRACTION, seed=seed, labels=labels, groups=groups)
    by = "class" if groups is None else "group"
    if labels is not None and groups is None and is_real(labels):
        by = "quantile"
    note = f"{TEST_FRACTION * 100:g} % of the rows are held out as test, by {by}, since the data have no test split."
    splits = {
        **data.splits,
        "train": rows.select(np.flatnonzero(~held_out)),
        "test": rows.select(np.flatnonzero(held_out)),
    }
    return replace(data, splits=splits, notes=[*data.notes, note])


def _differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Facts that are not the same, those of labels and of lengths aside."""
    aside = {*OF_LABELS, "longest"}
    return [name for name, value in expected.items() if name not in aside and name in found and found[name] != value]
