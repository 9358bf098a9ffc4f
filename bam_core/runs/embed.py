"""Embeddings of new data as a table."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from bam_core.config.options import find_named
from bam_core.config.recipe import Resolved
from bam_core.config.registry import keyword_parameters
from bam_core.data import PreparedData
from bam_core.data.prepared import SplitDataset
from bam_core.data.text_files import unpacked_name
from bam_core.errors import DataError, RecipeError
from bam_core.outputs import make_folder, write_text, written
from bam_core.protocols import Modality
from bam_core.runs.features import embed
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import load_encoder, load_run, write_set_aside
from bam_core.views import accepts_keyword


class Written(NamedTuple):
    """What was written: rows, features a row, inputs set aside, and what is to be said about the data."""

    n_rows: int
    width: int
    n_set_aside: int
    account: str


def embed_data(
    folder: Path,
    path: Path,
    output: Path,
    *,
    overrides: Iterable[str] = (),
    teacher: bool = False,
    trusted: bool = False,
) -> Written:
    """Embed a folder or file with the encoder of a run, one row a record or window.

    Args:
        folder: of the run.
        path: data to embed.
        output: parquet file to write. What was guessed, mended and left out is written beside it, as `.data.txt`, and
            inputs that could not be used are named in `.set_aside.csv`. Columns: `id`;
            `group`, `label` (place among the run's classes, -1 for none; or 0 and 1 for each of them) and `class` (its
            name, or the names) where known; `e0`, `e1`, ... the embedding.
        overrides: `key=value` options of the reader.
        teacher: use the teacher's encoder.
        trusted: run the Python files that the run names, also if somebody else made it.

    Returns:
        Numbers of rows, features, and inputs set aside, and the text of `.data.txt`.

    Raises:
        BAMError: the run, the data or the options do not fit.
    """
    recipe = load_run(folder, trusted=trusted)
    encoder = load_encoder(folder, teacher=teacher, trusted=trusted)
    make_folder(output.parent)
    data = _read(recipe, encoder, path, overrides)
    _check_same_kind(data, encoder)
    tables = []
    for split, rows in data.splits.items():
        embeddings = embed(encoder, SplitDataset(rows, encoder.modality.collate, data.facts), what=f"embedding {split}")
        known = [name for name in ("id", "group", "label") if name in rows.column_names]
        about = rows.select_columns(known).to_pandas() if known else pd.DataFrame(index=range(len(rows)))
        if "label" in known and data.facts.get("classes"):
            about["class"] = _class_names(about["label"], data.facts["classes"])
        names = [f"e{i}" for i in range(embeddings.shape[1])]
        tables.append(pd.concat([about, pd.DataFrame(embeddings.numpy(), columns=names)], axis=1))
    table = pd.concat(tables, ignore_index=True)
    with written(output) as partial:
        table.to_parquet(partial, index=False)
    write_set_aside(output.with_suffix(".set_aside.csv"), data)
    write_text(output.with_suffix(".data.txt"), f"{data.account()}\n")
    return Written(len(table), embeddings.shape[1], len(data.set_aside), data.account())


def _read(recipe: Resolved, encoder: PretrainedEncoder, path: Path, overrides: Iterable[str]) -> PreparedData:
    if not path.exists():
        raise DataError(f"expected data at {str(path)!r}; there is nothing.")
    modality = encoder.modality
    given: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"override {override!r}: expected key=value, an option of the reader")
        given[key] = yaml.safe_load(text)
    kind = "" if path.is_dir() else _suffix(path)
    trained_with = recipe.reader.name
    reader = str(given.pop("reader")) if "reader" in given else _reader_of(kind, recipe, modality)
    options = _options_of_training(recipe, path) if reader == trained_with else {}
    options |= given
    problems: list[str] = []
    section = {**options, "reader": reader, "path": str(path)}
    named = find_named("data", "reader", section, modality.readers, problems)
    if named is None:
        raise RecipeError("the options of the reader have mistakes:" + "".join(f"\n  {p}" for p in problems))
    read, checked = named.factory, dict(named.options)
    required = {p.name for p in keyword_parameters(read) if p.default is p.empty}
    checked = {name: encoder.facts[name] for name in required & set(encoder.facts)} | checked
    lacking = sorted(required - set(checked))
    if lacking:
        raise RecipeError(
            f"the reader {reader!r} needs {', '.join(lacking)}, which the encoder's data, read by {trained_with!r}, do "
            f"not tell. Give the value behind the data, such as {lacking[0]}=VALUE, or another reader=NAME."
        )
    if accepts_keyword(read, "fitted"):
        checked["fitted"] = encoder.facts
    data: PreparedData = read(**checked)
    return data


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
        kinds = ", ".join(kind or "a folder" for kind in modality.reads)
        raise RecipeError(
            f"no reader of {modality.name!r} is known to take {kind or 'a folder'}. Known: {kinds}. Give one of these, "
            f"or say who reads it, reader=NAME: {', '.join(modality.readers)}."
        )
    return names[0]


def _options_of_training(recipe: Resolved, path: Path) -> dict[str, Any]:
    """Those that hold for new data. Who is who is taken over for the same folder, or from a table in the new one:
    other people's records often have the same names."""
    same = Path(str(recipe.reader.options.get("path"))).expanduser().resolve() == path.resolve()
    return {
        name: value
        for name, value in recipe.reader.options.items()
        if name not in ("test_path", "exclude", "database", "download")
        and (same or name not in ("groups", "labels") or not _names_rows(value) or _lies_in(path, value))
    }


def _names_rows(value: Any) -> bool:
    """Whether it is a mapping from records, or a table.csv:column."""
    return isinstance(value, dict) or ":" in str(value)


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
