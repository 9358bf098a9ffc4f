"""Parts of files that a manifest lists."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from bam_core.errors import DataError
from modalities.audio.clips import Segment
from modalities.audio.manifest import read_manifest
from modalities.audio.segments import find_times

RATE = 8000


@pytest.fixture
def recordings(tmp_path):
    """Four seconds each; sample i of recording k has the value (i // 8000 + 1) / 10, with a sign that alternates."""
    for k in range(4):
        wave = np.repeat(np.arange(1, 5), RATE) / 10 * np.tile([1, -1], 2 * RATE)
        soundfile.write(tmp_path / f"r{k}.wav", wave, RATE, subtype="FLOAT")
    return tmp_path


def manifest(folder, columns, rows, name="m.csv"):
    pd.DataFrame(rows, columns=columns).to_csv(folder / name, index=False)
    return str(folder / name)


def rows_of(data):
    return {
        name: np.asarray(signal)
        for split in data.splits
        for name, signal in zip(data.splits[split]["id"], data.splits[split]["signal"], strict=True)
    }


SEGMENTS = [(f"r{k}.wav", s, s + 1, "ab"[s % 2]) for k in range(4) for s in range(4)]


def test_segments_are_read_and_those_of_a_file_stay_in_one_split(recordings):
    data = read_manifest(path=manifest(recordings, ["file", "start", "end", "label"], SEGMENTS), normalize="none")
    rows = rows_of(data)
    assert len(rows) == 16
    for name, signal in rows.items():
        second = int(name.split("@")[1][0])
        assert len(signal) == RATE
        assert np.abs(signal).tolist() == [round((second + 1) / 10 * 32768)] * RATE
    files = {split: {name.split("@")[0] for name in data.splits[split]["id"]} for split in data.splits}
    assert len(files["train"] | files["test"]) == 4
    assert not files["train"] & files["test"]
    assert "'start' and 'end' are times in seconds: 16 part(s) of 4 file(s) are read." in data.notes
    assert any("more than once" in note for note in data.notes)


def test_a_column_of_splits_may_divide_a_file(recordings):
    rows = [(*row, "test" if row[1] > 2 else "train") for row in SEGMENTS]
    path = manifest(recordings, ["file", "start", "end", "label", "split"], rows)
    assert {split: len(part) for split, part in read_manifest(path=path).splits.items()} == {"test": 4, "train": 12}


@pytest.mark.parametrize(
    ("columns", "factor"),
    [
        (("onset", "offset"), 1),
        (("Begin Time (s)", "End Time (s)"), 1),
        (("start_ms", "end_ms"), 1000),
        (("start_sample", "end_sample"), RATE),
        (("t_start", "t_end"), 1),
    ],
)
def test_units_and_spellings(recordings, columns, factor):
    rows = [(f"r{k}.wav", factor, 3 * factor) for k in range(4)]
    data = read_manifest(path=manifest(recordings, ["file", *columns], rows), normalize="none")
    signals = list(rows_of(data).values())
    assert [len(signal) for signal in signals] == [2 * RATE] * 4
    assert round(np.abs(signals[0][0]) / 32768, 3) == 0.2


def test_durations_open_ends_and_whole_files(recordings):
    rows = [("r0.wav", 1, 0.5), ("r1.wav", 3, None), ("r2.wav", None, None), ("r3.wav", None, 2)]
    found = rows_of(read_manifest(path=manifest(recordings, ["file", "offset", "duration"], rows)))
    assert {name: len(signal) / RATE for name, signal in found.items()} == {
        "r0.wav@1-1.5": 0.5,
        "r1.wav@3-": 1,
        "r2.wav": 4,
        "r3.wav@0-2": 2,
    }
    whole = read_manifest(path=manifest(recordings, ["file", "offset", "duration"], rows), start="none")
    assert set(rows_of(whole)) == {f"r{k}.wav" for k in range(4)}


def test_windows_of_segments(recordings):
    path = manifest(recordings, ["file", "start", "end"], [("r0.wav", 1, 3), ("r1.wav", 0, 2)])
    data = read_manifest(path=path, window_s=1)
    assert set(rows_of(data)) == {
        "r0.wav@1-3@0",
        "r0.wav@1-3@1",
        "r1.wav@0-2@0",
        "r1.wav@0-2@1",
    }
    places = {(row["id"], row["record"], row["start_s"], row["end_s"]) for row in data.splits["train"]}
    assert ("r0.wav@1-3@1", "r0.wav@1-3", 2.0, 3.0) in places  # seconds of the file


def test_segments_that_do_not_lie_in_their_file_are_named(recordings):
    rows = [
        ("r0.wav", 0, 1),
        ("r1.wav", 0, 4.05),
        ("r2.wav", 3, 5),
        ("r2.wav", 9, 10),
        ("r3.wav", 2, 1),
        ("r3.wav", 0, 1),
    ]
    data = read_manifest(path=manifest(recordings, ["file", "start", "end"], rows))
    assert dict(data.set_aside) == {
        "r2.wav@3-5": "ends at 5 s, but the file lasts 4 s",
        "r2.wav@9-10": "begins at 9 s, but the file lasts 4 s",
        "r3.wav@2-1": "expected a segment that begins at 0 s or later and ends later; got (2.0, 1.0)",
    }
    assert len(rows_of(data)["r1.wav@0-4.05"]) == 4 * RATE


def test_times_of_another_recording_are_refused(recordings):
    """UrbanSound8K's `start` and `end` are those in the recording that the files were cut from."""
    rows = [(f"r{k}.wav", 10 * k, 10 * k + 4) for k in range(4)]
    path = manifest(recordings, ["file", "start", "end"], rows)
    with pytest.raises(
        DataError, match=r"'start' of m.csv expected times in seconds within the files; of 4 .* 3 begin"
    ):
        read_manifest(path=path)
    assert len(rows_of(read_manifest(path=path, start="none"))) == 4


def test_files_that_are_listed_twice_stay_in_one_split(recordings):
    rows = [(f"r{k}.wav", label) for k in range(4) for label in "ab"]
    data = read_manifest(path=manifest(recordings, ["file", "label"], rows), test_fraction=0.5)
    ids = {split: list(data.splits[split]["id"]) for split in data.splits}
    assert sorted(ids["train"] + ids["test"]) == sorted(f"r{k}.wav{more}" for k in range(4) for more in ("", "#2"))
    assert not {name[:2] for name in ids["train"]} & {name[:2] for name in ids["test"]}


def test_wrong_columns():
    frame = pd.DataFrame({"file": ["a"], "start": ["0:10"], "end_ms": ["1"]})
    with pytest.raises(DataError, match="same unit; got 'start' in seconds, 'end_ms' in milliseconds"):
        find_times(frame, None, None, "m.csv")
    with pytest.raises(DataError, match=r"column 'start' of m\.csv expected numbers, times within a file; got '0:10'"):
        find_times(frame, None, "none", "m.csv")
    with pytest.raises(DataError, match=r"m\.csv has no column 'begin'; it has file, start, end_ms"):
        find_times(frame, "begin", None, "m.csv")
    assert find_times(frame[["file"]], None, None, "m.csv") is None
    ends = find_times(frame.assign(start="1"), None, "none", "m.csv")
    assert ends.segments([Path("a")]) == [Segment(Path("a"), 1.0, None)]
