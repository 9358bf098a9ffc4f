"""Rows in memory where otherwise a path stands: written into the folder of the run, and read from there."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from bam_core.api.recipes import RecipeLike, plain, recipe_of, short_name
from bam_core.config.registry import displayed, load_modality
from bam_core.errors import InputError
from bam_core.protocols import Modality
from bam_core.runs.stored_rows import store_rows


def in_memory(data: Any) -> bool:
    """Whether data are rows, and not a path or options of a reader."""
    return data is not None and not isinstance(data, str | PathLike | Mapping)


def split_options(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the data, written `data__NAME` or `data.NAME`, without that beginning; and all other overrides.

    Example:
        >>> split_options({"data__window": 20, "train": {"epochs": 5}})
        ({'window': 20}, {'train': {'epochs': 5}})
    """
    begins = ("data__", "data.")
    of_data = {
        key[len(begin) :]: value for key, value in overrides.items() for begin in begins if key.startswith(begin)
    }
    return of_data, {key: value for key, value in overrides.items() if not key.startswith(begins)}


def modality_of(recipe: RecipeLike, overrides: Mapping[str, Any], *, trusted: bool) -> tuple[Modality, str]:
    """The domain of a recipe, whose `data` may be missing, and what a run of it is called.

    Raises:
        RecipeError: no such recipe or domain, or mistakes.
    """
    if isinstance(recipe, Mapping) and "data" not in recipe and isinstance(recipe.get("modality"), str):
        return load_modality(recipe["modality"]), displayed(recipe["modality"]).partition(".")[0]
    found = recipe_of(recipe, overrides, trusted=trusted)
    return found.modality, short_name(recipe, found.recipe)


def on_rows(
    modality: Modality,
    recipe: RecipeLike,
    rows: Any,
    folder: Path,
    labels: Any,
    groups: Any,
    options: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> tuple[RecipeLike, dict[str, Any]]:
    """A recipe and overrides that read rows from the folder of the run, after writing them there.

    Raises:
        BAMError: see `store_rows`.
    """
    if "data" in overrides:
        raise InputError("data came twice, as rows and as options. Write options of rows as data__NAME=VALUE.")
    section = store_rows(modality, rows, folder, labels=labels, groups=groups, options=plain(options))
    if isinstance(recipe, Mapping) and "data" not in recipe:
        return {**recipe, "data": section}, dict(overrides)
    return recipe, {**overrides, **{f"data.{name}": value for name, value in section.items()}}


def data_options(
    modality: Modality,
    run_folder: Path,
    data: Any,
    labels: Any,
    groups: Any,
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Options of the reader for labelled data of a run; rows in memory are written into its folder.

    Args:
        modality: of the run.
        run_folder: of the run.
        data: path, options, rows, or None.
        labels: of rows.
        groups: of rows.
        options: further ones.
        facts: of the trained encoder.

    Raises:
        InputError: labels or groups of data that are not in memory, or rows without labels.
        BAMError: see `store_rows`.
    """
    if in_memory(data):
        if labels is None:
            raise InputError("rows in memory need labels to learn from: pass labels=..., one for each row.")
        return store_rows(
            modality, data, run_folder, labels=labels, groups=groups, options=options, facts=facts, several=True
        )
    if labels is not None or groups is not None:
        raise InputError(
            "labels and groups are those of rows in memory, data=ROWS. For files they are options of the reader, such "
            'as data={"label": "labels.csv:diagnosis"}.'
        )
    given = {"path": str(data)} if isinstance(data, str | PathLike) else dict(data or {})
    return {**plain(given), **options}
