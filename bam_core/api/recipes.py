"""A recipe as people have it at hand: a name, a file, a mapping or a `Recipe`; and overrides as keywords."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bam_core.config.recipe import Resolved, load_recipe, recipe_of_values
from bam_core.config.registry import displayed
from bam_core.config.schema import Recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.errors import InputError

RecipeLike = str | PathLike[str] | Mapping[str, Any] | Recipe
"""Name of a shipped recipe, path of a YAML file, the sections as a mapping, or a `Recipe`."""


def recipe_of(recipe: RecipeLike, overrides: Mapping[str, Any], *, trusted: bool = False) -> Resolved:
    """Find and check a recipe.

    Args:
        recipe: see `RecipeLike`.
        overrides: see `override_texts`.
        trusted: run the Python files that a recipe file names. Those that a mapping names are the caller's own words.

    Raises:
        RecipeError: no such recipe, or mistakes in it; all are named.
        InputError: something else than a recipe.
    """
    texts = override_texts(overrides)
    if isinstance(recipe, Recipe):
        return recipe_of_values(recipe.model_dump(mode="json"), texts, trusted=True)
    if isinstance(recipe, Mapping):
        return recipe_of_values(plain(recipe), texts, trusted=True)
    if isinstance(recipe, str | PathLike):
        return load_recipe(find_recipe(str(recipe)), texts, trusted=trusted)
    raise InputError(
        "a recipe expected a name that bam recipes lists, the path of a YAML file, a mapping of sections or a Recipe; "
        f"got {type(recipe).__name__}."
    )


def short_name(recipe: RecipeLike, checked: Recipe) -> str:
    """What a run of it is called, where nobody says."""
    if isinstance(recipe, str | PathLike):
        return Path(recipe).stem
    return displayed(checked.modality).partition(".")[0]


def override_texts(overrides: Mapping[str, Any]) -> list[str]:
    """Overrides as the command line has them.

    Args:
        overrides: a section with some of its values, `train={"epochs": 5}`; or one value, `train__epochs=5` or
            `**{"train.epochs": 5}`. `data="FOLDER"` is its path.

    Example:
        >>> override_texts({"train": {"epochs": 5}, "views__mask_s": None, "data": Path("beats")})
        ['train.epochs=5', 'views.mask_s=null', 'data.path=beats']
    """
    texts = []
    for key, value in overrides.items():
        name = key.replace("__", ".", 1)
        if name == "data" and isinstance(value, str | PathLike):
            texts.append(f"data.path={written(value)}")
        elif isinstance(value, Mapping) and "." not in name:
            texts += [f"{name}.{option}={written(inner)}" for option, inner in value.items()]
        else:
            texts.append(f"{name}={written(value)}")
    return texts


def written(value: Any) -> str:
    """A value as YAML on one line.

    Example:
        >>> written(1e-5), written(["a", None]), written("007")
        ('1.0e-05', '[a, null]', "'007'")
    """
    text = yaml.safe_dump(plain(value), default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").rstrip("\n")


def plain(value: Any) -> Any:
    """Mappings, lists, numbers and texts of any kind as those of YAML; paths as texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, PathLike) else value
