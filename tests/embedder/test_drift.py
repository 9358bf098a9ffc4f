"""New rows unlike the training's are warned of, or refused."""

import numpy as np
import pandas as pd
import pytest
from rows import TINY, rows_of

from bam_core import BAMEmbedder


def fitted(modality, X, **options):
    return BAMEmbedder(modality, **{**TINY[modality], "steps": 1, "random_state": 0, **options}).fit(X)


def test_a_column_in_other_units():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"height_m": rng.normal(1.7, 0.1, 40), "age": rng.normal(40, 10, 40)})
    embedder = fitted("tabular", table)
    embedder.transform(table.sample(5, random_state=0) * [1.05, 0.9])
    with pytest.warns(UserWarning, match=r"in other units\?\n  'height_m': 1[67]\d, in training 1.\d+ to 1.\d+$"):
        embedder.transform(table * [100, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * 1000, r"channel 0: spread \d+"),
        (lambda x: x / 1000, r"channel 0: spread 0.00\d+"),
        (lambda x: x + 273, r"channel 1: level 27\d, in training"),
    ],
)
def test_series_in_other_units(change, message):
    series = np.random.default_rng(0).normal(size=(12, 2, 40))
    embedder = fitted("timeseries", series, data={"normalize": "none"})
    embedder.transform(series[:3])
    with pytest.warns(UserWarning, match=message):
        embedder.transform(change(series[:3]))
    same = fitted("timeseries", series)  # each series is standardised: its unit does not matter
    np.testing.assert_allclose(same.transform(change(series)), same.transform(series), atol=1e-3)


def test_images_of_another_brightness():
    images = np.random.default_rng(0).integers(100, 150, (12, 8, 8, 3), dtype=np.uint8)
    embedder = fitted("image", images)
    with pytest.warns(UserWarning, match="channel 2: level 1, in training 1"):
        embedder.transform(np.ones_like(images))


def test_columns_without_a_value_say_nothing(tmp_path):
    table = pd.DataFrame({"a": [1.0, 2, 3, 4] * 5, "b": [np.nan] * 19 + [7.0], "c": [0.0, 1] * 10})
    embedder = fitted("tabular", table)
    embedder.transform(table.assign(b=np.nan).iloc[:3])
    embedder.save(tmp_path)
    with pytest.warns(UserWarning, match="'a': 5e\\+03"):
        BAMEmbedder.load(tmp_path).transform(table.assign(a=5000.0))


def test_modalities_keep_quiet_on_rows_like_the_training_rows():
    for modality in TINY:
        rows = rows_of(modality, 12)
        fitted(modality, rows).transform(rows_of(modality, 6, seed=1))


def test_padding_of_short_series_does_not_count():
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(2, t)) for t in (40, 60, 80, 100) * 4]
    embedder = fitted("timeseries", series, data={"normalize": "none"})
    embedder.transform([series[3], *(one[:, :30] for one in series)])  # says nothing


def test_far_longer_series_are_said():
    rng = np.random.default_rng(0)
    embedder = fitted("timeseries", [rng.normal(size=(2, t)) for t in (40, 60, 80, 100) * 4])
    with pytest.warns(UserWarning, match=r"are unlike.*\n  40 to 1,000 steps a row, in training 40 to 100"):
        embedder.transform([rng.normal(size=(2, t)) for t in (40, 1000)])
