"""New data for a trained encoder: files or rows in memory, read and scaled as its training data were."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, get_args, get_origin, runtime_checkable

import datasets
import numpy as np
import pandas as pd
import yaml

from bam_core.config.options import Named, find_named, option_types
from bam_core.config.recipe import Resolved
from bam_core.config.registry import keyword_parameters
from bam_core.data import PreparedData
from bam_core.data.prepared import ABOUT
from bam_core.data.text_files import unpacked_name
from bam_core.errors import DataError, InputError, RecipeError
from bam_core.protocols import Modality
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.views import accepts_keyword

OF_FRAMES = ("id", "time", "values")
"""Options of `from_memory` that name columns, and so hold only for frames that have them."""


OF_FILES = (
    "path", "signals", "image", "audio", "file", "label", "labels", "group", "groups", "split", "splits", "pattern",
    "folders", "drop", "keep", "categorical", "test_fraction", "test_groups", "validation_groups", "task", "seed",
    "config", "annotations", "unlabelled", "delimiter", "header", "encoding", "decimal", "thousands", "na_values",
)  # fmt: skip
"""Options that say where things are in files of one kind."""


@runtime_checkable
class ReadNew(Protocol):
    """`read_files` or `read_rows`."""

    def __call__(
        self, recipe: Resolved, encoder: PretrainedEncoder, data: Any, options: Mapping[str, Any]
    ) -> PreparedData:
        """Read new data."""
        ...


def read_files(
    recipe: Resolved,
    encoder: PretrainedEncoder,
    data: Path,
    options: Mapping[str, Any],
    *,
    fitted: Mapping[str, Any] | None = None,
) -> PreparedData:
    """Read a folder or file.

    Args:
        recipe: that the encoder was trained by.
        encoder: trained.
        data: path.
        options: of the reader, or another `reader`.
        fitted: facts of the training that hold; default: all of them.

    Raises:
        BAMError: data or options do not fit.
    """
    if not data.exists():
        raise DataError(f"expected data at {str(data)!r}; there is nothing.")
    modality = encoder.modality
    facts = dict(encoder.facts if fitted is None else fitted)
    given = dict(options)
    kind = "" if data.is_dir() else _suffix(data)
    trained_with = recipe.reader.name
    reader = str(given.pop("reader")) if "reader" in given else _reader_of(kind, recipe, modality)
    section = {**given, "reader": reader, "path": str(data)}
    read, checked = _checked(section, modality.readers, "the reader")
    of_training, dropped = _options_of_training(recipe, data), list[tuple[str, Any]]()
    if reader != trained_with:
        of_training, dropped = _for_reader(recipe, read, of_training)
    read, checked = _checked(of_training | section, modality.readers, "the reader")
    required = {p.name for p in keyword_parameters(read) if p.default is p.empty}
    checked = {name: facts[name] for name in required & set(facts)} | checked
    lacking = sorted(required - set(checked))
    if lacking:
        raise RecipeError(
            f"the reader {reader!r} needs {', '.join(lacking)}, which the encoder's data, read by {trained_with!r}, do "
            f"not tell. Give the value behind the data, such as {lacking[0]}=VALUE, or another reader=NAME."
        )
    if accepts_keyword(read, "fitted"):
        checked["fitted"] = facts
    found: PreparedData = read(**checked)
    _check_same_kind(found, encoder)
    lost = [f"{name}: {value}" for name, value in dropped if name not in options]
    if lost:
        said = f"Options of the reader {trained_with!r}, by which training data were read, are not those of {reader!r}"
        found = replace(found, notes=[*found.notes, f"{said}, and do not hold: {', '.join(lost)}."])
    return found


def read_rows(recipe: Resolved, encoder: PretrainedEncoder, data: Any, options: Mapping[str, Any]) -> PreparedData:
    """Read rows in memory: what the modality's `from_memory` takes.

    Args:
        recipe: that the encoder was trained by; options of its data hold for the rows as well.
        encoder: trained.
        data: an array, a list of arrays or a DataFrame.
        options: of `from_memory`.

    Raises:
        InputError: the modality takes no rows in memory, or needs an option.
        RecipeError: no such option.
        DataError: rows that do not fit.
    """
    read = encoder.modality.from_memory
    if read is None:
        raise InputError(f"the modality {encoder.modality.name!r} does not take rows in memory; give a path.")
    known = {parameter.name: parameter for parameter in keyword_parameters(read)}
    _, checked = _checked({**options, "reader": "memory"}, {"memory": read}, "the rows")
    columns = {str(column) for column in getattr(data, "columns", ())}
    of_training = {
        name: value
        for name, value in recipe.reader.options.items()
        if name in known and (name not in OF_FRAMES or {*np.atleast_1d(value).astype(str)} <= columns)
    }
    required = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    of_facts = {name: encoder.facts[name] for name in required if name in encoder.facts}
    arguments = {**of_facts, **of_training, **checked}
    lacking = [name for name in required if name not in arguments]
    if lacking:
        raise InputError(f"rows for {encoder.modality.name!r} need {lacking[0]}: pass {lacking[0]}=VALUE.")
    found: PreparedData = read(data, **arguments, fitted=dict(encoder.facts))
    _check_same_kind(found, encoder)
    return found


def about_rows(rows: datasets.Dataset, facts: Mapping[str, Any]) -> pd.DataFrame:
    """What is known of the rows of a split: those of `ABOUT`, and the name of the class."""
    known = [name for name in ABOUT if name in rows.column_names]
    about = rows.select_columns(known).to_pandas() if known else pd.DataFrame(index=range(len(rows)))
    if "label" in known and facts.get("classes"):
        about["class"] = _class_names(about["label"], facts["classes"])
    return about


def options_of(overrides: Iterable[str]) -> dict[str, Any]:
    """Options of a reader from `key=value`.

    Raises:
        RecipeError: no `=` in one.
    """
    given: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"override {override!r}: expected key=value, an option of the reader")
        given[key] = yaml.safe_load(text)
    return given


def _checked(section: Mapping[str, Any], known: Mapping[str, Any], what: str) -> tuple[Any, dict[str, Any]]:
    """The function that a section names, and its options."""
    problems: list[str] = []
    named = find_named("data", "reader", section, known, problems)
    if named is None:
        raise RecipeError(f"the options of {what} have mistakes:" + "".join(f"\n  {p}" for p in problems))
    return named.factory, dict(named.options)


def _suffix(path: Path) -> str:
    """In small letters, with that of the packing: ".csv.gz"."""
    inner = unpacked_name(path)
    return "".join(part.suffix.lower() for part in dict.fromkeys((inner, path)))


def _reader_of(kind: str, recipe: Resolved, modality: Modality) -> str:
    """That of the training if it takes such data, else the modality's first for them."""
    names, trained_with = modality.readers_of(kind), recipe.reader.name
    if trained_with in names or (
        "path" in recipe.reader.options and _suffix(Path(str(recipe.reader.options["path"]))) == kind
    ):
        return trained_with
    if not names:
        kinds = ", ".join(kind or "a folder" for kind in modality.reader_for_suffix)
        raise RecipeError(
            f"no reader of {modality.name!r} is known to take {kind or 'a folder'}. Known: {kinds}. Give one of these, "
            f"or say who reads it, reader=NAME: {', '.join(modality.readers)}."
        )
    return names[0]


def _options_of_training(recipe: Resolved, path: Path) -> dict[str, Any]:
    """Those that hold for new data. Groups and labels by name of a record are taken over for the same folder, or from a
    table in the new one: other people's records often have the same names."""
    same = Path(str(recipe.reader.options.get("path"))).expanduser().resolve() == path.resolve()
    return {
        name: value
        for name, value in recipe.reader.options.items()
        if name not in ("test_path", "exclude", "database", "download")
        and (same or not _names_rows(recipe.reader, name, value) or _lies_in(path, value))
    }


def _for_reader(
    recipe: Resolved, read: Any, options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Of options that were chosen in training, those that say how rows are treated and that another reader has, too;
    and the others, but for places and columns."""
    known = {parameter.name for parameter in keyword_parameters(read)}
    usual = {parameter.name: parameter.default for parameter in keyword_parameters(recipe.reader.factory)}
    chosen = {n: v for n, v in options.items() if v != usual.get(n) and n not in (*OF_FILES, *OF_FRAMES, "reader")}
    return {n: v for n, v in chosen.items() if n in known}, [(n, v) for n, v in chosen.items() if n not in known]


def _names_rows(reader: Named, name: str, value: Any) -> bool:
    """Whether an option is a mapping from records, or a table.csv:column where a mapping could stand."""
    per_record = any(get_origin(kind) is dict for kind in get_args(option_types(reader.factory).get(name)))
    return name in ("group", "label") and per_record and (isinstance(value, dict) or ":" in str(value))


def _lies_in(folder: Path, source: Any) -> bool:
    table = Path(str(source).rpartition(":")[0])
    return not table.is_absolute() and (folder / table).is_file()


def _class_names(labels: pd.Series, classes: Sequence[str]) -> list[Any]:
    """Name of the class for each label, None for -1; for 0 or 1 per class, the names of all that hold."""
    if labels.map(np.ndim).any():
        return [[name for name, holds in zip(classes, row, strict=True) if holds] for row in labels]
    return [classes[label] if label >= 0 else None for label in labels]


def _check_same_kind(data: PreparedData, encoder: PretrainedEncoder) -> None:
    for fact in ("in_channels", "sampling_rate_hz", "leads"):
        expected, found = encoder.facts.get(fact), data.facts.get(fact)
        if expected is not None and found is not None and _folded(expected) != _folded(found):
            raise DataError(
                f"the encoder was trained on data with {fact}={expected}; these have {fact}={found}. Set the reader's "
                "options so that they agree."
            )


def _folded(fact: Any) -> Any:
    """Names are the same whatever their case."""
    return [str(name).casefold() for name in fact] if isinstance(fact, list) else fact
