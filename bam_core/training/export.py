"""Embeddings of new data as a table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from bam_core.data import PreparedData
from bam_core.data.prepared import SplitDataset
from bam_core.errors import DataError, RecipeError
from bam_core.pretrained import PretrainedEncoder
from bam_core.registry import choose
from bam_core.training.embedding import embed
from bam_core.training.recipe import Recipe, check_options
from bam_core.training.run import load_encoder, load_run, write_set_aside
from bam_core.views import accepts_keyword


class Written(NamedTuple):
    """What was written: rows, features a row, inputs set aside."""

    n_rows: int
    width: int
    n_set_aside: int


def embed_data(
    folder: Path, path: Path, output: Path, *, overrides: Iterable[str] = (), teacher: bool = False
) -> Written:
    """Embed a folder or file with the encoder of a run, one row a record or window.

    Args:
        folder: of the run.
        path: data to embed.
        output: parquet file to write; inputs that could not be used are named in a CSV file beside it.
        overrides: `key=value` options of the reader.
        teacher: use the teacher's encoder.

    Returns:
        Numbers of rows, features, and inputs set aside.

    Raises:
        BAMError: the run, the data or the options do not fit.
    """
    recipe = load_run(folder)
    encoder = load_encoder(folder, teacher=teacher)
    data = _read(recipe, encoder, path, overrides)
    _check_same_kind(data, encoder)
    tables = []
    for split, rows in data.splits.items():
        embeddings = embed(encoder, SplitDataset(rows, encoder.modality.collate, data.facts), what=f"embedding {split}")
        known = [name for name in ("id", "group", "label") if name in rows.column_names]
        about = rows.select_columns(known).to_pandas() if known else pd.DataFrame(index=range(len(rows)))
        names = [f"e{i}" for i in range(embeddings.shape[1])]
        tables.append(pd.concat([about, pd.DataFrame(embeddings.numpy(), columns=names)], axis=1))
    table = pd.concat(tables, ignore_index=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(output, index=False)
    write_set_aside(output.with_suffix(".set_aside.csv"), data)
    return Written(len(table), embeddings.shape[1], len(data.set_aside))


def _read(recipe: Recipe, encoder: PretrainedEncoder, path: Path, overrides: Iterable[str]) -> PreparedData:
    if not path.exists():
        raise DataError(f"expected data at {str(path)!r}; there is nothing.")
    modality = encoder.modality
    given: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"override {override!r}: expected key=value, an option of the reader")
        given[key] = yaml.safe_load(text)
    kind = "" if path.is_dir() else path.suffix.lower()
    trained_with = str(recipe.data["reader"])
    if "reader" in given:
        reader = str(given.pop("reader"))
    elif Path(str(recipe.data.get("path", "-"))).suffix == (kind or "-"):
        reader = trained_with
    else:
        reader = choose("reader for files of kind", kind, modality.reads)
    options = {k: v for k, v in recipe.data.items() if k not in _ABOUT_SPLITS} if reader == trained_with else {}
    options |= given
    problems: list[str] = []
    section = {**options, "reader": reader, "path": str(path)}
    known = modality.readers
    checked = check_options("data", "reader", section, known.__getitem__, known, problems)
    if checked is None:
        raise RecipeError("the options of the reader have mistakes:" + "".join(f"\n  {p}" for p in problems))
    del checked["reader"]
    if accepts_keyword(modality.readers[reader], "fitted"):
        checked["fitted"] = encoder.facts
    data: PreparedData = modality.readers[reader](**checked)
    return data


_ABOUT_SPLITS = {"split", "test_path", "labels", "groups", "exclude", "database", "download"}


def _check_same_kind(data: PreparedData, encoder: PretrainedEncoder) -> None:
    for fact in ("in_channels", "sampling_rate_hz"):
        expected, found = encoder.facts.get(fact), data.facts.get(fact)
        if expected is not None and found is not None and expected != found:
            raise DataError(
                f"the encoder was trained on data with {fact}={expected}; these have {fact}={found}. Set the reader's "
                "options so that they agree."
            )
