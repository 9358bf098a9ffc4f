import numpy as np
import pytest
import torch

from modalities.audio.baselines import BASELINES, statistics_in_parts
from modalities.audio.mel import mel_settings

FACTS = {"mel": mel_settings(sampling_rate_hz=4000, n_mels=32)}


def test_parts_follow_the_length_of_the_clip():
    frames = torch.tensor([[[1.0, 3.0, 5.0, 7.0, 9.0, 9.0, 9.0, 9.0]]])
    valid = (torch.arange(8) < 4)[None, None]
    found = statistics_in_parts(frames, valid)
    assert found.tolist() == [[1, 3, 5, 7, 0, 0, 0, 0]]
    one = statistics_in_parts(frames, (torch.arange(8) < 1)[None, None])
    assert one[0, 0] == 1
    assert one.isfinite().all()


@pytest.mark.parametrize(("name", "width"), [("mfcc", 20), ("log_mel", 32)])
def test_a_louder_clip_differs_in_level_only(name, width):
    """Mean and deviation of four parts; a factor moves every band by its logarithm, which is the first MFCC alone."""
    rng = np.random.default_rng(0)
    clip = (rng.normal(size=2000) * 8000).clip(-32768, 32767)
    features = BASELINES[name].fit({}, FACTS, n_rows=2, seed=0).features
    quiet, loud = features({"signal": [clip / 2, clip]}).reshape(2, 2, 4, width)
    moved = (loud - quiet)[0].mean(dim=0)
    torch.testing.assert_close(loud[1], quiet[1], atol=0.02, rtol=0.02)
    level = torch.full((32,), 2 * np.log(2.0))
    expected = level if name == "log_mel" else torch.cat([level[:1] * 32**0.5, torch.zeros(19)])
    torch.testing.assert_close(moved, expected.float(), atol=0.05, rtol=0.02)
