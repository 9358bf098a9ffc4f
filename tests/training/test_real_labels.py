"""Labels that are real numbers, where training and judging look at labels."""

import numpy as np
import pytest

from bam_core.config.build import Parts
from bam_core.config.schema import TrainSettings
from bam_core.data import in_memory
from bam_core.errors import DataError, InputError, RecipeError
from bam_core.imagenet.protocols import _labels
from bam_core.probes.fractions import balanced_rows
from bam_core.runs.baselines import split_labels
from bam_core.runs.evaluate_run import pictured_labels
from bam_core.training.online_knn import OnlineKNN


@pytest.fixture(scope="module")
def data():
    ages = np.append(np.arange(20) + 0.25, np.nan)

    def build(writer):
        for split in ("train", "test"):
            writer.add(split, signal=np.ones((21, 3)), id=[f"{split}{i}" for i in range(21)], label=ages)
        writer.facts |= {"classes": [], "task": "regression"}

    return in_memory("ages", build)


def test_they_are_judged_as_numbers_and_shown_as_fifths(data):
    labels = split_labels(data)
    assert labels.regression
    assert labels.test.dtype == np.float64
    fifths, names = pictured_labels(data, "test")
    assert names == ("0.25 to 3.25", "4.25 to 7.25", "8.25 to 11.25", "12.25 to 15.25", "16.25 to 19.25")
    assert np.bincount(fifths[:20]).tolist() == [4] * 5
    assert fifths[20] == -1


def test_what_needs_classes_says_so(data, tmp_path):
    with pytest.raises(DataError, match="one class a row; these data carry real numbers as labels"):
        _labels(data)
    parts = object.__new__(Parts)
    object.__setattr__(parts, "data", data)
    with pytest.raises(RecipeError, match=r"train\.knn_every expected labels of train, one class a row"):
        OnlineKNN(parts, TrainSettings(epochs=1, batch_size=4), tmp_path / "knn.csv")
    with pytest.raises(InputError, match="class-balanced draw expected labelled rows with one class each"):
        balanced_rows(data.labels("train"), 0.5)
