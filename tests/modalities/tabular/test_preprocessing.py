import json

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bam_core.errors import DataError
from modalities.tabular.associations import feature_groups
from modalities.tabular.batches import collate_rows, raw_row
from modalities.tabular.preprocessing import apply, fit, nothing_known


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    height = rng.normal(170, 10, 400)
    values = pd.DataFrame(
        {
            "height": height,
            "weight": (height - 100) * rng.normal(1, 0.02, 400),
            "gain": np.where(rng.random(400) < 0.9, 0, rng.exponential(1000, 400)),
            "city": rng.choice(["Bonn", "Kiel", "Ulm"], 400, p=[0.6, 0.3, 0.1]),
            "member": rng.random(400) < 0.5,
        }
    ).astype(object)
    values["code"] = values["city"].map({"Bonn": "B", "Kiel": "K", "Ulm": "U"})
    values.iloc[::10, 0] = None
    values.iloc[5::10, 3] = None
    return values


def batch_of(rows):
    return collate_rows({"numeric": rows.numeric, "categorical": rows.categorical}, {})


def test_it_is_what_scikit_learn_does(frame):
    train, test = frame.iloc[:300], frame.iloc[300:].copy()
    test.iloc[0, 3] = "Jena"
    numbers, categories = ["height", "weight", "gain"], ["city", "member", "code"]
    judge = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), numbers),
            ("m", SimpleImputer(strategy="constant", add_indicator=True, fill_value=0), ["height"]),
            ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        ]
    )

    def texts(part):
        filled = {c: part[c].fillna("").astype(str) for c in categories}
        return part.astype(dict.fromkeys(numbers, float)).assign(**filled)

    judge.fit(texts(train))
    expected = judge.transform(texts(test))
    expected = np.delete(expected, 3, axis=1)  # the height itself, which the indicator comes with

    facts = fit(train).facts
    got = raw_row(batch_of(apply(facts, test)), facts=facts).numpy()
    known = train["height"].astype(float)  # imputing first makes the spread of the training rows smaller
    expected[:, 0] *= known.fillna(known.mean()).std(ddof=0) / known.std(ddof=0)
    named = judge.get_feature_names_out().tolist()
    assert got.shape[1] == 3 + 1 + 4 + 3 + 4
    keep = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14]  # no columns for missing memberships and codes, which never are
    np.testing.assert_allclose(got[:, keep], expected, atol=1e-5, err_msg=str(named))
    assert (got[:, [8, 11]] == 0).all()


def test_facts_survive_json(frame):
    facts = fit(frame).facts
    again = json.loads(json.dumps(facts))
    assert again == facts
    for got, expected in zip(apply(again, frame), apply(facts, frame), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_only_the_training_rows_are_looked_at(frame):
    facts = fit(frame.iloc[:200]).facts
    changed = frame.copy()
    changed.iloc[200:, 1] = 1e6
    changed.iloc[200:, 3] = "Jena"
    assert fit(changed.iloc[:200]).facts == facts
    rows = apply(facts, changed)
    assert rows.notes == {"column 'city': categories not seen in training, such as 'Jena'": 200}
    assert (rows.categorical[200:, 0] == 0).all()
    np.testing.assert_allclose(apply(facts, changed.iloc[[300]]).numeric, rows.numeric[[300]])


def test_what_the_facts_say_of_the_training_rows(frame):
    facts = fit(frame).facts
    numeric = apply(facts, frame).numeric
    assert facts["numeric_names"] == ["height", "weight", "gain"]
    assert facts["categorical_names"] == ["city", "member", "code"]
    assert facts["cardinalities"] == [5, 4, 5]
    assert facts["missing_rates"] == pytest.approx([0.1, 0, 0])
    for column, quantiles in zip(numeric.T, facts["quantiles"], strict=True):
        known = np.sort(column[np.isfinite(column)])
        assert quantiles == sorted(quantiles)
        assert (quantiles[0], quantiles[-1]) == pytest.approx((known[0], known[-1]), rel=1e-6)
        assert np.isin(np.float32(quantiles), known).all()  # values of training rows
    assert np.mean(np.array(facts["quantiles"][2]) == facts["quantiles"][2][0]) == pytest.approx(
        (frame["gain"] == 0).mean(), abs=0.02
    )
    counts = frame["city"].value_counts()
    shares = [0, 0.1, *(counts[c] / 400 for c in ("Bonn", "Kiel", "Ulm"))]
    assert facts["frequencies"][0] == pytest.approx(shares)


def test_features_that_say_the_same_are_one_group(frame):
    groups = {frozenset(group) for group in fit(frame).facts["feature_groups"]}
    assert groups == {frozenset({0, 1}), frozenset({2}), frozenset({3, 5}), frozenset({4})}
    assert feature_groups(np.zeros((5, 1)), np.zeros((5, 0), int), []) == [[0]]
    rng = np.random.default_rng(0)
    independent = feature_groups(rng.standard_normal((500, 4)), rng.integers(2, 5, (500, 2)), [5, 5])
    assert sorted(map(len, independent)) == [1] * 6


def test_constant_parts_of_dates_are_dropped():
    frame = pd.DataFrame({"day": ["2024-01-01", "2024-01-08", "2024-01-15"], "size": [1, 2, 4]})
    assert fit(frame).facts["numeric_names"] == ["day: year", "day: season sin", "day: season cos", "size"]


def test_outliers_at_inference_stay_finite(frame):
    facts = fit(frame).facts
    far = frame.iloc[:1].assign(height=1e300)
    assert np.isfinite(apply(facts, far).numeric).all()


def test_missing_columns_are_named(frame):
    facts = fit(frame).facts
    with pytest.raises(DataError, match=r"'height' is missing; did you mean 'heights'\? It has heights,"):
        apply(facts, frame.rename(columns={"height": "heights"}))
    with pytest.raises(DataError, match="'height', 'city' are missing"):
        apply(facts, frame.drop(columns=["height", "city"]))


def test_no_column_of_use():
    with pytest.raises(
        DataError, match=r"at least one column that differs.*\n  a: constant.*\n  b: every value is miss"
    ):
        fit(pd.DataFrame({"a": [1, 1], "b": [None, None]}))


def test_rows_without_a_value(frame):
    facts = fit(frame).facts
    rows = apply(facts, pd.DataFrame([dict.fromkeys(frame.columns), frame.iloc[1].to_dict()]))
    assert nothing_known(rows).tolist() == [True, False]
