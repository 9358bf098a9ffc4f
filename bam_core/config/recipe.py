"""Recipes: what to run, as YAML; checked as a whole, with all mistakes named at once, and everything named found once.

A recipe's `data`, `views`, `encoder` and `objective` sections are the keyword arguments of the function that they
name; so a modality or an objective of a third party brings its own keys, and typos in them are found as well.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bam_core.config.options import Named, describe, find_changes, find_named
from bam_core.config.registry import anchored, load_modality, load_objective
from bam_core.config.schema import Recipe, TrainSettings
from bam_core.config.terms import AddedTerm, find_terms
from bam_core.config.trust import check_trusted, files_in
from bam_core.errors import BAMError, RecipeError
from bam_core.labelled_views import needs_labels
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.protocols import Modality
from bam_core.views import accepts_keyword

ROWS = "rows"  # folder in a run folder with the rows that were in memory
_BESIDE = {"views": ("changes",), "encoder": ("weights",)}  # keys of a section that are not its function's


@dataclass(frozen=True)
class Resolved:
    """A checked recipe, and what its names stand for.

    Attributes:
        recipe: the plain values.
        modality: the adapter of the domain.
        reader: of the modality, with its options; like the next two.
        views: make views of a batch.
        encoder: the network.
        changes: of one's own, that views go through after those of the modality (`views.changes`).
        weights: that the encoder starts from (`encoder.weights`); None: drawn anew.
        objective: the factory that recipes name in `objective.name`, with its options.
        terms: that recipes add to it in `objective.terms`.
    """

    recipe: Recipe
    modality: Modality
    reader: Named
    views: Named
    encoder: Named
    objective: Named
    changes: tuple[Named, ...] = ()
    weights: Path | None = None
    terms: tuple[AddedTerm, ...] = ()

    @property
    def needs_labels(self) -> bool:
        """Whether the objective or a term of it learns from labels."""
        return any(needs_labels(part.factory) for part in (self.objective, *(added.term for added in self.terms)))

    @property
    def train(self) -> TrainSettings:
        """How long, how fast and on what."""
        return self.recipe.train

    @property
    def evaluate(self) -> EvaluationProtocol:
        """Probes on the frozen embeddings."""
        return self.recipe.evaluate

    def objective_with_defaults(self) -> dict[str, Any]:
        """Name, options and the defaults of all others, as plain values, and the terms that are added."""
        added = [{**added.plain(), **added.term.with_defaults()} for added in self.terms]
        return {**self.objective.with_defaults(), **({"terms": added} if added else {})}

    def changed(self, where: str = "recipe", **sections: Any) -> "Resolved":
        """The same with other sections, checked; of `train` and `evaluate` the values that are given.

        Args:
            where: the sections come from, for messages.
            **sections: `data`, `views`, `encoder`, `objective` whole; `train` and `evaluate` in part.

        Raises:
            RecipeError: names every mistake.
        """
        plain = self.recipe.model_dump()
        for name, section in sections.items():
            plain[name] = {**plain[name], **section} if name in ("train", "evaluate") else dict(section)
        return check_recipe(plain, where=where, modality=self.modality)


def load_recipe(path: Path, overrides: Iterable[str] = (), *, trusted: bool = False) -> Resolved:
    """Read a recipe file, apply `key=value` overrides and check everything.

    `file.py:NAME` of any part, and `encoder.weights`, are looked for beside the recipe, then in the current folder; the
    recipe that comes back has the absolute path.

    Args:
        path: of a YAML file.
        overrides: such as `train.epochs=5` or `views.mask_s=null`; values are YAML. `objective.name=simclr` in a
            recipe with another objective drops the options that the recipe gives to that one; those given by further
            overrides stay. `data.reader=arrays` does so with those of another reader.
        trusted: run the Python files that the recipe names, also those that `bam_core.config.trust` does not know.
            Those that overrides name are the user's own words, and run.

    Returns:
        The recipe, with options converted to the types they should have, and what it names.

    Raises:
        RecipeError: names every mistake, with the nearest known key; or a Python file that is not trusted.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe {str(path)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe {str(path)!r} expected text in UTF-8; got something else ({error}).") from error
    except RecursionError as error:
        raise RecipeError(f"recipe {str(path)!r} expected sections; it is nested too deeply to be one.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {str(path)!r} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"recipe {str(path)!r} expected a mapping of sections; got {type(raw).__name__}.")
    return recipe_of_values(raw, overrides, where=f"recipe {str(path)!r}", folder=path.parent, trusted=trusted)


def recipe_of_values(
    values: Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    where: str = "recipe",
    folder: Path = Path(),
    trusted: bool = False,
) -> Resolved:
    """The same for the plain values of a recipe.

    Args:
        values: as in a file.
        overrides: see `load_recipe`.
        where: the values are from, for messages.
        folder: where Python files that they name are looked for, before the current one.
        trusted: see `load_recipe`.

    Raises:
        RecipeError: as there.
    """
    problems: list[str] = []
    overrides = list(overrides)
    raw = copy.deepcopy(dict(values))
    named = files_in(_with_files_of(folder, raw))
    _drop_options_of_others(raw, overrides)
    for override in overrides:
        problems += _apply(raw, override)
    raw = _with_rows_of(folder, _with_weights_of(folder, _with_files_of(folder, raw)))
    still = files_in(raw)
    check_trusted([name for name in named if name in still], where=where, trusted=trusted)
    return check_recipe(raw, where=where.removeprefix("recipe ").strip("'\""), problems=problems)


def check_recipe(
    raw: Mapping[str, Any],
    *,
    where: str = "recipe",
    problems: Iterable[str] = (),
    modality: Modality | None = None,
) -> Resolved:
    """Check the plain values of a recipe and find what it names; see `load_recipe`.

    A modality may be given instead of being found by name.
    """
    found = list(problems)
    raw = _flat(raw)
    named: dict[str, Named | None] = {}
    beside: dict[str, dict[str, Any]] = {}
    modality = modality or _modality(raw, found)
    if modality is not None:
        tables = (("data", "reader", modality.readers), ("views", "name", modality.views))
        for section, key, known in (*tables, ("encoder", "name", modality.encoders)):
            options = raw.get(section)
            if isinstance(options, Mapping):
                beside[section] = {name: options[name] for name in _BESIDE.get(section, ()) if name in options}
                options = {name: value for name, value in options.items() if name not in beside[section]}
            named[section] = find_named(section, key, options, known, found)
    objective = raw.get("objective", {})
    added: tuple[AddedTerm, ...] = ()
    if isinstance(objective, Mapping):
        added = find_terms(objective.get("terms"), found)
        objective = {"name": "bam", **{key: value for key, value in objective.items() if key != "terms"}}
    named["objective"] = find_named("objective", "name", objective, load_objective, found)
    changes = find_changes(beside.get("views", {}).get("changes"), found)
    weights = beside.get("encoder", {}).get("weights")
    if not isinstance(weights, str | None):
        found.append(f"encoder.weights: expected a folder or a file .safetensors, got {weights!r}")
    checked: dict[str, dict[str, Any]] = {
        section: {"reader" if section == "data" else "name": part.name, **part.options, **beside.get(section, {})}
        for section, part in named.items()
        if part is not None
    }
    if added and "objective" in checked:
        checked["objective"]["terms"] = [one.plain() for one in added]
    try:
        recipe = Recipe.model_validate({**raw, **checked})
        found += _whole_batch(recipe, named["objective"])
    except ValidationError as error:
        found += [describe(e, Recipe) for e in error.errors()]
    if found:
        unique = list(dict.fromkeys(found))
        raise RecipeError(f"{where} has {len(unique)} mistake(s):" + "".join(f"\n  {line}" for line in unique))
    parts: Any = {"reader" if section == "data" else section: part for section, part in named.items()}
    parts["weights"] = None if weights is None else Path(weights)
    parts |= {"changes": tuple(changes), "terms": added}
    return Resolved(recipe, modality, **parts)  # type: ignore[arg-type]  # nothing is None where no mistake was found


def _whole_batch(recipe: Recipe, objective: Named | None) -> list[str]:
    if recipe.train.micro_batch is None or objective is None or accepts_keyword(objective.factory, "micro_batch"):
        return []
    return [f"train.micro_batch: the objective {objective.name!r} needs the whole batch at once"]


def _flat(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`modality: {name: ...}`, as the other sections are written, as `modality: ...`."""
    modality = raw.get("modality")
    return (
        {**raw, "modality": modality["name"]} if isinstance(modality, dict) and set(modality) == {"name"} else {**raw}
    )


def _with_files_of(folder: Path, raw: Any) -> Any:
    """The same recipe with absolute paths of the Python files that it names."""
    if isinstance(raw, str):
        return anchored(raw, folder)
    if isinstance(raw, dict):
        return {key: _with_files_of(folder, value) for key, value in raw.items()}
    return [_with_files_of(folder, value) for value in raw] if isinstance(raw, list) else raw


def _with_weights_of(folder: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The same recipe with the absolute path of the weights that its encoder starts from."""
    encoder = raw.get("encoder")
    if not isinstance(encoder, dict) or not isinstance(encoder.get("weights"), str):
        return raw
    places = [place / Path(encoder["weights"]).expanduser() for place in (folder, Path())]
    found = next((place for place in places if place.exists()), places[1])
    return {**raw, "encoder": {**encoder, "weights": str(found.resolve())}}


def _with_rows_of(folder: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The same recipe with the path of the rows in its run folder, where that has moved."""
    data = raw.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("path"), str):
        return raw
    path = Path(data["path"])
    here = folder / ROWS / path.name
    if path.parent.name != ROWS or path.exists() or not here.exists():
        return raw
    return {**raw, "data": {**data, "path": str(here.resolve())}}


def _modality(raw: Mapping[str, Any], problems: list[str]) -> Modality | None:
    try:
        return load_modality(raw["modality"]) if isinstance(raw.get("modality"), str) else None
    except BAMError as error:
        problems.append(f"modality: {error}")
        return None


def _drop_options_of_others(raw: dict[str, Any], overrides: Iterable[str]) -> None:
    """`epsilon` of BAM and of SwAV are not the same thing, nor are `label` of a table and of an array."""
    for section, key, usual in (("objective", "name", "bam"), ("data", "reader", None)):
        names = [text.strip() for name, _, text in (o.partition("=") for o in overrides) if name == f"{section}.{key}"]
        given = raw.get(section, {})
        if names and isinstance(given, dict) and given.get(key, usual) not in (None, names[-1]):
            raw[section] = {}


def _apply(raw: dict[str, Any], override: str) -> list[str]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        return [f"override {override!r}: expected key=value, such as train.epochs=5"]
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return [f"override {override!r}: the value is not valid YAML"]
    *parents, leaf = key.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            return [f"override {override!r}: {parent!r} is a value, not a section"]
    if not parents and key not in Recipe.model_fields and key in TrainSettings.model_fields:
        return [f"override {override!r}: no such key; did you mean 'train.{key}'?"]
    node[leaf] = value
    return []
