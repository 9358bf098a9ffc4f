import json
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.audio import MODALITY
from modalities.audio.clips import read_clip, resample, sampling_rate
from modalities.audio.folder import read_folder, read_speech_commands
from modalities.audio.mel import LogMel

VOICES = r"/(?P<group>[a-z]+)_\d$"
WORDS_AND_VOICES = r"(?P<label>\w+)/(?P<group>[a-z]+)_\d$"


def batch_of(data, split="train"):
    dataset = SplitDataset(data.splits[split], MODALITY.collate, data.facts)
    return dataset.__getitems__(range(len(dataset)))


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


def test_sub_folders_are_labels(words):
    data = read_folder(path=str(words), test_fraction=0.5)
    assert data.facts["classes"] == ["no", "yes"]
    assert sizes(data) == {"train": 18, "test": 18}
    assert (data.facts["shortest"], data.facts["longest"]) == (1600, 2400)
    assert data.facts["sampling_rate_hz"] == 8000
    for split in data.splits:
        for row, label in zip(data.splits[split]["id"], data.labels(split), strict=True):
            assert row.startswith(f"{data.facts['classes'][label]}/")
    assert data.groups("train") is None
    json.dumps(dict(data.facts))


def test_names_of_files_tell_label_and_group(words):
    data = read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_groups=["cleo"], validation_groups=["bob"])
    assert sizes(data) == {"train": 12, "validation": 12, "test": 12}
    assert set(data.groups("train")) == {"anna"}
    assert set(data.groups("validation")) == {"bob"}
    assert set(data.groups("test")) == {"cleo"}
    drawn = read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_fraction=0.3)
    assert not set(drawn.groups("train")) & set(drawn.groups("test"))
    numbers = read_folder(path=str(words), pattern=r"(?P<label>\w+)/[a-z]+_(?P<group>\d)", test_groups=[5])
    assert set(numbers.groups("test")) == {"5"}


def test_more_rows_than_are_in_memory_at_a_time(words, monkeypatch, tmp_path_factory):
    whole = batch_of(read_folder(path=str(words), test_fraction=0.5))
    monkeypatch.setattr("modalities.audio.rows.BLOCK_BYTES", 10_000)
    monkeypatch.setenv("BAM_CACHE", str(tmp_path_factory.mktemp("cache")))
    parts = batch_of(read_folder(path=str(words), test_fraction=0.5))
    assert torch.equal(whole["signal"], parts["signal"])


def test_groups_alone_are_no_labels(words):
    data = read_folder(path=str(words), pattern=VOICES)
    assert sizes(data) == {"train": 36}
    assert data.labels("train") is None
    assert read_folder(path=str(words), pattern="").labels("train") is None


def test_files_without_a_match_are_named(words, tone):
    tone(words / "yes" / "README-1.wav")
    data = read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_groups=["bob"])
    assert [row.source for row in data.set_aside] == ["yes/README-1.wav"]
    assert "does not match the pattern" in data.set_aside[0].reason


def test_folders_of_splits(tmp_path, tone):
    for split in ("train", "val", "test"):
        for word in ("no", "yes"):
            tone(tmp_path / split / word / "a.wav")
    tone(tmp_path / "train" / "loose.wav")
    data = read_folder(path=str(tmp_path))
    assert sizes(data) == {"train": 3, "validation": 2, "test": 2}
    assert sorted(data.labels("train")) == [-1, 0, 1]
    assert data.facts["classes"] == ["no", "yes"]


def test_rows_without_a_label_train_too(words, tone):
    tone(words / "somewhere.wav")
    data = read_folder(path=str(words), test_fraction=0.5)
    assert dict(zip(data.splits["train"]["id"], data.labels("train"), strict=True))["somewhere.wav"] == -1


def test_any_rate_format_and_number_of_channels(tmp_path, tone):
    for i, (rate, channels, suffix) in enumerate(
        [(8000, 1, "wav"), (8000, 2, "flac"), (16000, 1, "ogg"), (11025, 2, "wav"), (44100, 6, "wav"), (8000, 1, "wav")]
    ):
        tone(tmp_path / f"{i}.{suffix}", 0.5, rate=rate, channels=channels)
    data = read_folder(path=str(tmp_path))
    assert data.facts["sampling_rate_hz"] == 8000
    batch = batch_of(data)
    assert all(abs(length - 4000) <= 1 for length in batch["length"].tolist())
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(4000) / 8000)
    for signal in batch["signal"][:, 0]:
        middle = slice(500, 3500)
        assert (signal[middle] - expected[middle]).abs().max() < 0.1
    at_4000 = read_folder(path=str(tmp_path), sampling_rate_hz=4000)
    assert at_4000.facts["sampling_rate_hz"] == 4000
    assert at_4000.facts["longest"] in (2000, 2001)


def test_channels_are_averaged_and_samples_exact(tmp_path):
    samples = np.random.default_rng(0).integers(-20000, 20000, (4000, 2)) // 2 * 2
    samples[:, 1] = -samples[:, 0] // 2
    soundfile.write(tmp_path / "a.wav", samples.astype(np.int16), 8000)
    soundfile.write(tmp_path / "b.wav", samples.astype(np.int16), 8000)
    stored = batch_of(read_folder(path=str(tmp_path), normalize="none"))["signal"][0, 0]
    assert (stored * 32768 - torch.from_numpy(samples.mean(axis=1))).abs().max() <= 0.5


def test_what_cannot_be_used_is_named(words, tone):
    (words / "no" / "empty.wav").touch()
    (words / "no" / "letter.wav").write_text("Dear Sir or Madam")
    contents = (words / "no" / "bob_0.wav").read_bytes()
    (words / "no" / "cut.wav").write_bytes(contents[:20])
    tone(words / "no" / "nothing.wav", 0)
    tone(words / "no" / "silent.wav", level=0)
    tone(words / "no" / "click.wav", 0.01)
    missing = np.full((4000, 2), 0.1, np.float32)
    missing[:, 1] = np.nan
    soundfile.write(words / "no" / "nan.wav", missing, 8000, subtype="FLOAT")
    (words / "no" / "notes.txt").write_text("not read")
    data = read_folder(path=str(words))
    found = {row.source: row.reason for row in data.set_aside}
    names = ("empty", "letter", "cut", "nothing", "silent", "click", "nan")
    assert set(found) == {"1 file(s) .txt", *(f"no/{name}.wav" for name in names)}
    assert found["no/empty.wav"] == "is empty"
    assert found["no/letter.wav"].startswith("is no readable sound")
    assert found["no/cut.wav"].startswith("is no readable sound")
    assert found["no/nothing.wav"] == "holds no samples"
    assert found["no/silent.wav"] == "is silent"
    assert found["no/click.wav"] == "has 80 samples, fewer than a frame of 200"
    assert found["no/nan.wav"] == "holds values that are not finite"
    assert sum(sizes(data).values()) == 36


def test_a_truncated_file_is_read_as_far_as_it_goes(words):
    whole = (words / "no" / "bob_5.wav").read_bytes()
    (words / "no" / "bob_5.wav").write_bytes(whole[: len(whole) // 2])
    header = whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4
    (words / "no" / "bob_4.wav").write_bytes(header + whole[44:])  # as ffmpeg writes into a pipe
    data = read_folder(path=str(words), pattern="")
    lengths = dict(zip(data.splits["train"]["id"], batch_of(data)["length"].tolist(), strict=True))
    assert 1150 < lengths["no/bob_5.wav"] < 1200
    assert lengths["no/bob_4.wav"] == 2400
    assert data.repairs == {"sounds shorter than their headers say, read as far as they go": 1}
    assert data.notes[-1] == "Sounds shorter than their headers say, read as far as they go: no/bob_5.wav."


@pytest.mark.parametrize(("kind", "suffix"), [("AIFF", "aiff"), ("AU", "au"), ("W64", "w64"), ("RF64", "rf64")])
def test_truncated_files_of_other_formats(tmp_path, kind, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.sin(np.arange(8000)), 8000, format=kind, subtype="PCM_16")
    said = []
    assert len(read_clip(path, 8000, mended=said.append)) == 8000
    assert said == []
    path.write_bytes(path.read_bytes()[:8000])
    assert len(read_clip(path, 8000, mended=said.append)) < 4000
    assert said == ["sounds shorter than their headers say, read as far as they go"]


def test_level(words, tone):
    soundfile.write(words / "no" / "loud.wav", 4 * np.sin(np.arange(4000.0)), 8000, subtype="FLOAT")
    soundfile.write(words / "no" / "quiet.wav", 1e-4 * np.sin(np.arange(4000.0)), 8000, subtype="FLOAT")
    scaled = read_folder(path=str(words), pattern="")
    assert (batch_of(scaled)["signal"].abs().amax(dim=(1, 2)) > 0.999).all()
    kept = read_folder(path=str(words), pattern="", normalize="none")
    assert kept.repairs == {"sounds above full scale, scaled down": 1}
    peaks = dict(zip(kept.splits["train"]["id"], batch_of(kept)["signal"].abs().amax(dim=(1, 2)).tolist(), strict=True))
    assert peaks["no/loud.wav"] > 0.999
    assert peaks["no/quiet.wav"] < 2e-4
    assert abs(peaks["no/bob_0.wav"] - 0.3) < 1e-3


def test_windows_of_long_files(tmp_path, tone):
    tone(tmp_path / "long.wav", 1.1)
    tone(tmp_path / "short.wav", 0.2)
    wave = np.concatenate([np.zeros(4000), np.sin(np.arange(4000))])
    soundfile.write(tmp_path / "pause.wav", wave, 8000)
    data = read_folder(path=str(tmp_path), window_s=0.5)
    assert sorted(data.splits["train"]["id"]) == [
        "long.wav@0",
        "long.wav@0.5",
        "long.wav@0.6",
        "pause.wav@0.5",
        "short.wav@0",
    ]
    assert set(data.groups("train")) == {"long.wav", "pause.wav", "short.wav"}
    assert data.set_aside == [("pause.wav", "1 of 2 windows: silent")]
    assert (data.facts["shortest"], data.facts["longest"]) == (1600, 4000)
    dense = read_folder(path=str(tmp_path), window_s=0.5, window_hop_s=0.25)
    assert [i for i in dense.splits["train"]["id"] if i.startswith("long")] == [
        "long.wav@0", "long.wav@0.25", "long.wav@0.5", "long.wav@0.6",
    ]  # fmt: skip


def test_the_log_mel_is_standardised_on_training_data_only(words, tone):
    for take in range(6):
        tone(words / "no" / f"dora_{take}.wav", level=0.9, hz=1500)
    data = read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_groups=["dora"])
    trained_on = read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_groups=["bob"])
    assert data.facts["mel"]["mean"] != trained_on.facts["mel"]["mean"]
    mel = LogMel(data.facts["mel"])(batch_of(data))
    frames = torch.cat([one[:, :n] for one, n in zip(mel["signal"], mel["length"], strict=True)], dim=1)
    torch.testing.assert_close(frames.mean(1), torch.zeros(64), atol=1e-3, rtol=0)
    torch.testing.assert_close(frames.std(1), torch.ones(64), atol=1e-2, rtol=0)


def test_new_data_are_read_like_those_of_training(words, tone, tmp_path):
    facts = dict(read_folder(path=str(words), n_mels=32).facts)
    tone(tmp_path / "new" / "yes" / "a.wav", rate=16000)
    tone(tmp_path / "new" / "maybe" / "b.wav", rate=16000)
    new = read_folder(path=str(tmp_path / "new"), fitted=facts)
    assert new.facts["mel"] == facts["mel"]
    assert new.facts["sampling_rate_hz"] == 8000
    assert sizes(new) == {"train": 2}
    assert dict(zip(new.splits["train"]["id"], new.labels("train"), strict=True)) == {"yes/a.wav": 1, "maybe/b.wav": -1}
    one = read_folder(path=str(tmp_path / "new" / "yes" / "a.wav"), fitted=facts, pattern=WORDS_AND_VOICES)
    assert list(one.splits["train"]["id"]) == ["a.wav"]
    assert list(one.groups("train")) == ["a.wav"]


def test_where_there_are_no_sounds(tmp_path, words):
    with pytest.raises(DataError, match=r"expected a folder of sounds at .*nowhere; there is none"):
        read_folder(path=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "letter.pdf").write_text("x")
    for path in ("empty", "empty/letter.pdf"):
        with pytest.raises(DataError, match=r"expected sound files \(.wav, .flac.*there are none"):
            read_folder(path=str(tmp_path / path))
    (tmp_path / "empty" / "a.wav").touch()
    with pytest.raises(DataError, match=r"no usable row for the split 'train'.\n  1 file.*\n  a.wav: is empty"):
        read_folder(path=str(tmp_path / "empty"))
    with pytest.raises(DataError, match="at least two usable sounds to train on; got one"):
        read_folder(path=str(words / "no" / "bob_0.wav"))


def test_one_class_only(words):
    with pytest.raises(DataError, match=r"at least two classes; all 18 labelled rows are 'no'.*set pattern: ''"):
        read_folder(path=str(_only(words, "no")))
    with pytest.raises(DataError, match="at least two classes") as error:
        read_folder(path=str(words), pattern="(?P<label>no)/")
    assert "pattern: ''" not in str(error.value)


def _only(words, word):
    for other in words.iterdir():
        if other.name != word:
            for file in other.iterdir():
                file.rename(words.parent / f"{other.name}-{file.name}")
            other.rmdir()
    return words


def test_groups_that_do_not_fit(words, tone):
    with pytest.raises(DataError, match=r"expected groups of the data \(anna, bob, cleo\); got \['dan'\]"):
        read_folder(path=str(words), pattern=WORDS_AND_VOICES, test_groups=["dan"])
    with pytest.raises(DataError, match=r"expected groups of the data \(none\); got \['bob'\]"):
        read_folder(path=str(words), test_groups=["bob"])
    with pytest.raises(DataError, match="group expected a value for every sound; 18 of 36 have none"):
        read_folder(path=str(words), pattern=r"yes/(?P<group>\w+)_|no/")
    with pytest.raises(DataError, match="group 'anna' is in the splits 'test' and 'train'"):
        read_folder(path=_renamed(words), pattern=r"^(?P<split>\w+)/(?P<group>[a-z]+)_")
    with pytest.raises(DataError, match=r"expected train, validation or test for every sound; got anna, bob, cleo. If"):
        read_folder(path=str(words.parent / "splits"), pattern=r"/(?P<split>[a-z]+)_")


def _renamed(words):
    target = words.rename(words.parent / "splits")
    (target / "no").rename(target / "train")
    (target / "yes").rename(target / "test")
    return str(target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "("}, "pattern expected a regular expression; '\\(' is none"),
        ({"pattern": "(?P<speaker>x)"}, "groups named label, group or split; got speaker"),
        ({"window_s": -1.0}, "window_s expected a positive number; got -1.0"),
        ({"sampling_rate_hz": 0}, "sampling_rate_hz expected a positive number; got 0"),
        ({"window_hop_s": 1.0}, "give their length, window_s, as well"),
        ({"n_mels": 1500}, "1500 mel bands are too many for a window of 200 samples at 8000 Hz"),
        ({"test_fraction": 1.5}, "test_fraction expected a value between 0 and 1; got 1.5"),
    ],
)
def test_wrong_options(words, options, message):
    with pytest.raises(InputError, match=message):
        read_folder(path=str(words), **options)


def test_speech_commands(tmp_path, tone):
    for word in ("down", "up"):
        for speaker in ("0a1b", "2c3d", "4e5f"):
            tone(tmp_path / word / f"{speaker}_nohash_0.wav", rate=16000)
    tone(tmp_path / "_background_noise_" / "pink_noise.wav", 2, rate=16000)
    (tmp_path / "testing_list.txt").write_text("down/0a1b_nohash_0.wav\nup/0a1b_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"expected Speech Commands in .*; validation_list.txt are not there"):
        read_speech_commands(path=str(tmp_path))
    (tmp_path / "validation_list.txt").write_text("down/2c3d_nohash_0.wav\nup/2c3d_nohash_0.wav\n")
    data = read_speech_commands(path=str(tmp_path))
    assert sizes(data) == {"train": 2, "validation": 2, "test": 2}
    assert data.facts["classes"] == ["down", "up"]
    assert set(data.groups("test")) == {"0a1b"}
    tone(tmp_path / "new" / "x.wav")
    new = read_speech_commands(path=str(tmp_path / "new"), fitted=dict(data.facts))
    assert new.facts["sampling_rate_hz"] == 16000


def test_reasons_of_single_files(tmp_path, tone):
    with pytest.raises(DataError, match="there is no such file"):
        read_clip(tmp_path / "none.wav", 8000)
    with pytest.raises(DataError, match="is no readable sound"):
        sampling_rate(b"RIFFRAFF")
    with pytest.raises(DataError, match="is empty"):
        sampling_rate(b"")
    assert sampling_rate(tone(tmp_path / "a.wav", rate=11025)) == 11025


def test_unlabelled_folders_stray_files_and_what_systems_leave(tmp_path, tone):
    for split in ("train", "test"):
        for word in ("no", "yes"):
            tone(tmp_path / split / word / "a.wav")
    for name in ("unlabeled/1.wav", "intro.wav", ".Trash-1000/1.wav", "__MACOSX/no/1.wav", "train/.hidden/1.wav"):
        tone(tmp_path / name)
    data = read_folder(path=str(tmp_path))
    assert data.facts["classes"] == ["no", "yes"]
    assert list(data.splits["train"]["id"]) == ["train/no/a.wav", "train/yes/a.wav", "unlabeled/1.wav"]
    assert data.labels("train").tolist() == [0, 1, -1]
    assert list(data.splits["test"]["id"]) == ["test/no/a.wav", "test/yes/a.wav"]
    assert [row.source for row in data.set_aside] == ["intro.wav"]
    assert "unlabeled/ -> train, without labels, 1 file(s)" in data.account()
    by_name = read_folder(path=str(tmp_path), pattern=r"(?P<label>no|yes)")
    assert sizes(by_name) == {"train": 2, "test": 2}


def test_sounds_of_formats_that_are_not_read_are_named(words):
    for name in ("a.m4a", "b.WMA", "c.mp4"):
        (words / "no" / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    (words / "no" / "d.sph").write_bytes(b"no sphere")
    found = {row.source: row.reason for row in read_folder(path=str(words)).set_aside}
    assert set(found) == {"no/a.m4a", "no/b.WMA", "no/c.mp4", "no/d.sph"}
    assert found["no/b.WMA"] == "is a sound of a format that is not read (.wma): convert it to .wav or .flac"
    assert found["no/d.sph"].startswith("is no readable sound")
    with pytest.raises(DataError, match=r"there are none; it holds 1 x .m4a"):
        read_folder(path=str(words / "no" / "a.m4a"))


def test_sphere_files_are_read(tmp_path):
    wave = np.sin(np.arange(4000) / 3).astype(np.float32) / 2
    soundfile.write(tmp_path / "a.sph", wave, 8000, format="NIST", subtype="PCM_16")
    assert np.abs(read_clip(tmp_path / "a.sph", 8000) - wave).max() < 1e-4


def test_rates_without_a_common_factor_take_little_memory(tmp_path, tone):
    for rate in (44099, 22255, 44100, 8000):
        tone(tmp_path / f"{rate}.wav", 0.5, rate=rate)
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 44100)
    tracemalloc.start()
    for rate in (44099, 22255, 8000):
        clip = read_clip(tmp_path / f"{rate}.wav", 44100)
        assert abs(len(clip) - 22050) <= 3
        assert np.abs(clip[300:21500] - expected[300:21500]).max() < 1e-3
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    with pytest.raises(DataError, match="has a sampling rate of 8 Hz, too far from the wanted 44100 Hz"):
        resample(np.ones(8, np.float32), 8, 44100)


def test_one_file_that_fails_is_set_aside(words, monkeypatch):
    def failing(clip, from_hz, to_hz):
        raise MemoryError

    monkeypatch.setattr("modalities.audio.clips.resample", failing)
    soundfile.write(words / "no" / "other.wav", np.sin(np.arange(4000)), 11025)
    data = read_folder(path=str(words))
    assert data.set_aside == [("no/other.wav", "does not fit into memory")]
    assert sum(sizes(data).values()) == 36


def test_stereo_with_one_side_inverted(words):
    wave = 0.5 * np.sin(np.arange(4000) / 3)
    soundfile.write(words / "no" / "inverted.wav", np.stack([wave, -wave], 1), 8000)
    soundfile.write(words / "no" / "left.wav", np.stack([wave, 0 * wave], 1), 8000)
    data = read_folder(path=str(words), pattern="", normalize="none")
    kind = "sounds whose channels cancel each other out, of which the first loud one was taken"
    assert data.repairs == {kind: 1}
    assert (
        data.notes[-1]
        == "Sounds whose channels cancel each other out, of which the first loud one was taken: no/inverted.wav."
    )
    rows = dict(zip(data.splits["train"]["id"], data.splits["train"]["signal"], strict=True))
    assert np.abs(np.asarray(rows["no/inverted.wav"]) / 32768 - wave).max() < 1e-4
    assert np.abs(np.asarray(rows["no/left.wav"]) / 32768 - wave / 2).max() < 1e-4


def test_one_long_sound_among_short_ones_is_refused(words, tone, monkeypatch):
    monkeypatch.setattr("modalities.audio.rows.LARGEST_BATCH", 64 * 4 * 8000 * 10)
    tone(words / "no" / "long.wav", 11)
    with pytest.raises(DataError, match=r"no/long.wav lasts 11 s, half .* 0.26 s: .* 64 rows take 0.0 GB.*window_s: 1"):
        read_folder(path=str(words))
    assert "no/long.wav@10" in read_folder(path=str(words), window_s=1, pattern="").splits["train"]["id"]
    facts = dict(read_folder(path=str(words), window_s=1, pattern="").facts)
    assert len(read_folder(path=str(words), fitted=facts).splits["train"]) == 37
    monkeypatch.setattr("modalities.audio.rows.MOST_SAMPLES", 8000 * 10)
    with pytest.raises(
        DataError, match=r"no/long.wav lasts 11 s, and would be embedded whole: at most 10 s fit.*window_s"
    ):
        read_folder(path=str(words), fitted=facts, seed=1)
    assert len(read_folder(path=str(words), fitted=facts, window_s=1).splits["train"]) > 37
