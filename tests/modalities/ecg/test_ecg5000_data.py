import hashlib
from pathlib import Path

import numpy as np
import pytest

import modalities.ecg
from modalities.ecg.ecg5000 import CLASSES, read_ecg5000

FOLDER = Path(modalities.ecg.__file__).parent


@pytest.mark.parametrize(
    ("split", "train", "test"),
    [
        ("official", [292, 177, 10, 19, 2], [2627, 1590, 86, 175, 22]),
        ("large_train", [2335, 1414, 77, 155, 19], [584, 353, 19, 39, 5]),
    ],
)
def test_beats_by_class(split, train, test):
    prepared = read_ecg5000(split=split)
    assert np.bincount(prepared.labels("train")).tolist() == train
    assert np.bincount(prepared.labels("test")).tolist() == test
    assert prepared.facts == {
        "in_channels": 1,
        "length": 140,
        "shape": [1, 140],
        "sampling_rate_hz": 180.0,
        "leads": ["ECG"],
        "classes": CLASSES,
    }
    assert not prepared.set_aside
    rows = prepared.column("train", "signal")
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=1), 1, atol=1e-5)


def test_no_beat_is_in_both_splits():
    prepared = read_ecg5000(split="large_train")
    ids = [set(prepared.column(name, "id").tolist()) for name in ("train", "test")]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == {f"ecg5000:{i}" for i in range(5000)}


def test_the_file_is_small_and_the_one_of_the_note():
    file, note = FOLDER / "ecg5000.npz", (FOLDER / "ecg5000.md").read_text()
    assert file.stat().st_size < 2_500_000
    assert hashlib.sha256(file.read_bytes()).hexdigest() in note
    assert f"{file.stat().st_size:,}" in note
