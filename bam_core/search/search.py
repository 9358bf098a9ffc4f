"""Neighbours of a file or of a known row among embeddings of the same encoder."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.errors import DataError, InputError
from bam_core.runs.embed import embed_new
from bam_core.runs.embedding_file import Embeddings, model_hash, read_embeddings
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import load_encoder, load_run
from bam_core.search.index import find, is_approximate

MOST_QUERIES = 1000  # rows of one query file


@dataclass(frozen=True)
class Found:
    """Queries and their neighbours.

    Attributes:
        queries: what is known of the rows that were asked for; `id` among it.
        rows: (q, k) their neighbours in `embeddings`, nearest first.
        distances: (q, k) cosine distances, 1 - cosine: 0 for the same direction, 1 for a right angle, 2 for the
            opposite direction.
        embeddings: that were searched.
        data: of queries that were read from files or memory; None for rows that are in `embeddings`.
        approximate: whether a graph was used, which may miss a neighbour.
        recipe: of the run.
        encoder: of the run.
    """

    queries: pd.DataFrame
    rows: Int[np.ndarray, "q k"]
    distances: Float[np.ndarray, "q k"]
    embeddings: Embeddings
    data: PreparedData | None
    approximate: bool
    recipe: Resolved
    encoder: PretrainedEncoder

    @property
    def table(self) -> pd.DataFrame:
        """A row a neighbour: `query`, `rank` from 1 on, `distance`, and what is known of the neighbour."""
        n, k = self.rows.shape
        about = self.embeddings.about.iloc[self.rows.ravel()].reset_index(drop=True)
        beside = pd.DataFrame(
            {
                "query": np.repeat(self.queries["id"].to_numpy(), k),
                "rank": np.tile(np.arange(1, k + 1), n),
                "distance": self.distances.ravel(),
            }
        )
        return pd.concat([beside, about], axis=1)


def search(
    run_folder: Path,
    query: Any,
    embeddings: Path | pd.DataFrame,
    *,
    k: int = 10,
    exact: bool | None = None,
    options: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Found:
    """The rows of a file of embeddings that are nearest to a query, by cosine.

    Args:
        run_folder: of the run that made the embeddings.
        query: an id that is in the embeddings, else a file or folder of the domain, each row of which is a query; or
            rows in memory.
        embeddings: what `bam embed` wrote, or `Run.embed` returned.
        k: neighbours of each query.
        exact: find all of them, or by a graph; default: by a graph above 500,000 rows, if usearch is installed.
        options: of the reader, for a query of files.
        trusted: run the Python files that the run names, also if somebody else made it.

    Raises:
        DataError: no embeddings, embeddings of another encoder, or no such id or file.
        InputError: k below 1, or rows beyond the limit of queries.
        BAMError: the run, the query or the options do not fit.
    """
    if k < 1:
        raise InputError(f"k expected at least one neighbour; got {k}.")
    known = read_embeddings(embeddings)
    recipe = load_run(run_folder, trusted=trusted)
    encoder = _same_encoder(run_folder, known, trusted)
    ids = known.about["id"].astype(str).to_numpy() if "id" in known.about else np.arange(len(known.matrix)).astype(str)
    approximate = is_approximate(len(known.matrix), exact)
    source = embeddings if isinstance(embeddings, Path) and embeddings.is_file() else None
    data: PreparedData | None = None
    own = np.flatnonzero(ids == query) if isinstance(query, str) else np.array([], int)
    if len(own) and len(ids) == 1:
        raise DataError(f"the embeddings hold {query!r} and nothing else: there is nothing to search in.")
    if len(own):
        own = own[:1]
        queries, vectors = known.about.iloc[own].assign(id=ids[own]).reset_index(drop=True), known.matrix[own]
    else:
        path = _file(query, ids) if isinstance(query, str | Path) else query
        found = embed_new(recipe, encoder, path, options or {}, origin=False)
        asked = read_embeddings(found.table)
        queries, vectors, data = asked.about, asked.matrix, found.data
    if len(queries) > MOST_QUERIES:
        raise InputError(f"the query has {len(queries):,} rows; at most {MOST_QUERIES:,} are searched for at once.")
    nearest = find(known.matrix, vectors, k=k + len(own), approximate=approximate, source=source)
    rows, cosines = nearest.indices.numpy(), nearest.cosines.numpy()
    if len(own):
        others = rows[0] != own[0]
        rows, cosines = rows[:, others][:, :k], cosines[:, others][:, :k]
    distances = np.maximum(1 - cosines.astype(np.float64), 0)
    return Found(queries, rows, distances, known, data, approximate, recipe, encoder)


def _same_encoder(run_folder: Path, known: Embeddings, trusted: bool) -> PretrainedEncoder:
    """The run's encoder, or its teacher's, whichever made the embeddings.

    Raises:
        DataError: neither did, or the embeddings do not say.
    """
    teacher = known.source.get("network") == "teacher"
    encoder = load_encoder(run_folder, teacher=teacher, trusted=trusted)
    made, here = known.source.get("model"), model_hash(encoder)
    if made is None:
        raise DataError(
            "the embeddings expected the name of their encoder in their metadata; they have none. Distances between "
            "vectors of two encoders mean nothing: make them with bam embed."
        )
    if made != here:
        raise DataError(
            f"the embeddings are those of another encoder (its weights are {made}) than that of the run "
            f"{str(run_folder)!r} ({here}). Distances between vectors of two encoders mean nothing: name the run that "
            "made them, or embed the data again with this one."
        )
    return encoder


def _file(query: str | Path, ids: np.ndarray) -> Path:
    path = Path(query)
    if path.exists():
        return path
    like = difflib.get_close_matches(str(query), ids[:20_000].tolist(), n=3, cutoff=0.5) or ids[:3].tolist()
    raise DataError(
        f"the query {str(query)!r} expected an id in the embeddings, such as {', '.join(map(repr, like))}, or a file; "
        "it is neither."
    )
