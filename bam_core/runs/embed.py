"""Embeddings of new data as a table."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pandas as pd

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.data.drift import FACT, unlike
from bam_core.data.prepared import SplitDataset
from bam_core.outputs import make_folder, write_text
from bam_core.runs.embedding_file import KEY, Where, source_of, write_embeddings
from bam_core.runs.features import embed
from bam_core.runs.new_data import about_rows, options_of, read_files, read_rows
from bam_core.runs.origin import Training
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import load_encoder, load_run, write_set_aside


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
            inputs that could not be used are named in `.set_aside.csv`. Columns: `id`; of parts of
            records `record` and where the part begins and ends, `start_s` and `end_s` (seconds; without a sampling rate
            `start_step` and `end_step`); `split` and `seen_in_training`, see `Training.mark`; `group`, `label` (place
            among the run's classes, -1 for none; or 0 and 1 for each of them) and `class` (its name, or the names)
            where known; `e0`, `e1`, ... the embedding. The metadata of the file have what `source_of` says.
        overrides: `key=value` options of the reader.
        teacher: use the teacher's encoder.
        trusted: run the Python files that the run names, also if somebody else made it.

    Returns:
        Numbers of rows, features, and inputs set aside, and the text of `.data.txt`.

    Raises:
        BAMError: the run, the data or the options do not fit.
    """
    make_folder(output.parent)
    recipe, encoder = load_run(folder, trusted=trusted), load_encoder(folder, teacher=teacher, trusted=trusted)
    table, data, width = embed_new(recipe, encoder, path, options_of(overrides), folder=folder)
    write_embeddings(output, table)
    write_set_aside(output.with_suffix(".set_aside.csv"), data)
    write_text(output.with_suffix(".data.txt"), f"{data.account()}\n")
    return Written(len(table), width, len(data.set_aside), data.account())


class EmbeddingTable(NamedTuple):
    """Embeddings with what is known of their rows, see `embed_data`; the data as they were read; and the width."""

    table: pd.DataFrame
    data: PreparedData
    width: int


def embed_new(
    recipe: Resolved,
    encoder: PretrainedEncoder,
    data: Any,
    options: Mapping[str, Any],
    *,
    folder: Path | None = None,
    origin: bool = True,
) -> EmbeddingTable:
    """Embed a folder, a file, or rows in memory.

    Args:
        recipe: that the encoder was trained by.
        encoder: trained.
        data: a path, or rows, see `read_rows`.
        options: of the reader, or of `from_memory`.
        folder: of the run, to be named in the table.
        origin: whether rows are looked up in the run's own data, see `Training.mark`.

    Raises:
        BAMError: data or options do not fit.
    """
    found = read_new(recipe, encoder, data, options, training=None if origin else Training.unknown(recipe))
    tables = [rows_table(encoder, rows, found.facts, what=f"embedding {split}") for split, rows in found.splits.items()]
    table = pd.concat(tables, ignore_index=True)
    table.attrs[KEY] = source_of(recipe, encoder, Where(folder, data if isinstance(data, Path) else None, options))
    return EmbeddingTable(table, found, n_features(tables[0]))


def read_new(
    recipe: Resolved,
    encoder: PretrainedEncoder,
    data: Any,
    options: Mapping[str, Any],
    *,
    training: Training | None = None,
) -> PreparedData:
    """Read a folder, a file, or rows in memory; how they differ from the training's is among the notes.

    Args:
        recipe: that the encoder was trained by.
        encoder: trained.
        data: a path, or rows, see `read_rows`.
        options: of the reader, or of `from_memory`.
        training: the run's own data, where they have been looked through already.

    Raises:
        BAMError: data or options do not fit.
    """
    read = read_files if isinstance(data, Path) else read_rows
    found = read(recipe, encoder, data, options)
    differing = unlike(found, encoder.modality, encoder.facts.get(FACT, {}), encoder.facts)
    notes = [f"Unlike the training rows; other units, or recorded otherwise? {line}." for line in differing]
    return (training or Training.of(recipe)).mark(replace(found, notes=[*found.notes, *notes]))


def rows_table(
    encoder: PretrainedEncoder, rows: datasets.Dataset, facts: Mapping[str, Any], *, what: str = "embedding"
) -> pd.DataFrame:
    """Embeddings of some rows with what is known of them, a row each.

    Args:
        encoder: trained.
        rows: a split of `PreparedData`, or some of its rows.
        facts: `PreparedData.facts`.
        what: for the progress bar.
    """
    embeddings = embed(encoder, SplitDataset(rows, encoder.modality.collate, facts), what=what)
    columns = pd.DataFrame(embeddings.numpy(), columns=[f"e{i}" for i in range(embeddings.shape[1])])
    return pd.concat([about_rows(rows, facts), columns], axis=1)


def n_features(table: pd.DataFrame) -> int:
    """Columns e0, e1, ... of a table of embeddings."""
    return sum(bool(re.fullmatch(r"e\d+", str(name))) for name in table.columns)
