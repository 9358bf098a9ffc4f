"""Bad input, reader by reader: a clear message, or a named set-aside; no library's traceback, no silence.

A case writes its input into a folder, and says how to read it and what has to be said: `Refused` by an error of ours,
`Aside` in the list of what could not be used, `Mended` in the list of repairs, or `Read`, with what comes out.
"""

import re
import shutil
from typing import NamedTuple

import bad_inputs as bad
import numpy as np
import pandas as pd
import pytest
from bad_inputs import GROUPS, IMAGES, LABELS, LONG, SIGNALS, TABLE, WIDE, N

from bam_core import BAMError, DataError
from bam_core.config.registry import load_modality
from bam_core.training.batches import GlobalBatches

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")


class Refused(NamedTuple):
    message: str


class Aside(NamedTuple):
    message: str
    count: int = 1


class Mended(NamedTuple):
    message: str


class Alone(NamedTuple):
    """Read, since it may be for `bam embed`; training refuses it."""


class Read(NamedTuple):
    classes: int = 2
    unlabelled: bool = False


ECG = {"window_s": 2.0}
PART = Read(unlabelled=True)


def spoil(path, contents=b"\x00\x01\xff"):
    path.write_bytes(contents)
    return path


def spoilt(folder, file, contents=b"\x00\x01\xff"):
    (folder / file).write_bytes(contents)
    return folder


def beside(folder, file):
    """A sound, called like what is read."""
    shutil.copy(bad.clip(folder.parent / "sound.wav"), folder / file)
    return folder


def nan_lead(record, signal):
    signal[:, 1] = np.nan if record == 2 else signal[:, 1]


def with_nan(values, *index):
    values = values.copy()
    values[index] = np.nan
    return values


def long_folder(folder):
    for i in range(4):
        bad.csv(folder / f"s{i}.csv", LONG[LONG["id"] == i].drop(columns=["id", "label"]))
    return folder


def words_in(frame, column, row):
    frame = frame.astype({column: object})
    frame.loc[row, column] = "oops"
    return frame


def csv_with(lines, folder):
    folder.mkdir(exist_ok=True)
    (folder / "x.csv").write_text(lines)
    return folder / "x.csv"


def short_line(folder):
    lines = bad.csv(folder / "x.csv", WIDE).read_text().splitlines()
    return csv_with("\n".join([*lines, "1,2,3"]), folder)


def labels_table(folder, sep):
    bad.records(folder)
    (folder / "labels.csv").write_text(f"record{sep}sex\n" + "".join(f"r{i}{sep}{'fm'[i % 2]}\n" for i in range(6)))
    return folder


OF_FOLDERS = {  # case, modality:reader, path, options, what has to be said
    ("empty", "ecg:wfdb"): (lambda d: d, ECG, Refused("expected WFDB headers .* found none")),
    ("empty", "ecg:ptbxl"): (lambda d: d, {}, Refused("expected PTB-XL in .* is not there")),
    ("empty", "ecg:arrays"): (lambda d: d, {}, Refused("expected a file, or a folder with one")),
    ("empty", "timeseries:arrays"): (lambda d: d, {}, Refused("expected a file, or a folder with one")),
    ("empty", "timeseries:long"): (lambda d: d, {}, Refused("expected tables .* found none")),
    ("empty", "audio:folder"): (lambda d: d, {}, Refused("expected sound files .* there are none")),
    ("empty", "audio:speech_commands"): (lambda d: d, {}, Refused("expected sound files .* there are none")),
    ("empty", "audio:manifest"): (lambda d: d, {}, Refused("expected a table at")),
    ("empty", "audio:huggingface"): (lambda d: d, {}, Refused("is no Hugging Face data set")),
    ("empty", "tabular:table"): (lambda d: d, {}, Refused("expected a file at .* that is a folder")),
    ("empty", "image:folder"): (lambda d: d, {}, Refused("expected images .* there are none")),
    ("empty", "image:arrays"): (lambda d: d, {}, Refused("expected a file at")),
    ("empty", "image:huggingface"): (lambda d: d, {}, Refused("is no data set that can be loaded")),
    ("empty", "image:shards"): (lambda d: d, {}, Refused("expected tar files .* there are none")),
    ("one corrupt", "image:shards"): (
        lambda d: bad.shard(d, lambda c: c.__setitem__(1, b"xx")), {}, Aside("x.tar:001: is no image")),
    ("only corrupt", "image:shards"): (lambda d: spoil(d / "x.tar"), {}, Refused("expected a tar file that is not")),
    ("wrong kind", "image:shards"): (lambda d: bad.picture(d / "x.tar"), {}, Refused("x.tar cannot be read")),
    ("one class", "image:shards"): (
        lambda d: bad.shard(d, labels=["no"] * 12), {}, Refused("at least two classes")),
    ("labels in part", "image:shards"): (
        lambda d: bad.shard(d, labels=["no", "yes", None, "yes", "no", None] * 2), {}, PART),
    ("label without image", "image:shards"): (
        lambda d: bad.shard(d, lambda c: c.__setitem__(1, None)), {}, Aside("x.tar:001: has a label but no image")),
    ("one corrupt", "ecg:wfdb"): (lambda d: spoilt(bad.records(d), "r2.dat"), ECG, Aside("r2: .*")),
    ("one corrupt header", "ecg:wfdb"): (lambda d: spoilt(bad.records(d), "r2.hea"), ECG, Aside("r2: .*")),
    ("one corrupt", "timeseries:long"): (
        lambda d: spoilt(long_folder(d), "s2.csv"), {}, Aside(r"s2.csv: .* is no text")),
    ("one corrupt", "audio:folder"): (
        lambda d: spoilt(bad.clips(d), "no/anna_1.wav", b"RIFFx"), {}, Aside("no/anna_1.wav: is no readable sound")),
    ("one corrupt", "audio:manifest"): (
        lambda d: spoil(bad.manifest(d).parent / "no/anna_1.wav").parents[1] / "manifest.csv", {},
        Aside("no/anna_1.wav: is no readable sound")),
    ("one corrupt", "audio:huggingface"): (
        lambda d: bad.hub(d, "audio", lambda c: c.__setitem__(1, b"RIFFx")), {}, Aside("is no readable sound")),
    ("one corrupt", "image:folder"): (lambda d: spoilt(bad.pictures(d), "a/2.png"), {}, Aside("a/2.png: is no image")),
    ("one corrupt", "image:huggingface"): (
        lambda d: bad.hub(d, "image", lambda c: c.__setitem__(1, b"xx")), {}, Aside("is no image")),
    ("one corrupt line", "tabular:table"): (
        lambda d: csv_with(bad.csv(d / "x.csv", TABLE).read_text() + "1,2,3,4,5,6,7\n", d), {},
        Refused("expected 5 fields in every line, as in the first; line 26 has 7")),
    ("one short line", "timeseries:arrays"): (short_line, {}, Mended("fewer fields than the first.*: 1")),
    ("one short line", "ecg:arrays"): (short_line, {}, Aside("x:24: 90% of channel 0 is missing")),
    ("one corrupt line", "timeseries:arrays"): (
        lambda d: csv_with("\n".join([*bad.csv(d / "x.csv", WIDE).read_text().splitlines(), "1," * 40]), d), {},
        Refused("expected 31 fields .*line 26")),
    ("only corrupt", "ecg:arrays"): (lambda d: spoil(d / "x.npz"), {}, Refused("begins with .* as no .npz does")),
    ("only corrupt", "timeseries:arrays"): (lambda d: spoil(d / "x.npz", b"PKx"), {}, Refused("no readable NumPy")),
    ("only corrupt", "image:arrays"): (lambda d: spoil(d / "x.npy"), {}, Refused("begins with .* as no .npy does")),
    ("only corrupt", "timeseries:long"): (lambda d: spoil(d / "x.parquet"), {}, Refused("no readable parquet")),
    ("only corrupt", "tabular:table"): (lambda d: spoil(d / "x.parquet"), {}, Refused("no readable parquet")),
    ("only corrupt", "audio:manifest"): (lambda d: spoil(d / "x.parquet"), {}, Refused("no readable table")),
    ("only corrupt", "image:huggingface"): (lambda d: spoil(d / "x.parquet"), {}, Refused("no data set that can")),
    ("only corrupt", "audio:huggingface"): (lambda d: spoil(d / "x.parquet"), {}, Refused("no data set that can")),
    ("wrong kind", "ecg:wfdb"): (lambda d: bad.pictures(d), ECG, Refused("expected WFDB headers")),
    ("wrong kind", "ecg:arrays"): (lambda d: spoil(d / "x.pdf"), {}, Refused(r"expected one of .npz, .*; got x.pdf")),
    ("wrong kind", "timeseries:arrays"): (lambda d: bad.picture(d / "x.csv"), {}, Refused("is no text")),
    ("wrong kind", "timeseries:long"): (lambda d: bad.pictures(d), {}, Refused("expected tables .* found none")),
    ("wrong kind", "audio:folder"): (lambda d: bad.pictures(d), {}, Refused("expected sound files")),
    ("wrong kind inside", "audio:folder"): (
        lambda d: (bad.picture(bad.clips(d) / "no" / "x.wav"), d)[1], {}, Aside("no/x.wav: is no readable sound")),
    ("wrong kind", "audio:manifest"): (lambda d: bad.picture(d / "x.csv"), {}, Refused("is no text")),
    ("wrong kind", "audio:huggingface"): (lambda d: bad.clips(d), {}, Refused("is no Hugging Face data set")),
    ("wrong kind", "tabular:table"): (lambda d: bad.picture(d / "x.csv"), {}, Refused("is no text")),
    ("wrong kind", "image:folder"): (lambda d: bad.clips(d), {}, Refused("expected images .*it holds 12 x .wav")),
    ("wrong kind inside", "image:folder"): (
        lambda d: beside(bad.pictures(d), "a/x.png"), {}, Aside("a/x.png: is no image")),
    ("wrong kind", "image:arrays"): (lambda d: bad.picture(d / "x.npy"), {}, Refused("begins with .*PNG")),
    ("wrong kind", "image:huggingface"): (lambda d: bad.pictures(d / "in")/ "a" / "0.png", {}, Refused("no data set")),
    ("one split of another name", "audio:huggingface"): (
        lambda d: bad.hub(d, "audio", split="speech"), {}, Refused("named train; it has speech.*speech: train")),
    ("NaN", "ecg:wfdb"): (
        lambda d: bad.records(d, change=nan_lead), {**ECG, "leads": ["I", "II"]}, Aside("r2: has no samples of lead")),
    ("NaN", "ecg:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=with_nan(SIGNALS, 3, 1)), {}, Aside("x:3: 100% of channel 1 is missing")),
    ("NaN", "timeseries:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=with_nan(SIGNALS, slice(None), 1)), {}, Refused("no usable row.*100% of")),
    ("NaN", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG.assign(y=np.nan)), {}, Refused("no usable row.*100% of chan")),
    ("NaN", "audio:folder"): (
        lambda d: (bad.clip(bad.clips(d) / "no/x.wav", values=np.full(4000, np.nan)), d)[1], {},
        Aside("no/x.wav: holds values that are not finite")),
    ("NaN", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE.assign(height=np.nan)), {}, Aside("column 'height': every value is miss")),
    ("NaN", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=with_nan(IMAGES, 3)), {}, Aside("x:3: holds NaN or infinity")),
    ("one class", "ecg:wfdb"): (
        lambda d: bad.records(d), {**ECG, "label": {f"r{i}": "x" for i in range(6)}}, Refused("at least two classes")),
    ("one class", "ecg:arrays"): (
        lambda d: bad.csv(d / "x.csv", WIDE.assign(label="a")), {}, Refused("at least two classes")),
    ("one class", "timeseries:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=SIGNALS, label=np.array(["a"] * N)), {}, Refused("at least two classes")),
    ("one class", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG.assign(label="a")), {}, Refused("at least two classes")),
    ("one class", "audio:folder"): (
        lambda d: (bad.clips(d), shutil.rmtree(d / "yes"), d)[-1], {}, Refused("two classes.*names of folders here")),
    ("one class", "audio:manifest"): (lambda d: bad.manifest(d, label="no"), {}, Refused("at least two classes")),
    ("one class", "audio:huggingface"): (
        lambda d: bad.hub(d, "audio", labels=["no"] * 12), {}, Refused("at least two classes")),
    ("one class", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE.assign(label="a")), {}, Refused("at least two classes")),
    ("one class", "image:folder"): (
        lambda d: bad.pictures(d, ("a",)), {}, Mended("one class folder only, 'a': images taken as unlabelled: 12")),
    ("one class", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=IMAGES, label=np.array(["a"] * N)), {}, Refused("at least two classes")),
    ("one class", "image:huggingface"): (
        lambda d: bad.hub(d, "image", labels=["no"] * 12), {}, Refused("at least two classes")),
    ("labels in part", "ecg:wfdb"): (
        lambda d: bad.records(d), {**ECG, "label": {f"r{i}": "xy"[i % 2] for i in range(4)}}, PART),
    ("labels in part", "ecg:arrays"): (
        lambda d: bad.csv(d / "x.csv", WIDE.assign(label=bad.some(LABELS))), {}, PART),
    ("labels in part", "timeseries:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=SIGNALS, label=bad.some(LABELS, "")), {}, PART),
    ("labels in part", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG.assign(label=np.repeat(bad.some(LABELS), 20))), {}, PART),
    ("labels in part", "audio:folder"): (lambda d: (bad.clip(bad.clips(d) / "x.wav"), d)[1], {}, PART),
    ("labels in part", "audio:manifest"): (
        lambda d: bad.manifest(d, label=["no", "yes", None, "yes", "no", None] * 2), {}, PART),
    ("labels in part", "audio:huggingface"): (
        lambda d: bad.hub(d, "audio", labels=["no", "yes", None, "yes", "no", None] * 2), {}, PART),
    ("labels in part", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE.assign(label=bad.some(LABELS))), {}, PART),
    ("labels in part", "image:folder"): (lambda d: (bad.picture(bad.pictures(d) / "x.png"), d)[1], {}, PART),
    ("labels in part", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=IMAGES, label=bad.some(LABELS, "")), {}, PART),
    ("labels in part", "image:huggingface"): (
        lambda d: bad.hub(d, "image", labels=["no", "yes", None, "yes", "no", None] * 2), {}, PART),
    ("groups in part", "ecg:wfdb"): (lambda d: bad.records(d), {**ECG, "group": {"r0": "x", "r1": "x"}}, Read(0)),
    ("groups in part", "ecg:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=SIGNALS, group=bad.some(GROUPS, "")), {}, Refused("group expected a")),
    ("groups in part", "timeseries:arrays"): (
        lambda d: bad.csv(d / "x.csv", WIDE.assign(group=bad.some(GROUPS))), {}, Refused("group expected a")),
    ("groups in part", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG.assign(group=np.repeat(bad.some(GROUPS), 20))), {},
        Refused("group expected a")),
    ("groups in part", "audio:manifest"): (
        lambda d: bad.manifest(d, group=["a", None, "b"] * 4), {}, Refused("group expected a")),
    ("groups in part", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE.assign(person=bad.some(GROUPS))), {"group": "person"},
        Refused("group expected a")),
    ("groups in part", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=IMAGES, group=bad.some(GROUPS, "")), {}, Refused("group expected a")),
    ("no such group", "ecg:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=SIGNALS), {"group": "who"}, Refused("expected 'who' as group; it has X")),
    ("no such group", "timeseries:long"): (lambda d: bad.csv(d / "x.csv", LONG), {"group": "who"}, Refused("'who'")),
    ("no such group", "audio:manifest"): (lambda d: bad.manifest(d), {"group": "who"}, Refused("no column 'who'")),
    ("no such group", "audio:huggingface"): (lambda d: bad.hub(d, "audio"), {"group": "who"}, Refused("'who'")),
    ("no such group", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE), {"group": "who"}, Refused("no column 'who' for group")),
    ("no such group", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=IMAGES), {"group": "who"}, Refused("'who' as group")),
    ("no such group", "image:huggingface"): (lambda d: bad.hub(d, "image"), {"group": "who"}, Refused("'who'")),
    ("one row", "ecg:wfdb"): (lambda d: bad.records(d, count=1, seconds=3), ECG, Alone()),
    ("one row", "ecg:arrays"): (lambda d: bad.npz(d / "x.npz", X=SIGNALS[:1]), {}, Refused("at least two")),
    ("one row", "timeseries:arrays"): (lambda d: bad.npz(d / "x.npz", X=SIGNALS[:1]), {}, Refused("at least two")),
    ("one row", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG[:20].drop(columns="label")), {}, Refused("at least two")),
    ("one row", "audio:folder"): (lambda d: bad.clip(d / "x.wav").parent, {}, Refused("at least two")),
    ("one row", "audio:manifest"): (
        lambda d: (bad.clip(d / "x.wav"), csv_with("file\nx.wav\n", d))[1], {}, Refused("at least two")),
    ("one row", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", TABLE[:1].drop(columns="label")), {}, Refused("at least two")),
    ("one row", "image:folder"): (lambda d: bad.picture(d / "x.png").parent, {}, Alone()),
    ("one row", "image:arrays"): (lambda d: bad.npz(d / "x.npz", images=IMAGES[:1]), {}, Alone()),
    ("too short", "ecg:wfdb"): (
        lambda d: (bad.records(d), bad.records(d / "more", seconds=1, count=1), d)[-1], ECG,
        Aside("lasts 1 s, less than one window of 2 s")),
    ("all too short", "ecg:wfdb"): (
        lambda d: bad.records(d, seconds=1), ECG, Refused("no usable row.*less than one window of 2 s")),
    ("all too short", "timeseries:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=SIGNALS), {"window": 100}, Refused("fewer than the window of 100")),
    ("too short", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", LONG[5:]), {"window": 18}, Aside(r"0: has 15 step\(s\), fewer than the window")),
    ("too short", "audio:folder"): (
        lambda d: (bad.clip(bad.clips(d) / "no/x.wav", 0.01), d)[1], {}, Aside("no/x.wav: has 80 samples, fewer than")),
    ("all too short", "audio:folder"): (lambda d: bad.clips(d, 0.01), {}, Refused("no usable row.*fewer than a frame")),
    ("words", "ecg:arrays"): (
        lambda d: bad.csv(d / "x.csv", words_in(WIDE, "t5", 3)), {}, Refused("column 't5' .* row 3 holds 'oops'")),
    ("words", "timeseries:arrays"): (
        lambda d: bad.npz(d / "x.npz", X=np.full((9, 8), "a")), {}, Refused("expected real numbers .* got <U1")),
    ("words", "timeseries:long"): (
        lambda d: bad.csv(d / "x.csv", words_in(LONG, "x", 40)), {}, Refused("column 'x' .* row 40 holds 'oops'")),
    ("words", "tabular:table"): (
        lambda d: bad.csv(d / "x.csv", words_in(TABLE, "age", 3)), {}, Aside("column 'age': neither numbers .*'oops'")),
    ("words", "image:arrays"): (
        lambda d: bad.npz(d / "x.npz", images=np.full((9, 8, 8), "a")), {}, Refused("expected images .* got <U1")),
    ("delimiter", "ecg:wfdb"): (
        lambda d: labels_table(d, ";"), {**ECG, "label": "labels.csv:sex"}, Read()),
    ("delimiter", "ecg:arrays"): (lambda d: bad.csv(d / "x.csv", WIDE, ";"), {}, Read()),
    ("delimiter", "timeseries:arrays"): (lambda d: bad.csv(d / "x.csv", WIDE, "|"), {}, Read()),
    ("delimiter", "timeseries:long"): (lambda d: bad.csv(d / "x.csv", LONG, "\t"), {}, Read()),
    ("delimiter", "audio:manifest"): (lambda d: bad.manifest(d, ";"), {}, Read()),
    ("delimiter", "tabular:table"): (lambda d: bad.csv(d / "x.csv", TABLE, ";"), {}, Read()),
}  # fmt: skip
IN_MEMORY = {
    ("NaN", "timeseries:series"): ({"series": with_nan(SIGNALS, 3, 1)}, Aside("series:3: 100% of channel 1")),
    ("NaN", "timeseries:frame"): ({"frame": LONG.assign(y=np.nan)}, Refused("no usable row.*100% of chan")),
    ("NaN", "tabular:frame"): ({"frame": TABLE.assign(height=np.nan)}, Aside("column 'height': every value is miss")),
    ("NaN", "image:memory"): ({"images": with_nan(IMAGES, 3)}, Aside("image:3: holds NaN")),
    ("one class", "timeseries:series"): ({"series": SIGNALS, "label": ["a"] * N}, Refused("at least two classes")),
    ("one class", "tabular:frame"): ({"frame": TABLE.assign(label="a")}, Refused("at least two classes")),
    ("one class", "image:memory"): ({"images": IMAGES, "label": ["a"] * N}, Refused("at least two classes")),
    ("labels in part", "timeseries:series"): ({"series": SIGNALS, "label": bad.some(LABELS)}, PART),
    ("labels in part", "timeseries:frame"): ({"frame": LONG.assign(label=np.repeat(bad.some(LABELS), 20))}, PART),
    ("labels in part", "tabular:frame"): ({"frame": TABLE.assign(label=bad.some(LABELS))}, PART),
    ("labels in part", "image:memory"): ({"images": IMAGES, "label": bad.some(LABELS)}, PART),
    ("groups in part", "timeseries:series"): ({"series": SIGNALS, "group": bad.some(GROUPS)}, Refused("group expec")),
    ("groups in part", "tabular:frame"): (
        {"frame": TABLE.assign(person=bad.some(GROUPS)), "group": "person"}, Refused("group expected a")),
    ("groups in part", "image:memory"): ({"images": IMAGES, "group": bad.some(GROUPS)}, Refused("group expected a")),
    ("one row", "timeseries:series"): ({"series": SIGNALS[:1]}, Refused("at least two")),
    ("one row", "tabular:frame"): ({"frame": TABLE[:1].drop(columns="label")}, Refused("at least two")),
    ("one row", "image:memory"): ({"images": IMAGES[:1]}, Alone()),
    ("too short", "timeseries:series"): (
        {"series": [*SIGNALS, SIGNALS[0][:, :9]], "window": 20}, Aside("has 9 step.*fewer than the window of 20")),
    ("words", "timeseries:series"): ({"series": [["a", "b"]] * 4}, Refused("expected numbers")),
    ("few words", "tabular:frame"): (
        {"frame": words_in(pd.concat([TABLE] * 4, ignore_index=True), "age", 3)},
        Mended("column 'age': no numbers, such as 'oops' in row 3, taken as missing: 1")),
    ("words", "timeseries:frame"): ({"frame": words_in(LONG, "x", 40)}, Refused("row 40 holds 'oops'")),
    ("words", "tabular:frame"): ({"frame": words_in(TABLE, "age", 3)}, Aside("column 'age': neither numbers .*'oops'")),
    ("words", "image:memory"): ({"images": np.full((9, 8, 8), "a")}, Refused("expected images .* got <U1")),
}  # fmt: skip


def check(reader, options, said):
    modality, name = reader.split(":")
    read = load_modality(modality).readers[name]
    if isinstance(said, Refused):
        with pytest.raises(BAMError, match=f"(?s){said.message}"):
            read(**options)
        return
    data = read(**options)
    train = len(data.splits["train"])
    if isinstance(said, Alone):
        with pytest.raises(DataError, match="training expected at least two rows, to compare them; the data have 1"):
            GlobalBatches(train, batch_size=32, seed=0)
        return
    assert train > 1
    aside = [f"{source}: {reason}" for source, reason in data.set_aside if source != "column 'person'"]  # an id
    if isinstance(said, Aside):
        assert len(aside) == said.count
        assert all(re.search(said.message, line) for line in aside), aside
        return
    assert not aside
    if isinstance(said, Mended):
        assert any(re.search(said.message, f"{kind}: {count}") for kind, count in data.repairs.items()), data.repairs
        return
    assert len(data.facts["classes"]) == said.classes
    if said.classes:
        labels = data.labels("train")
        assert bool((labels < 0).any()) == said.unlabelled
        assert set(data.labels("test")) & {0, 1}


@pytest.mark.parametrize(("case", "reader"), OF_FOLDERS, ids=map(" ".join, OF_FOLDERS))
def test_files(case, reader, tmp_path):
    make, options, said = OF_FOLDERS[case, reader]
    folder = tmp_path / "in"
    folder.mkdir()
    check(reader, {"path": str(make(folder)), **options}, said)


@pytest.mark.parametrize(("case", "reader"), IN_MEMORY, ids=map(" ".join, IN_MEMORY))
def test_memory(case, reader):
    check(reader, *IN_MEMORY[case, reader])


def test_no_reader_is_forgotten():
    """Readers of data that come with a package, and of examples, read nothing of a user's."""
    ours = {"example", "ecg5000", "mitbih_beats", "digits", "breast_cancer"}
    tested = {reader for _, reader in (*OF_FOLDERS, *IN_MEMORY)}
    for name in ("audio", "ecg", "image", "tabular", "timeseries"):
        assert {f"{name}:{reader}" for reader in load_modality(name).readers if reader not in ours} <= tested
