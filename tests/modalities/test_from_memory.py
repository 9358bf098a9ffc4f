"""Every modality reads rows in memory in the same way, leaves nothing on disk, and reads new ones as the old ones."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from rows import TINY, rows_of, take

from bam_core import DataError, InputError
from bam_core.config.registry import load_modality
from bam_core.data.prepared import ABOUT
from modalities.audio.memory import from_memory as waveforms
from modalities.ecg.arrays import from_memory as ecgs
from modalities.image.memory import from_memory as images
from modalities.tabular.memory import from_memory as table
from modalities.timeseries.memory import from_memory as series


@pytest.fixture(params=list(TINY))
def modality(request):
    return load_modality(request.param)


def batch_of(modality, data):
    rows = data.splits["train"].with_format("numpy")[:]
    return modality.collate({k: v for k, v in rows.items() if k not in ABOUT}, data.facts)


def tensors(batch):
    if not isinstance(batch, dict):
        return [batch]
    return [batch["signal"]] if "signal" in batch else list(batch.values())


def test_all_rows_are_there_in_order_and_nothing_on_disk(modality, cache):
    data = modality.from_memory(rows_of(modality.name), **TINY[modality.name].get("data", {}))
    assert set(data.splits) == {"train"}
    assert data.column("train", "id").tolist() == [str(i) for i in range(12)]
    assert data.labels("train") is None
    assert data.groups("train") is None
    assert json.loads(json.dumps(data.facts)) == data.facts
    assert not cache.exists()


def test_new_rows_are_read_as_the_old_ones(modality):
    rows, options = rows_of(modality.name), TINY[modality.name].get("data", {})
    trained = modality.from_memory(rows, **options)
    again = modality.from_memory(take(rows, [3]), fitted=dict(trained.facts), **options)
    assert again.column("train", "id").tolist() == ["0"]
    for one, all_rows in zip(tensors(batch_of(modality, again)), tensors(batch_of(modality, trained)), strict=True):
        assert torch.equal(one[0], all_rows[3][..., : one.shape[-1]])


def test_no_rows_are_an_error(modality):
    with pytest.raises(DataError, match=r"expected|is empty|found no usable row"):
        modality.from_memory(take(rows_of(modality.name), []), **TINY[modality.name].get("data", {}))


# --- what each takes


def test_tables():
    assert table(np.arange(6.0).reshape(3, 2)).facts["numeric_names"] == ["0", "1"]
    codes = table({"a": [1, 2, 1], "b": [0.5, 1, 2], "c": list("xyz")}, categorical=["a"], drop=["b"], max_categories=2)
    assert codes.facts["categorical_names"] == ["a"]  # too rare to be associated with anything
    assert [row.source for row in codes.set_aside] == ["column 'c'"]


def test_series_in_windows():
    data = series([np.arange(10.0), np.arange(5.0)], window=4, hop=3, normalize="none")
    assert data.column("train", "id").tolist() == ["0@0", "0@3", "0@6", "1@0"]


def test_records_have_one_length():
    with pytest.raises(DataError, match=r"one shape \(channels, time\); got \(1, 30\), \(1, 40\)"):
        ecgs([np.arange(30.0), np.arange(40.0)], sampling_rate_hz=100)
    nan = np.random.default_rng(0).normal(size=(3, 50))
    nan[1, :2] = np.nan
    assert ecgs(nan, sampling_rate_hz=100).facts["length"] == 50


def wave(n=2000):
    return np.sin(np.arange(n) / 5)


@pytest.mark.parametrize("scale", [np.int16, np.uint8, np.float64])
def test_waveforms_of_any_type(scale):
    one = wave()
    if scale == np.int16:
        one = (one * 32767).astype(scale)
    if scale == np.uint8:
        one = (one * 127 + 128).astype(scale)
    data = waveforms([one, one], sampling_rate_hz=8000, normalize="none")
    np.testing.assert_allclose(data.column("train", "signal")[0] / 32768, wave(), atol=0.02)


def test_waveforms_of_several_channels_in_windows():
    stereo = np.stack([wave(), np.zeros(2000)])
    data = waveforms([stereo, wave(900)], sampling_rate_hz=8000, window_s=0.1, window_hop_s=0.1)
    assert data.column("train", "id").tolist() == ["0@0", "0@0.1", "0@0.15", "1@0", "1@0.0125"]
    quiet = waveforms(np.stack([wave(), np.zeros(2000), wave()]), sampling_rate_hz=8000)
    assert quiet.set_aside == [("1", "is silent")]


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        (
            [wave().reshape(-1, 2)] * 2,
            {},
            DataError,
            r"expected \(channels, t\); got \(1000, 2\), which looks transposed",
        ),
        ([["a", "b"]] * 2, {}, DataError, r"waveforms\[0\] expected numbers"),
        ([wave()] * 2, {"sampling_rate_hz": -1}, InputError, "sampling_rate_hz expected a positive number"),
    ],
)
def test_unsuitable_waveforms(rows, options, error, message):
    with pytest.raises(error, match=message):
        waveforms(rows, **{"sampling_rate_hz": 8000, **options})


def test_images():
    grey = images(np.random.default_rng(0).integers(0, 17, (5, 8, 8)), max_value=16)
    assert grey.facts["in_channels"] == 1
    with pytest.raises(DataError, match="X expected images of one size"):
        images([np.zeros((8, 8)), np.zeros((8, 9))])
    with pytest.raises(DataError, match=r"X expected images \(n, height, width\)"):
        images(3)


def test_masked_samples_and_pixels():
    tone = np.sin(np.arange(8000) / 3)
    for wave in (tone, (tone * 32767).astype(np.int16)):
        masked = np.ma.array(wave, mask=np.arange(8000) == 7)
        data = waveforms([wave, wave, masked], sampling_rate_hz=8000)
        assert [(one.source, one.reason) for one in data.set_aside] == [("2", "holds values that are not finite")]
    pictures = np.ma.array(np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8), mask=False)
    assert images(pictures).facts["image_size"] == [8, 8]
    pictures[0, 0, 0] = np.ma.masked
    for given in (pictures, list(pictures)):
        with pytest.raises(DataError, match=r"expected a value in every pixel; some are masked\. Fill them"):
            images(given)


@pytest.mark.parametrize("name", sorted(set(TINY) - {"tabular"}))
def test_tensors_with_gradients(name):
    read, given = partial(load_modality(name).from_memory, **TINY[name].get("data", {})), rows_of(name)
    arrays = [np.asarray(row) for row in given]
    found = read([torch.tensor(row, requires_grad=row.dtype.kind == "f") for row in arrays])
    for one, other in zip(*(tensors(batch_of(load_modality(name), d)) for d in (found, read(given))), strict=True):
        torch.testing.assert_close(one, other)
