"""Tables in the embedder: ids, places of columns, pandas categories, values that training did not know."""

import numpy as np
import pandas as pd
import pytest
from rows import TINY

from bam_core import BAMEmbedder, DataError


def embedder(**options):
    return BAMEmbedder(**{**TINY["tabular"], "steps": 1, "random_state": 0, **options})


def numbers(n=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng


@pytest.mark.parametrize("as_frame", [True, False])
def test_ids_are_set_aside_and_said(as_frame):
    x, rng = numbers()
    X = np.column_stack([x, 1000 + rng.permutation(40)])
    rows = pd.DataFrame(X, columns=["a", "b", "number"]).astype({"number": int}) if as_frame else X
    with pytest.warns(UserWarning, match=f"column '{'number' if as_frame else 2}': looks like an id"):
        fitted = embedder().fit(rows)
    assert fitted.facts_["n_numeric"] == 2
    other = rows.assign(number=0) if as_frame else np.column_stack([x, np.zeros(40)])
    np.testing.assert_array_equal(fitted.transform(other), fitted.transform(rows))
    kept = embedder(data={"keep": ["number" if as_frame else 2]}).fit(rows)
    assert kept.facts_["n_numeric"] == 3


@pytest.mark.parametrize("name", ["mrn", "patient_id", "Case", "uuid"])
def test_ids_by_name(name):
    x, rng = numbers()
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(**{name: rng.integers(0, 9, 40)})
    with pytest.warns(UserWarning, match=f"column '{name}': called like an id"):
        fitted = embedder().fit(frame)
    assert fitted.facts_["numeric_names"] == ["a", "b"]


def test_codes_by_place():
    x, rng = numbers()
    X = np.column_stack([x[:, :1], rng.integers(0, 3, 40), x[:, 1:]])
    fitted = embedder(data={"categorical": [1]}).fit(X)
    assert fitted.facts_["cardinalities"] == [2 + 3]
    assert fitted.facts_["n_numeric"] == 2
    again = embedder(data={"categorical": [1]}).fit(pd.DataFrame(X, columns=["a", "code", "b"]))
    np.testing.assert_array_equal(fitted.transform(X), again.transform(pd.DataFrame(X, columns=["a", "code", "b"])))


def test_pandas_categories_of_integers_with_missing_values():
    x, rng = numbers()
    codes = rng.integers(1, 4, 40).astype(object)
    codes[::7] = None
    frame = pd.DataFrame({"a": x[:, 0], "stage": pd.Categorical(codes, categories=[1, 2, 3])})
    fitted = embedder().fit(frame)
    plan = next(plan for plan in fitted.facts_["columns"] if plan["name"] == "stage")
    assert plan["categories"] == ["1", "2", "3"]
    assert np.isfinite(fitted.transform(frame)).all()


def test_values_that_training_did_not_know_are_refused_above_a_share():
    x, rng = numbers()
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(city=rng.choice(["Bonn", "Kiel"], 40))
    fitted = embedder().fit(frame)
    with pytest.raises(DataError, match="column 'city': 40 of 40 values"):
        fitted.transform(frame.assign(city=["Rom", "Wien"] * 20))
    with pytest.warns(UserWarning, match="categories not seen in training, such as 'Rom': 4"):
        fitted.transform(frame.assign(city=["Rom"] * 4 + list(frame["city"][4:])))
