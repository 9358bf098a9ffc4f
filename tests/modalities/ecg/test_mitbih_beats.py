import numpy as np

from modalities.ecg.mitbih_beats import CLASSES, PATH, RATE_HZ, STEP, read_mitbih_beats


def test_beats_of_people_who_are_in_one_split_only():
    prepared = read_mitbih_beats()
    assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 7094, "test": 6277}
    assert prepared.facts["classes"] == CLASSES
    assert (prepared.facts["in_channels"], prepared.facts["length"], prepared.facts["sampling_rate_hz"]) == (
        2,
        160,
        RATE_HZ,
    )
    train, test = set(prepared.groups("train")), set(prepared.groups("test"))
    assert (len(train), len(test), train & test) == (22, 21, set())
    assert np.bincount(prepared.labels("train")).tolist() == [4840, 711, 1543]
    assert np.bincount(prepared.labels("test")).tolist() == [4620, 491, 1166]
    assert PATH.stat().st_size < 2_500_000


def test_the_second_channel_is_the_deviation_from_the_persons_own_beat():
    prepared = read_mitbih_beats()
    rows = prepared.column("test", "signal").reshape(-1, 2, 160)
    person = np.array(prepared.groups("test"))
    for name in ("100", "232"):
        own = (rows[:, 0] - rows[:, 1])[person == name]
        np.testing.assert_allclose(own, own[:1].repeat(len(own), axis=0), atol=1e-5)
    peaks = np.abs(rows[prepared.labels("test") == 0, 0]).argmax(axis=1)
    assert np.median(peaks) == 96  # 0.75 s at 128 Hz
    np.testing.assert_allclose(rows[:, 0] / STEP, np.round(rows[:, 0] / STEP), atol=1e-3)
