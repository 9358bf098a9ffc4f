"""Series in the containers of other libraries, and in either order of their axes."""

import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError
from modalities.ecg.arrays import from_memory as ecg_from_memory
from modalities.ecg.arrays import read_equal_arrays
from modalities.timeseries.data import read_arrays
from modalities.timeseries.memory import as_series, from_memory

SERIES = np.random.default_rng(0).normal(size=(6, 3, 20))  # (n, c, t)


def multi_index():
    index = pd.MultiIndex.from_product([range(6), range(20)], names=["instances", "timepoints"])
    return pd.DataFrame(SERIES.transpose(0, 2, 1).reshape(-1, 3), index=index, columns=list("xyz"))


@pytest.mark.parametrize(
    "container",
    [
        SERIES,
        list(SERIES),
        SERIES.tolist(),
        multi_index(),
        multi_index().sample(frac=1, random_state=0).sort_index(level=0, sort_remaining=False),
        [pd.DataFrame(one.T, columns=list("xyz")) for one in SERIES],
        pd.DataFrame({f"d{k}": [pd.Series(one[k]) for one in SERIES] for k in range(3)}),
    ],
)
def test_the_same_series_in_all_containers(container):
    np.testing.assert_array_equal(np.stack(list(as_series(container))), SERIES)


def test_one_series_in_every_row_of_a_frame():
    for frame in (pd.DataFrame(SERIES[:, 0]), pd.DataFrame(SERIES[:, 0]).convert_dtypes()):
        np.testing.assert_array_equal(as_series(frame), SERIES[:, :1])


@pytest.mark.parametrize("listed", [False, True])
def test_time_before_channels_is_refused_or_said(listed):
    turned = SERIES.transpose(0, 2, 1)
    series = list(turned) if listed else turned
    with pytest.raises(
        DataError, match=r"got 20 channels of 3 steps, as if time came first\. Say .*channels_last: true"
    ):
        from_memory(series)
    np.testing.assert_array_equal(np.stack(list(as_series(series, channels_last=True))), SERIES)
    np.testing.assert_array_equal(np.stack(list(as_series(series, channels_last=False))), turned)
    assert from_memory(series, channels_last=True).facts["in_channels"] == 3


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_files_with_time_before_channels(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    turned = SERIES.transpose(0, 2, 1)
    np.save(file, turned) if suffix == "npy" else np.savez(file, X=turned)
    for reader in (read_arrays, read_equal_arrays):
        with pytest.raises(DataError, match="channels_last"):
            reader(path=str(file))
        assert reader(path=str(file), channels_last=True).facts["shape"] == [3, 20]
    with pytest.raises(DataError, match="channels_last"):
        ecg_from_memory(turned, sampling_rate_hz=10)


def test_small_signals_keep_their_scale():
    """In tesla, as magnetic sensors of the heart give them."""
    facts = from_memory(SERIES * 1e-12, normalize="train").facts
    np.testing.assert_allclose(facts["channel_std"], SERIES.std(axis=(0, 2)) * 1e-12, rtol=1e-4)


@pytest.mark.parametrize("series", [[pd.DataFrame({"x": ["a", "b"]})] * 2, pd.DataFrame({"x": ["a", "b"]})])
def test_frames_of_texts(series):
    with pytest.raises(DataError, match=r"expected (real )?numbers.*got object of shape"):
        as_series(series)
