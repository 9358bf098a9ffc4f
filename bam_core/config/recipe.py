"""Recipes: what to run, as YAML; checked as a whole, with all mistakes named at once.

A recipe's `data`, `views`, `encoder` and `objective` sections are the keyword arguments of the function that they
name; so a modality or an objective of a third party brings its own keys, and typos in them are found as well.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from bam_core.config.registry import anchored, choose, did_you_mean, keyword_parameters, load_modality, load_objective
from bam_core.config.trust import check_trusted, files_in
from bam_core.errors import BAMError, RecipeError
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.protocols import Modality

_STRICT = ConfigDict(extra="forbid", frozen=True)
FILLED_IN = {"total_steps", "micro_batch", "fitted"}  # by the run, or by `bam embed`; never by a recipe


class TrainSettings(BaseModel):
    """How long, how fast and on what to train; Lightning does the rest."""

    model_config = _STRICT

    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Samples per optimiser step, over all devices."""
    groups_per_batch: Annotated[int, Field(ge=1)] | None = None
    """Draw every batch from about so many groups (people, machines, speakers) only. Few make the encoder tell apart
    what one of them shows, many also who it is. None: all mixed."""
    micro_batch: Annotated[int, Field(ge=1)] | None = None
    """Rows (views) that the encoder sees at a time, per device, for batches that do not fit into memory; the gradient
    stays that of the whole batch. None: all."""
    view_shards: Annotated[int, Field(ge=1)] = 4
    """Parts of the global batch whose views are drawn apart: any number of processes that divides it sees the same."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Peak of the learning rate (AdamW): linear warm-up, then half a cosine, set at every step."""
    final_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Learning rate at the end."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Length of the linear warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """At the start; only tensors with two or more dimensions decay."""
    final_weight_decay: Annotated[float, Field(ge=0)] | None = None
    """At the end, on a cosine; none: constant."""
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest global norm of the gradient."""
    seed: int = 0
    """Of weights, order of samples and views."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, ..."""
    devices: int | str | list[int] = 1
    """Lightning's devices: a number, a list of indices, or auto."""
    num_nodes: Annotated[int, Field(ge=1)] = 1
    """Machines."""
    strategy: str = "auto"
    """Lightning's strategy: auto, ddp, fsdp, ..."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"] = "32-true"
    """Lightning's precision; the loss itself is always computed in float32 or better."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read data, per device."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Optimiser steps between checkpoints; there is one about every ten minutes besides."""
    on_nan: Literal["stop", "skip"] = "stop"
    """After a step with NaN or infinity was saved for `bam replay`: stop, or leave the step out and go on."""
    log_every: Annotated[int, Field(ge=1)] = 10
    """Optimiser steps between rows of metrics.csv."""
    knn_every: Annotated[int, Field(ge=1)] | None = None
    """Passes between looks at the kNN accuracy on labelled rows of train or validation, in knn.csv; none: no look."""

    @model_validator(mode="after")
    def _the_rate_falls(self) -> "TrainSettings":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate expected at most learning_rate, {self.learning_rate:g}, to fall to; got "
                f"{self.final_learning_rate:g}. Neither is scaled with batch_size: scale both"
            )
        return self


class Recipe(BaseModel):
    """One pretraining run with its evaluation."""

    model_config = _STRICT

    modality: str
    """Name of a modality, or path/to/file.py:NAME; {name: ...} is the same."""
    data: dict[str, Any]
    """`reader` and its options."""
    views: dict[str, Any]
    """`name` and its options."""
    encoder: dict[str, Any]
    """`name` and its options."""
    objective: dict[str, Any] = Field(default_factory=lambda: {"name": "bam"})
    """`name` and its options."""
    train: TrainSettings = TrainSettings()
    """How long, how fast and on what."""
    evaluate: EvaluationProtocol = EvaluationProtocol()
    """Probes on the frozen embeddings."""

    def to_yaml(self) -> str:
        """The whole recipe, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, overrides: Iterable[str] = (), *, trusted: bool = False) -> Recipe:
    """Read a recipe file, apply `key=value` overrides and check everything.

    `file.py:NAME` of a modality or an objective is looked for beside the recipe, then in the current folder; the recipe
    that comes back has the absolute path.

    Args:
        path: of a YAML file.
        overrides: such as `train.epochs=5` or `views.mask_s=null`; values are YAML. `objective.name=simclr` in a
            recipe with another objective drops the options that the recipe gives to that one; those given by further
            overrides stay. `data.reader=arrays` does so with those of another reader.
        trusted: run the Python files that the recipe names, also those that `bam_core.config.trust` does not know.
            Those that overrides name are the user's own words, and run.

    Returns:
        The recipe, with the options of data, views, encoder and objective converted to the types they should have.

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
    problems: list[str] = []
    overrides = list(overrides)
    named = files_in(_with_files_of(path.parent, raw))
    _drop_options_of_others(raw, overrides)
    for override in overrides:
        problems += _apply(raw, override)
    raw = _with_files_of(path.parent, raw)
    still = files_in(raw)
    check_trusted([name for name in named if name in still], where=f"recipe {str(path)!r}", trusted=trusted)
    return check_recipe(raw, where=str(path), problems=problems)


def check_recipe(
    raw: Mapping[str, Any],
    *,
    where: str = "recipe",
    problems: Iterable[str] = (),
    modality: Modality | None = None,
) -> Recipe:
    """Check the plain values of a recipe; see `load_recipe`. A modality may be given instead of being found by name."""
    found = list(problems)
    raw = _flat(raw)
    sections: dict[str, Any] = {}
    modality = modality or _modality(raw, found)
    if modality is not None:
        named = (("data", "reader", modality.readers), ("views", "name", modality.views))
        for section, key, known in (*named, ("encoder", "name", modality.encoders)):
            sections[section] = check_options(section, key, raw.get(section), known.__getitem__, known, found)
    objective = raw.get("objective", {})
    if isinstance(objective, Mapping):
        objective = {"name": "bam", **objective}
    sections["objective"] = check_options("objective", "name", objective, load_objective, None, found)
    try:
        recipe = Recipe.model_validate({**raw, **{k: v for k, v in sections.items() if v is not None}})
    except ValidationError as error:
        found += [_describe(e, Recipe) for e in error.errors()]
    if found:
        unique = list(dict.fromkeys(found))
        raise RecipeError(f"{where} has {len(unique)} mistake(s):" + "".join(f"\n  {line}" for line in unique))
    return recipe


def options_model(factory: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of a factory's keyword arguments; nothing is required, since data may fill it in."""
    hints = get_type_hints(factory if inspect.isfunction(factory) else factory.__init__)
    fields: dict[str, Any] = {
        p.name: (hints.get(p.name, Any), None) for p in keyword_parameters(factory) if p.name not in FILLED_IN
    }
    return create_model(factory.__name__, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)


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


def _modality(raw: Mapping[str, Any], problems: list[str]) -> Modality | None:
    try:
        return load_modality(raw["modality"]) if isinstance(raw.get("modality"), str) else None
    except BAMError as error:
        problems.append(f"modality: {error}")
        return None


def check_options(
    section: str,
    key: str,
    options: Any,
    load: Callable[[str], Callable[..., Any]],
    known: Mapping[str, Any] | None,
    problems: list[str],
) -> dict[str, Any] | None:
    """Check a section against the function that its `key` names.

    Returns:
        The section with values of the right types, or None after adding to `problems`.
    """
    if not isinstance(options, Mapping):
        return None  # pydantic says so
    if key not in options:
        names = f", one of {', '.join(known)}" if known else ""
        problems.append(f"{section}.{key}: is missing{names}")
        return None
    name = str(options[key])
    try:
        factory = load(name) if known is None else choose(f"{section}.{key}", name, known)
    except BAMError as error:
        problems.append(str(error))
        return None
    model = options_model(factory)
    given = {k: v for k, v in options.items() if k != key}
    try:
        checked = model.model_validate(given)
    except ValidationError as error:
        problems += [_describe(e, model, prefix=f"{section}.") for e in error.errors()]
        return None
    return {key: name, **checked.model_dump(include=set(given))}


def _describe(error: Any, model: type[BaseModel], prefix: str = "") -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            inner = model.model_fields.get(str(part))
            model = inner.annotation if inner and isinstance(inner.annotation, type) else model
        hint = did_you_mean(str(error["loc"][-1]), model.model_fields)
        known = "" if hint.endswith("?") else f" Known: {', '.join(model.model_fields)}."
        return f"{prefix}{path}: no such key{hint}{known}"
    got = "" if error["type"] == "missing" else f", got {error['input']!r}"
    return f"{prefix}{path}: {error['msg'][0].lower()}{error['msg'][1:]}{got}"


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
