"""New data for a saved encoder: read as the training data were, whatever part of them it is."""

import numpy as np
import pandas as pd
import pytest
import torch

from bam_core.errors import DataError
from modalities.timeseries import MODALITY
from modalities.timeseries.data import read_arrays
from modalities.timeseries.long import read_frame, read_long
from modalities.timeseries.memory import read_series


@pytest.fixture
def series():
    """Twelve series of two channels, each on a level and a scale of its own."""
    return np.random.default_rng(0).normal(7, 3, (12, 2, 9)) * np.array([1, 100])[:, None]


@pytest.fixture
def facts(series):
    return dict(read_series(series=series, label=list("abc") * 4, normalize="train", test_fraction=0).facts)


def batch(prepared):
    return MODALITY.collate(prepared.splits["train"].with_format("numpy")[:], prepared.facts)


def test_scaling_is_that_of_training(series, facts):
    new = read_series(series=series[:3] + 50, normalize="train", fitted=facts)
    alone = read_series(series=series[2:3] + 50, normalize="train", fitted=facts)
    mean, std = (torch.tensor(facts[name])[:, None] for name in ("channel_mean", "channel_std"))
    expected = (torch.tensor(series[:3] + 50) - mean) / std
    torch.testing.assert_close(batch(new), expected.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(batch(alone), batch(new)[2:])


def test_rows_keep_their_order_and_classes_their_numbers(series, facts, tmp_path):
    np.savez(tmp_path / "new.npz", signals=series, label=["c", "c", "z", "c"] * 3, split=["test", "train"] * 6)
    from_file = read_arrays(path=str(tmp_path / "new.npz"), fitted=facts)
    in_memory = read_series(series=series, label=["c", "c", "z", "c"] * 3, fitted=facts)
    for prepared in (from_file, in_memory):
        assert list(prepared.splits) == ["train"]
        assert prepared.facts["classes"] == ["a", "b", "c"]
        assert prepared.labels("train").tolist() == [2, 2, -1, 2] * 3


def test_labels_and_groups_may_be_missing(series, facts, tmp_path):
    np.savez(tmp_path / "new.npz", signals=series[:1])
    np.save(tmp_path / "new.npy", series[:1])
    pd.DataFrame(series[:1, 0]).to_csv(tmp_path / "new.csv", index=False)
    for name in ("new.npz", "new.npy", "new.csv"):
        about = facts | {"in_channels": 1} if name == "new.csv" else facts
        prepared = read_arrays(path=str(tmp_path / name), label="rhythm", group="person", fitted=about)
        assert len(prepared.splits["train"]) == 1
        assert prepared.labels("train") is None
        assert prepared.groups("train") is None
    unlabelled = {name: value for name, value in facts.items() if name != "classes"}
    assert read_series(series=series, label=["a"] * 12, fitted=unlabelled).labels("train") is None
    assert len(read_series(series=series, group=["a", None] * 6, fitted=facts).splits["train"]) == 12


def test_other_channels(series, facts):
    with pytest.raises(DataError, match="series expected 2 channels, as the encoder was trained on; got 1"):
        read_series(series=series[:, :1], fitted=facts)
    with pytest.raises(DataError, match="got 4, with the masks of missing values"):
        read_series(series=series, missing="mask", fitted=facts)


def test_other_facts_are_another_cache_entry(series, facts):
    doubled = facts | {"channel_mean": [2 * value for value in facts["channel_mean"]]}
    first, second = (read_series(series=series, normalize="train", fitted=known) for known in (facts, doubled))
    assert not torch.equal(batch(first), batch(second))


def long_table(names, step):
    n = np.tile(np.arange(40), len(names))
    rng = np.random.default_rng(0)
    return pd.DataFrame({"id": np.repeat(names, 40), "time": n * step, "x": rng.normal(size=len(n)), "y": n})


def test_channels_of_long_tables_are_found_by_name(tmp_path):
    facts = dict(read_frame(frame=long_table(["a", "b", "c"], 0.1), normalize="none").facts)
    new = long_table(["d"], 0.1)
    expected = read_frame(frame=new, normalize="none", fitted=facts)
    new.assign(extra=1)[["y", "extra", "x", "time", "id"]].to_csv(tmp_path / "new.csv", index=False)
    found = read_long(path=str(tmp_path / "new.csv"), normalize="none", label="state", fitted=facts)
    torch.testing.assert_close(batch(found), batch(expected))
    with pytest.raises(DataError, match="frame expected 'y' as values; it has id, time, x"):
        read_frame(frame=new.drop(columns="y"), fitted=facts)


def test_steps_of_long_tables_are_those_of_training():
    facts = dict(read_frame(frame=long_table(["a", "b"], 0.1), normalize="none").facts)
    denser = read_frame(frame=long_table(["d"], 0.05), normalize="none", fitted=facts)
    assert denser.facts["length"] == 20
    assert denser.repairs == {"steps with several rows averaged": 20}
