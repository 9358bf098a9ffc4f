"""Nearest rows by cosine: exactly in blocks, or by a graph of neighbours (HNSW) where there are very many rows.

Source of the graph: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
Navigable Small World graphs", TPAMI 2020, arXiv 1603.09320; the package usearch builds it.
"""

import hashlib
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from bam_core.errors import MissingExtraError
from bam_core.outputs import written
from bam_core.probes.knn import Neighbours, nearest

MANY = 500_000  # rows, above which a graph is quicker even for one query, once it is made


def is_approximate(n_rows: int, exact: bool | None) -> bool:
    """Whether rows are to be found by a graph.

    Args:
        n_rows: to be searched.
        exact: as the user asks; None: whatever suits the number of rows and is installed.

    Raises:
        MissingExtraError: a graph is asked for and usearch is not installed.
    """
    installed = importlib.util.find_spec("usearch") is not None
    if exact is False and not installed:
        raise MissingExtraError("an approximate search needs the package usearch: pip install 'bam-ssl[search]'")
    return not exact if exact is not None else n_rows > MANY and installed


def find(
    bank: Float[np.ndarray, "n d"],
    queries: Float[np.ndarray, "q d"],
    *,
    k: int,
    approximate: bool = False,
    source: Path | None = None,
) -> Neighbours:
    """The k rows of a bank with the largest cosine to each query, nearest first.

    Args:
        bank: rows to search.
        queries: rows to find neighbours for.
        k: how many; fewer where the bank is smaller.
        approximate: by a graph, which misses a few of them; their cosines are exact.
        source: file of the bank. The graph is kept beside it, and made anew when the rows are others.

    Raises:
        InputError: widths that differ.
    """
    k = min(k, len(bank))
    if not approximate:
        return nearest(torch.from_numpy(bank), torch.from_numpy(queries), k=k)
    found = _graph(bank, source)(queries, k)
    unit = [torch.nn.functional.normalize(torch.from_numpy(rows), dim=-1) for rows in (queries, bank[found])]
    cosines = torch.einsum("qd,qkd->qk", *unit)
    order = cosines.argsort(dim=1, descending=True)
    return Neighbours(cosines.gather(1, order), torch.from_numpy(found).gather(1, order))


def _graph(
    bank: Float[np.ndarray, "n d"], source: Path | None
) -> Callable[[Float[np.ndarray, "q d"], int], Int[np.ndarray, "q k"]]:
    from usearch.index import Index

    index = Index(ndim=bank.shape[1], metric="cos", dtype="f32")
    kept = None if source is None else source.with_name(f"{source.name}.{_digest(bank)}.usearch")
    if kept is not None and kept.is_file():
        with suppress(RuntimeError):  # damaged: it is made anew
            index.load(str(kept))
    if len(index) != len(bank) or index.ndim != bank.shape[1]:
        index = Index(ndim=bank.shape[1], metric="cos", dtype="f32")
        index.add(np.arange(len(bank)), bank)
        if kept is not None and source is not None:
            for old in source.parent.glob(f"{escape(source.name)}.*.usearch"):
                old.unlink()
            with written(kept) as partial:
                index.save(str(partial))

    def search(queries: Float[np.ndarray, "q d"], k: int) -> Int[np.ndarray, "q k"]:
        return np.asarray(index.search(queries, k).keys, np.int64).reshape(len(queries), -1)

    return search


def _digest(bank: Float[np.ndarray, "n d"]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(bank).data, digest_size=8).hexdigest()
