"""A synthetic table for tests and first trials, and a real one that comes with scikit-learn."""

import numpy as np
import pandas as pd

from bam_core.data import PreparedData
from modalities.tabular.memory import read_frame


def synthetic_table(*, n_rows: int = 240, missing: float = 0.05, seed: int = 0) -> PreparedData:
    """Customers of two kinds, in four groups, one of which is for testing: numbers, categories, booleans, dates.

    Args:
        n_rows: rows in all.
        missing: share of missing values.
        seed: of everything.

    Returns:
        Prepared data with labels and groups.

    Example:
        >>> synthetic_table().facts["categorical_names"]
        ['plan', 'country', 'newsletter']
    """
    rng = np.random.default_rng(seed)
    kind = rng.permutation(n_rows) % 2
    age = rng.normal(35 + 15 * kind, 6)
    frame = pd.DataFrame(
        {
            "age": age.round(),
            "income": np.exp(rng.normal(10 + 0.5 * kind, 0.3)),
            "visits": rng.poisson(3 + 6 * (1 - kind)),
            "years as customer": (age - 20) / 3 + rng.normal(0, 1, n_rows),
            "plan": np.where(rng.random(n_rows) < 0.2 + 0.6 * kind, "family", "single"),
            "country": rng.choice(["Austria", "Belgium", "Chile"], n_rows),
            "newsletter": rng.random(n_rows) < 0.3 + 0.4 * kind,
            "since": pd.Timestamp("2024-06-01") - pd.to_timedelta(rng.integers(0, 2000, n_rows) * (1 + kind), "D"),
        }
    ).astype(object)
    frame = frame.mask(rng.random(frame.shape) < missing)
    branch = rng.integers(0, 4, n_rows)
    frame["branch"] = [f"branch {i}" for i in branch]
    frame["split"] = np.where(branch == 3, "test", "train")
    frame["label"] = np.where(kind == 0, "young", "settled")
    return read_frame(frame=frame, group="branch")


def read_breast_cancer() -> PreparedData:
    """Breast cancer Wisconsin (diagnostic), 569 tumours with 30 measurements each; a fifth of every class for testing.

    Returns:
        Prepared data with labels.

    Source: scikit-learn's `load_breast_cancer`; UCI, https://doi.org/10.24432/C5DW2B.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    return read_frame(frame=bunch.data.assign(label=bunch.target_names[bunch.target]), test_fraction=0.2)
