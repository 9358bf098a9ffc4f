"""From rows in memory to their embeddings."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from bam_core.data.drift import unlike
from bam_core.embedder.rows import as_modality_wants, places_of
from bam_core.errors import DataError
from bam_core.protocols import Modality

if TYPE_CHECKING:
    from torch import nn

    from bam_core.data import PreparedData
    from bam_core.embedder.estimator import BAMEmbedder


class Embedded(NamedTuple):
    """Rows with their embeddings.

    Attributes:
        data: as they were read.
        modality: of the rows.
        parts: (m, d) embeddings of the rows, or of the parts that they were cut into.
        places: (m,) the row of each part.
        inputs: what each row of X is called, or its place; of a long frame each series.
    """

    data: "PreparedData"
    modality: Modality
    parts: np.ndarray
    places: np.ndarray
    inputs: Sequence[Any]


def embedded(embedder: "BAMEmbedder", X: Any) -> Embedded:
    """Read and embed rows with a fitted embedder.

    Raises:
        DataError: rows that cannot be used; they are named.
    """
    from bam_core.data.prepared import listed
    from bam_core.data.progress import shown

    modality = embedder._modality()
    X = as_modality_wants(embedder, X, modality, reset=False)
    with shown(embedder.verbose > 0):
        told = {*getattr(embedder, "notes_", ()), *embedder.repairs_}
        options = {**embedder._options, "fitted": embedder.facts_}
        data = read(X, modality, options, verbose=embedder.verbose, told=told)
        places, inputs = places_of(data), names_of_inputs(data, X)
        n_lost = len(inputs) - len(np.unique(places))
        if n_lost:
            raise DataError(
                f"{n_lost} of {len(inputs)} rows cannot be embedded:{listed(data.set_aside)}\nLeave these rows out."
            )
        differing = unlike(data, modality, getattr(embedder, "_ranges", {}), embedder.facts_)
        if differing:
            lines = "".join(f"\n  {line}" for line in differing)
            warnings.warn(
                f"these rows are unlike those that the encoder was trained on; are they in other units?{lines}",
                stacklevel=4,
            )
        return Embedded(data, modality, embed_rows(embedder.encoder_, data, modality), places, inputs)


def read(
    X: Any, modality: Modality, options: Mapping[str, Any], *, verbose: int, told: Collection[str] = ()
) -> "PreparedData":
    """Read rows, and say what was guessed, mended or left out.

    Args:
        X: the rows.
        modality: of the rows.
        options: of its `from_memory`.
        verbose: above 0, print it; else it is a warning.
        told: notes and kinds of repair that are no news.
    """
    data: PreparedData = modality.from_memory(X, **options)  # type: ignore[misc]
    if verbose > 0:
        print(data.account(), flush=True)
    elif data.set_aside or {*data.notes, *data.repairs} - {*told}:
        warnings.warn(f"BAMEmbedder read X in this way. {data.account()}", stacklevel=4)
    return data


def embed_rows(network: "nn.Module", data: "PreparedData", modality: Modality) -> np.ndarray:
    """(m, d) embeddings of the rows that were read."""
    from bam_core.data import SplitDataset
    from bam_core.runs.features import embed

    # scikit-learn wants rows of a table alike to the bit in every batch; of others float64 would cost up to sixfold
    exact = modality.columns_are_features
    rows = SplitDataset(data.splits["train"], modality.collate, data.facts)
    return np.asarray(embed(network, rows, exact=exact).numpy())


def names_of_inputs(data: "PreparedData", X: Any) -> Sequence[Any]:
    """What each embedding is of: the names that the reader found, else the places in X."""
    return data.names or range(_num_samples(X))
