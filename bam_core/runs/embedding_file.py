"""Tables of embeddings as parquet files that say which encoder and data they are of."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from bam_core import __version__
from bam_core.config.recipe import Resolved
from bam_core.errors import DataError
from bam_core.outputs import written
from bam_core.probes.inputs import feature_matrix
from bam_core.runs.pretrained import PretrainedEncoder

KEY = "bam_ssl"  # of the metadata, and of `DataFrame.attrs`


@dataclass(frozen=True)
class Embeddings:
    """A table of embeddings.

    Attributes:
        about: what is known of the rows, without the embeddings; the index counts from 0.
        matrix: (n, d) the embeddings.
        source: `model`, `recipe`, `data` and others, see `source_of`; empty for files that do not say.
    """

    about: pd.DataFrame
    matrix: Float[np.ndarray, "n d"]
    source: Mapping[str, Any]


class Where(NamedTuple):
    """The run, the data that were embedded, if they have a path, and options of the reader."""

    run: Path | None
    path: Path | None
    options: Mapping[str, Any]


def model_hash(encoder: PretrainedEncoder) -> str:
    """Sixteen hexadecimal digits that follow from the weights of an encoder, wherever they are saved."""
    found = hashlib.sha256()
    for name, value in sorted(encoder.encoder.state_dict().items()):
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).tobytes())
    return found.hexdigest()[:16]


def source_of(recipe: Resolved, encoder: PretrainedEncoder, where: Where) -> dict[str, Any]:
    """What a table of embeddings says about itself; plain values.

    `model`: see `model_hash`; `network`: "encoder" or "teacher"; `steps` of training; `recipe` as YAML; `modality`;
    `run`, its folder; `data`: path and options of the reader; `version` of bam-ssl.
    """
    run, path = (None if one is None else str(one.expanduser().resolve()) for one in (where.run, where.path))
    return {
        "model": model_hash(encoder),
        "network": encoder.source.get("network", "encoder"),
        "steps": encoder.source.get("steps"),
        "modality": recipe.recipe.modality,
        "recipe": recipe.recipe.to_yaml(),
        "run": run,
        "data": {"path": path, "options": dict(where.options)},
        "version": __version__,
    }


def with_source(table: pa.Table, source: Mapping[str, Any]) -> pa.Table:
    """An Arrow table whose metadata hold what `source_of` says."""
    metadata = {**(table.schema.metadata or {}), KEY.encode(): json.dumps(dict(source), default=str).encode()}
    return table.replace_schema_metadata(metadata)


def write_embeddings(path: Path, table: pd.DataFrame) -> None:
    """Write a table of embeddings; its `attrs` go into the metadata of the file."""
    source = table.attrs.get(KEY, {})
    plain = table.copy(deep=False)
    plain.attrs = {}
    with written(path) as partial:
        pq.write_table(with_source(pa.Table.from_pandas(plain, preserve_index=False), source), partial)


def read_embeddings(source: Path | pd.DataFrame) -> Embeddings:
    """Read a table of embeddings: a parquet file, a folder of such, or a frame as `Run.embed` returns it.

    Raises:
        DataError: there is nothing, no parquet, or no columns e0, e1, ... of finite numbers.
    """
    if isinstance(source, pd.DataFrame):
        table, said, name = source, source.attrs.get(KEY, {}), "the frame"
    else:
        name = repr(str(source))
        files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
        if not files or not files[0].is_file():
            raise DataError(f"expected embeddings, a parquet file that bam embed wrote, at {name}; there is none.")
        try:
            parts = [pq.read_table(file) for file in files]
            found = pa.concat_tables(parts, promote_options="default")
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{name} expected a parquet file that bam embed wrote; it cannot be read: {error}"
            ) from error
        sources = [json.loads((part.schema.metadata or {}).get(KEY.encode(), b"{}")) for part in parts]
        for file, other in zip(files, sources, strict=True):
            if other.get("model") != sources[0].get("model"):
                raise DataError(
                    f"{name} expected embeddings of one encoder; {files[0].name!r} and {file.name!r} are of two. Give "
                    "one file, or a folder for each encoder."
                )
        said = sources[0] if all(other == sources[0] for other in sources) else {**sources[0], "data": None}
        table = found.to_pandas()
    names = sorted((str(c) for c in table.columns if re.fullmatch(r"e\d+", str(c))), key=lambda c: int(c[1:]))
    if not names or not len(table):
        raise DataError(f"{name} expected columns e0, e1, ... with the embeddings; it has {list(table.columns)[:10]}.")
    matrix = feature_matrix(table[names].to_numpy(np.float32, copy=True), name=f"the embeddings of {name}")
    return Embeddings(table.drop(columns=names).reset_index(drop=True), matrix, said)
