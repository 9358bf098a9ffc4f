"""What is taken for tables instead of pretraining: gradient boosting on raw columns, and skrub's vectorizer."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bam_core.probes.classifiers import gradient_boosting
from bam_core.protocols import Baseline, FittedBaseline
from modalities.tabular.batches import collate_rows
from modalities.tabular.columns import FIRST

MOST_CATEGORIES = 255  # that scikit-learn's boosting takes; beyond, indices count as numbers


def boosted_columns(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """Numbers, which of them are missing, and indices of categories, for gradient boosting."""
    first = 2 * facts["n_numeric"]
    small = [first + i for i, size in enumerate(facts["cardinalities"]) if size <= MOST_CATEGORIES]

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        batch = collate_rows(columns, facts)
        return np.concatenate([batch[name].numpy() for name in ("numeric", "missing", "categorical")], axis=1)

    return FittedBaseline(features, classifier=gradient_boosting(categorical=small), knn=False)


def vectorized(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """skrub's TableVectorizer with what its `tabular_pipeline` puts behind it for linear models."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from skrub import SquashingScaler, TableVectorizer

    pipeline = make_pipeline(
        TableVectorizer(), SimpleImputer(add_indicator=True), SquashingScaler(max_absolute_value=5)
    )

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of categories that the fitted rows lack
            return np.asarray(pipeline.transform(as_frame(columns, facts)))

    pipeline.fit(as_frame(columns, facts))
    return FittedBaseline(features)


def as_frame(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> pd.DataFrame:
    """Prepared rows as the table that they were: numbers on their scale, NaN where missing; categories by name."""
    batch = collate_rows(columns, facts)
    numbers = batch["numeric"].double().numpy() * facts["scales"] + facts["means"]
    numbers[batch["missing"].numpy()] = np.nan
    parts: dict[str, Any] = dict(zip(facts["numeric_names"], numbers.T, strict=True))
    known = [plan["categories"] for plan in facts["columns"] if "categories" in plan]
    for name, names, indices in zip(facts["categorical_names"], known, batch["categorical"].numpy().T, strict=True):
        parts[name] = pd.Categorical.from_codes(np.maximum(indices - FIRST, -1), categories=names)
    return pd.DataFrame(parts)


BASELINES = {
    "gradient_boosting": Baseline(
        boosted_columns,
        "gradient boosting on raw columns (scikit-learn), beside the linear probe; it has no kNN.",
        fit_rows=1,
    ),
    "table_vectorizer": Baseline(
        vectorized,
        "TableVectorizer, imputation and SquashingScaler of skrub's pipeline for linear models.",
        packages=("skrub",),
        fit_rows=10_000,
    ),
}
