"""scikit-learn's own checks, and its tools around the embedder."""

import pickle
import re
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from rows import TINY, rows_of
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bam_core import BAMEmbedder

TINY_TABLE = BAMEmbedder(encoder={"width": 8, "depth": 1}, objective={"projector_hidden": 8}, epochs=1)


@parametrize_with_checks([TINY_TABLE])
def test_scikit_learns_checks(estimator, check, monkeypatch):
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # a check wants __init__ to take values of any type
    check(estimator)


def test_in_a_pipeline_and_a_grid_search(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # grids hold numpy's numbers
    series, y = rows_of("timeseries", 12), np.arange(12) % 2
    pipeline = make_pipeline(
        BAMEmbedder("timeseries", **TINY["timeseries"], epochs=1, random_state=0),
        StandardScaler(),
        LogisticRegression(),
    )
    grid = {"bamembedder__encoder__d": [4, 6], "bamembedder__epochs": np.array([1])}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(series, y)
    assert search.best_estimator_[0].transform(series).shape == (12, search.best_params_["bamembedder__encoder__d"])
    assert search.predict(series).shape == (12,)
    assert clone(search.best_estimator_[0]).get_params() == search.best_estimator_[0].get_params()


def test_output_as_a_frame():
    frame = rows_of("tabular", 10).set_axis([f"row {i}" for i in range(10)])
    embedder = BAMEmbedder(**TINY["tabular"], epochs=1, random_state=0).set_output(transform="pandas")
    embeddings = embedder.fit_transform(frame)
    assert isinstance(embeddings, pd.DataFrame)
    assert embeddings.index.tolist() == frame.index.tolist()
    assert embeddings.columns[0] == "bamembedder0"


@pytest.mark.parametrize("modality", list(TINY))
def test_pickle(modality):
    rows = rows_of(modality)
    fitted = BAMEmbedder(modality, **TINY[modality], epochs=1).fit(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(rows), fitted.transform(rows))


@pytest.mark.slow
def test_the_code_of_the_page(tmp_path, monkeypatch):
    """docs/sklearn.md as it stands, with fewer epochs and a smaller encoder; of `bam embed` see test_embedding_docs."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "sklearn.md").read_text(encoding="utf-8")
    quick = text.replace("(random_state=0)", '(random_state=0, epochs=1, encoder={"width": 8})').replace(
        "[50, 100]", "[1]"
    )
    assert quick.count("epochs=1,") == 3
    names = {}
    for block in re.findall(r"```python\n(.*?)```", quick, re.DOTALL):
        if "embeddings.parquet" in block:
            continue
        exec(block, names)
        if "y" in names:
            names |= {"X_all": names["X"], "X_labelled": names["X"][:50], "y_labelled": names["y"][:50]}
    assert names["vectors"].shape == (60, 64)
    assert names["search"].best_score_ > 0.5
    assert (tmp_path / "encoders" / "mine" / "model.safetensors").is_file()
