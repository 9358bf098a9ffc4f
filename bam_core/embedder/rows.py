"""X as people pass it to scikit-learn, and as modalities take it."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import validate_data

from bam_core.errors import InputError
from bam_core.protocols import Modality

if TYPE_CHECKING:
    from bam_core.data import PreparedData
    from bam_core.embedder.estimator import BAMEmbedder


def as_modality_wants(embedder: "BAMEmbedder", X: Any, modality: Modality, *, reset: bool) -> Any:
    """X; a table as a frame with the columns of the training table, in their order.

    Args:
        embedder: learns the names of the columns, or knows them.
        X: as it was given.
        modality: of the rows.
        reset: whether X is for training.
    """
    if not modality.columns_are_features:
        return X
    import pandas as pd

    is_frame = isinstance(X, pd.DataFrame)
    if is_frame and not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique()[:5]
        raise InputError(
            f"X expected columns of different names; {', '.join(map(repr, twice))} came more than once. Rename them."
        )
    known = getattr(embedder, "feature_names_in_", None)
    if is_frame and not reset and known is not None and sorted(map(str, X.columns)) == sorted(set(known)):
        X = X[list(known)]  # by name, in whatever order
    X = validate_data(embedder, X, reset=reset, dtype=None, ensure_all_finite=False, skip_check_array=is_frame)
    if reset:
        names = getattr(embedder, "feature_names_in_", X.columns if is_frame else range(X.shape[1]))
        embedder._columns = [str(name) for name in names]
    return pd.DataFrame(X).set_axis(embedder._columns, axis=1)


def checked_groups(groups: Any, wanted: int | None, data: "PreparedData", n_inputs: int) -> np.ndarray | None:
    """What each row of `data` belongs to; the parts of a row that was cut belong to what the row belongs to.

    Args:
        groups: of the rows of X, or None.
        wanted: groups of a batch, or None for batches of all.
        data: the rows that were read.
        n_inputs: rows, or series, of X.

    Raises:
        InputError: no groups for `wanted`, or not one for each row.
    """
    if groups is None:
        if wanted is not None:
            raise InputError("groups_per_batch expected groups: pass them as fit(X, groups=...), one for each row.")
        return None
    given = np.asarray(groups)
    if given.shape != (n_inputs,):
        each = "series" if data.names else "row"
        raise InputError(f"fit expected groups of shape ({n_inputs},), one for each {each} of X; got {given.shape}.")
    if wanted is None:
        warnings.warn(
            "groups have no influence on training unless groups_per_batch says of how many each batch is.", stacklevel=3
        )
    return np.asarray(given[places_of(data)].astype(str))


def places_of(data: "PreparedData") -> np.ndarray:
    """(m,) the place in X of each row that was read, which may be a part of what stands there."""
    return np.array([int(name.partition("@")[0]) for name in data.splits["train"]["id"]])
