import warnings

import numpy as np
import pytest

from bam_core.probes.classifiers import ridge
from modalities.timeseries import baselines as module
from modalities.timeseries.baselines import BASELINES, signals

FACTS = {"in_channels": 2, "unequal": True, "longest": 40}


def series(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=2 * length).astype(np.float32) for length in rng.integers(10, 41, n)]


def test_unequal_series_end_in_zeros_at_the_longest():
    found = signals({"signal": [np.ones(6), np.ones(4)]}, {"in_channels": 2, "unequal": True}, 5)
    assert found[:, 0].tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert signals({"signal": np.ones((3, 8))}, {"in_channels": 2}).shape == (3, 2, 4)


def test_minirocket_needs_nine_steps():
    why_not = BASELINES["minirocket"].why_not
    assert why_not([], {"shape": [1, 8]}) == "its kernels span 9 steps, and these series have 8."
    assert why_not([], {"shape": [1, 9]}) == ""
    assert why_not([], FACTS) == ""


@pytest.mark.slow
def test_minirocket_and_catch22_of_aeon(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = {"signal": series(12)}
        fitted = BASELINES["minirocket"].fit(rows, FACTS, n_rows=12, seed=0)
        found = fitted.features(rows)
        again = BASELINES["minirocket"].fit(rows, FACTS, n_rows=12, seed=0).features(rows)
        assert found.shape == (12, 9996)
        assert found.min() >= 0
        assert found.max() <= 1
        np.testing.assert_array_equal(found, again)
        assert fitted.classifier is ridge
        assert fitted.note == "Shorter series are padded with zeros to the longest, 40 steps."
        monkeypatch.setattr(module, "FEATURES", 12 * 1000)
        few = BASELINES["minirocket"].fit(rows, FACTS, n_rows=12, seed=0)
        assert few.features(rows).shape == (12, 924)
        assert few.note.startswith("1,000 kernels, for there are many rows or steps.")

        flat = {"signal": [*series(3), np.ones(40, np.float32)]}
        characteristics = BASELINES["catch22"].fit(flat, FACTS, n_rows=4, seed=0).features(flat)
        assert characteristics.shape == (4, 2 * 24)
        assert np.isfinite(characteristics).all()
        np.testing.assert_allclose(characteristics[0, 22], flat["signal"][0].reshape(2, -1)[0].mean(), rtol=1e-3)
