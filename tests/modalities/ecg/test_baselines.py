import ecg_augmentations as ea
import numpy as np
import pytest

from modalities.ecg.baselines import BASELINES, amplitudes, intervals

FACTS = {"in_channels": 2, "shape": [2, 1000], "length": 1000, "sampling_rate_hz": 100.0, "leads": ["V1", "ii"]}


def records(rates):
    return np.stack([np.asarray(ea.synthetic_ecg(10, 100, rate, 2, seed=i)[0]) for i, rate in enumerate(rates)])


@pytest.mark.parametrize("rate", [50, 75, 120])
def test_the_rate_is_found(rate):
    found = intervals(records([rate])[0, 0].astype(np.float64), 100.0)
    assert found[0] == pytest.approx(60 / rate, rel=0.03)
    assert found[1] <= found[0] <= found[2]
    assert found[3] < 0.1


def test_a_record_without_beats_has_the_typical_ones_and_says_so():
    assert np.isnan(intervals(np.zeros(1000), 100.0)).all()
    signal = records([60, 60, 90])
    signal[2] = 0
    columns = {"signal": signal.reshape(3, -1)}
    fitted = BASELINES["heart_rate"].fit(columns, FACTS, n_rows=3, seed=0)
    assert fitted.note == "Intervals are those of lead II."
    found = fitted.features(columns)
    assert found.shape == (3, 9 + 9 + 12)
    assert np.isfinite(found).all()
    assert found[2, 0] == pytest.approx(found[:2, 0].mean())
    assert found[:, 9].tolist() == [0, 0, 1]


def test_rr_intervals_and_their_ratio():
    columns = {"rr": np.array([[0.5, 1.0, 0.7], [0.8, 0.8, 1.0]]), "signal": np.zeros((2, 20))}
    found = BASELINES["rr_intervals"].fit(columns, {"in_channels": 2}, n_rows=2, seed=0).features(columns)
    np.testing.assert_allclose(found[:, :4], [[0.5, 1.0, -np.log(2), 0.7], [0.8, 0.8, 0, 1.0]])


def test_amplitudes():
    signal = np.array([[[0.0, 2.0, -1.0, 0.0, 0.0]]])
    np.testing.assert_allclose(amplitudes(signal), [[2, -1, 0.25, 0.5, signal.std(), 6 / 4]])


@pytest.mark.parametrize(
    ("name", "facts", "why"),
    [
        ("rr_intervals", FACTS, "the reader knows no RR intervals"),
        ("heart_rate", {**FACTS, "sampling_rate_hz": None}, "the sampling rate is not known"),
        ("heart_rate", {**FACTS, "sampling_rate_hz": 500.0}, "a row lasts 2 s, and a rate needs 4 s"),
        ("heart_rate", FACTS, ""),
    ],
)
def test_what_data_they_need(name, facts, why):
    assert why in BASELINES[name].why_not(["signal"], facts)
    assert bool(why) == bool(BASELINES[name].why_not(["signal"], facts))
