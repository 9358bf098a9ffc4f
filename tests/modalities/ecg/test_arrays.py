"""ECGs from arrays, for a saved encoder."""

import numpy as np

from modalities.ecg.arrays import read_equal_arrays


def test_a_single_record_for_a_saved_encoder(tmp_path):
    records = np.random.default_rng(0).normal(size=(8, 2, 60))
    np.savez(tmp_path / "train.npz", signals=records, label=list("abababab"))
    np.savez(tmp_path / "new.npz", signals=records[:1], label=["b"])
    trained = read_equal_arrays(path=str(tmp_path / "train.npz"), sampling_rate_hz=100, normalize="none")
    new = read_equal_arrays(
        path=str(tmp_path / "new.npz"), sampling_rate_hz=100, normalize="none", fitted=dict(trained.facts)
    )
    assert new.labels("train").tolist() == [1]
    assert new.facts["classes"] == ["a", "b"]
    np.testing.assert_allclose(new.column("train", "signal")[0], records[0].ravel(), rtol=1e-6)
