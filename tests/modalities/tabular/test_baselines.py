import numpy as np
import pandas as pd

from bam_core.probes.protocol import EvaluationProtocol
from bam_core.runs.baselines import columns_of, judge_baseline
from modalities.tabular import MODALITY
from modalities.tabular.baselines import as_frame
from modalities.tabular.memory import read_frame


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.integers(1, 30, n)
    return pd.DataFrame(
        {
            "height": np.where(rng.random(n) < 0.2, np.nan, rng.normal(170, 10, n)),
            "colour": np.where(rng.random(n) < 0.2, None, rng.choice(["red", "green"], n)),
            "code": code,
            "label": np.where(code % 2, "odd", "even"),
        }
    )


def test_prepared_rows_are_the_table_again():
    frame = table(200)
    data = read_frame(frame=frame.drop(columns="label"), categorical=["code"])
    found = as_frame(columns_of(data.splits["train"], np.arange(200)), data.facts)
    np.testing.assert_allclose(found["height"], frame["height"], rtol=1e-5)
    assert found["colour"].isna().equals(frame["colour"].isna())
    assert found["colour"].dropna().astype(str).tolist() == frame["colour"].dropna().tolist()
    assert found["code"].astype(str).tolist() == frame["code"].astype(str).tolist()


def test_boosting_and_vectorizer_find_what_is_in_a_code():
    """Odd or even: a number says nothing of it, a category all."""
    data = read_frame(frame=table(600), label="label", categorical=["code"], seed=1)
    protocol = EvaluationProtocol(fractions=(1.0,), draws=2, bootstrap=100, c_grid=(1.0,))
    boosting = judge_baseline("gradient_boosting", MODALITY, data, protocol)
    assert boosting.columns == [("linear", 1.0)]
    assert boosting.row("gradient_boosting", "linear", 1.0).mean > 0.95
    vectorizer = judge_baseline("table_vectorizer", MODALITY, data, protocol)
    assert vectorizer.row("table_vectorizer", "linear", 1.0).mean > 0.95
