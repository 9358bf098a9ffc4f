import os
from collections import Counter

import numpy as np
import pytest
import wfdb

from bam_core.errors import DataError, InputError, MissingExtraError
from modalities.ecg.assignment import wanted_records
from modalities.ecg.beats import AAMI, MITBIH_INTER_PATIENT
from modalities.ecg.data import read_wfdb
from modalities.ecg.records import resample

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")  # see conftest.py

BEATS = {"cut": "beats", "window_s": 0.7, "before_s": 0.3}


def beats(write, **options):
    return read_wfdb(path=str(write.folder), **{**BEATS, "test_fraction": 0, **options})


def windows(write, **options):
    return read_wfdb(path=str(write.folder), **{"window_s": 2.0, **options})


def signals(prepared, split="train"):
    rows = prepared.column(split, "signal")
    return rows.reshape(len(rows), *prepared.facts["shape"])


def said(prepared):
    return dict(prepared.set_aside)


# --- beats


def test_beats_are_cut_around_the_r_peak(write):
    write("100", symbols="NAVFQ")
    prepared = beats(write)
    rows = signals(prepared)
    assert rows.shape == (19, 2, 252)
    assert rows.dtype == np.float32
    assert (rows.argmax(axis=2) == 108).all()
    assert prepared.labels("train")[:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert prepared.column("train", "id")[1] == "100@720"
    second = prepared.splits["train"][1]  # 0.7 s, 0.3 s of them before the peak at 2 s
    assert (second["record"], second["start_s"], second["end_s"]) == ("100", 612 / 360, pytest.approx(864 / 360))
    assert set(prepared.groups("train")) == {"100"}
    assert prepared.facts == {
        "shape": [2, 252],
        "shapes": {"rr": [3]},
        "in_channels": 2,
        "length": 252,
        "sampling_rate_hz": 360.0,
        "leads": ["MLII", "V1"],
        "classes": ["N", "S", "V", "F", "Q"],
    }


def test_beats_beside_their_deviation_from_the_median_of_their_record(write):
    write("100", symbols="NNNNV")
    write("101", symbols="NNNNNNNN")
    plain, both = signals(beats(write)), signals(beats(write, from_median=True))
    assert both.shape == (len(plain), 4, 252)
    np.testing.assert_array_equal(both[:, :2], plain)
    person = beats(write, from_median=True).groups("train")
    for name in ("100", "101"):
        rows = plain[np.array(person) == name]
        np.testing.assert_allclose(both[np.array(person) == name, 2:], rows - np.median(rows, axis=0), atol=1e-6)
    assert beats(write, from_median=True).facts["in_channels"] == 4
    with pytest.raises(InputError, match="has no use for from_median"):
        windows(write, from_median=True)


def test_every_symbol_has_its_class(write):
    symbols = "".join(AAMI.values())
    write("100", symbols=symbols)
    prepared = beats(write)
    found = [prepared.facts["classes"][label] for label in prepared.labels("train")]
    assert found[: len(symbols)] == [name for name, listed in AAMI.items() for _ in listed]


def test_a_choice_of_classes_in_the_order_given(write):
    write("100", symbols="NVQ")
    prepared = beats(write, classes=["V", "N"])
    assert prepared.facts["classes"] == ["V", "N"]
    assert prepared.labels("train")[:4].tolist() == [1, 0, 1, 0]
    assert len(prepared.splits["train"]) == 13


def test_beats_of_other_kinds_and_marks_that_are_no_beats(write):
    write("100", symbols="N+n")
    prepared = beats(write)
    assert len(prepared.splits["train"]) == 7
    assert said(prepared) == {"100": "6 of 13 beats: of a kind without a class"}


def test_intervals_between_beats(write):
    write("100", peaks=[360, 720, 900, 1440], seconds=5)
    rr = beats(write).column("train", "rr")
    np.testing.assert_allclose(rr[:, 0], [1, 1, 0.5, 1.5])
    np.testing.assert_allclose(rr[:, 1], [1, 0.5, 1.5, 1.5])
    np.testing.assert_allclose(rr[:, 2], [1, 1, 0.5, 1.5])  # the mean around is 1 s


def test_beats_at_the_ends_are_padded(write):
    write("100", peaks=[10, 1000, 1790], seconds=5)
    prepared = beats(write, normalize="none", leads=["MLII"])
    assert prepared.repairs == {"beats at the end of a record, padded with its last value": 2}
    first, _, last = signals(prepared)[:, 0]
    assert (first[:98] == first[0]).all()
    assert (last[-134:] == last[-1]).all()
    assert last.argmax() == 108


def test_annotation_files_by_their_suffix(write):
    path = write("100", symbols="")
    with pytest.raises(DataError, match=r"no annotation file 100\.atr"):
        beats(write)
    wfdb.wrann("100", "qrs", np.array([400, 800, 1200]), ["N"] * 3, write_dir=str(path.parent))
    assert len(beats(write, annotations="qrs").splits["train"]) == 3


def test_records_without_beats_are_set_aside(write):
    write("100")
    write("101", peaks=[500])
    write("102", symbols="V")
    prepared = beats(write, classes=["N"])
    assert said(prepared) == {
        "101": "101.atr marks 1 beats; at least two are needed for intervals.",
        "102": "has no beat of the classes N.",
    }


# --- windows


def test_windows_at_regular_steps(write):
    write("100", seconds=9)
    prepared = windows(write, window_s=2.0, hop_s=1.5)
    assert prepared.column("train", "id").tolist() == [f"100@{540 * i}" for i in range(5)]
    assert signals(prepared).shape == (5, 2, 720)
    assert prepared.facts["classes"] == []
    assert "label" not in prepared.splits["train"].column_names
    assert list(prepared.splits) == ["train"]


def test_a_record_shorter_than_a_window(write):
    write("100")
    write("101", seconds=1)
    assert said(windows(write)) == {"101": "lasts 1 s, less than one window of 2 s."}


def test_labels_of_records_from_a_table(write):
    for name in ("a", "b", "c", "d"):
        write(name)
    (write.folder / "people.csv").write_text("record,rhythm\na,sinus\nb,flutter \nc,\nelse,sinus\n")
    prepared = windows(write, label="people.csv:rhythm", test_fraction=0)
    assert prepared.facts["classes"] == ["flutter", "sinus"]
    label = dict(zip(prepared.groups("train"), prepared.labels("train"), strict=True))
    assert label == {"a": 1, "b": 0, "c": -1, "d": -1}


def test_labels_of_records_from_a_mapping_are_in_numerical_order(write):
    for name in ("1", "2"):
        write(name)
    prepared = windows(write, label={1: 10, 2: 9}, test_fraction=0)
    assert prepared.facts["classes"] == ["9", "10"]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ("people.csv", InputError, r"expected 'table\.csv:column'"),
        ("nobody.csv:rhythm", DataError, r"expected a table at .*nobody\.csv"),
        ("people.csv:rythm", DataError, r"expected a column 'rythm'; it has record, rhythm"),
        ("people.csv:rhythm", DataError, r"none of the 1 records \(100, \.\.\.\) has a value"),
    ],
)
def test_tables_that_do_not_fit(write, labels, error, message):
    write("100")
    (write.folder / "people.csv").write_text("record,rhythm\na,sinus\n")
    with pytest.raises(error, match=message):
        windows(write, label=labels)


# --- leads and rates


def test_leads_by_name_by_alternatives_and_in_any_case(write):
    write("100", leads=("V5", "mlii"))
    write("101", leads=("II", "V5"))
    prepared = windows(write, leads=[["MLII", "II"], "v5"], normalize="none")
    rows = dict(zip(prepared.groups("train"), signals(prepared), strict=True))
    assert prepared.facts["leads"] == ["MLII", "v5"]
    assert [np.ptp(rows["100"][c]) > 1.7 for c in (0, 1)] == [True, False]  # its second lead is twice as high
    assert [np.ptp(rows["101"][c]) > 1.7 for c in (0, 1)] == [False, True]


def test_leads_that_all_records_share_by_default(write):
    write("100", leads=("MLII", "V5", "V1"))
    write("101", leads=("V1", "mlii"))
    assert windows(write).facts["leads"] == ["MLII", "V1"]


def test_no_lead_is_common(write):
    write("100", leads=("MLII", "V5"))
    write("101", leads=("V1",))
    with pytest.raises(DataError, match=r"no lead is common to all 2 records \(MLII in 1, V5 in 1, V1 in 1\)"):
        windows(write)


def test_missing_leads_by_policy(write):
    write("100")
    write("101", leads=("V1",))
    write("102", leads=("aVR",))

    def no_v1(signal):
        signal[:, 1] = np.nan

    write("103", change=no_v1)
    prepared = windows(write, leads=["MLII", "V1"])
    assert set(prepared.groups("train")) == {"100"}
    assert said(prepared) == {
        "101": "has no samples of lead MLII; its leads are V1.",
        "102": "has no samples of lead MLII, V1; its leads are aVR.",
        "103": "has no samples of lead V1; its leads are MLII, V1.",
    }
    prepared = windows(write, leads=["MLII", "V1"], missing_leads="zero")
    rows, groups = signals(prepared), prepared.groups("train")
    assert set(groups) == {"100", "101", "103"}
    assert (rows[groups == "101", 0] == 0).all()
    assert (rows[groups == "103", 1] == 0).all()
    assert rows[groups == "101", 1].std() > 0.5
    assert prepared.repairs == {"records with missing leads set to zero": 2}


@pytest.mark.parametrize("normalize", ["record", "window", "none"])
def test_other_rates_are_brought_to_one(write, normalize):
    write("100")
    write("101")
    write("102", rate=500)
    prepared = beats(write, normalize=normalize)
    rows, groups = signals(prepared), prepared.groups("train")
    assert prepared.facts["sampling_rate_hz"] == 360
    assert prepared.repairs == {"records resampled to 360 Hz": 1}
    assert (abs(rows[groups == "102"].argmax(axis=2) - 108) <= 1).all()
    assert prepared.column("train", "id")[groups == "102"][0] == "102@500"
    np.testing.assert_allclose(prepared.column("train", "rr"), 1, rtol=1e-6)


def test_resampling_keeps_what_fits_and_filters_the_rest():
    time = np.arange(5000) / 500
    slow, fast = np.sin(2 * np.pi * 5 * time), np.sin(2 * np.pi * 90 * time)  # 90 Hz would fold to 10 Hz
    result = resample(np.stack([slow, fast]).astype(np.float32), 500, 100)
    assert result.shape == (2, 1000)
    np.testing.assert_allclose(result[0, 20:-20], slow[::5][20:-20], atol=0.01)
    assert abs(result[1, 20:-20]).max() < 0.01


# --- broken signals


def test_short_gaps_are_interpolated_and_rows_in_long_ones_left_out(write):
    def change(signal):
        signal[100:110, 0] = np.nan
        signal[2000:2500, 1] = np.nan  # from 5.6 to 6.9 s

    write("100", change=change)
    prepared = windows(write)
    assert np.isfinite(signals(prepared)).all()
    assert prepared.column("train", "id").tolist() == [f"100@{720 * i}" for i in range(10) if i not in (2, 3)]
    assert said(prepared) == {"100": "2 of 10 windows: samples missing for longer than max_gap_s"}
    assert prepared.repairs == {"short gaps interpolated": 1}
    all_of_them = windows(write, max_gap_s=2.0)
    assert len(all_of_them.splits["train"]) == 10
    assert all_of_them.repairs == {"short gaps interpolated": 2}


@pytest.mark.parametrize("rate", [None, 100])
def test_flat_rows_are_left_out(write, rate):
    def change(signal):
        signal[720:1440] = 0.5
        signal[2160:2880, 0] = 0.5

    write("100", change=change)
    prepared = windows(write, sampling_rate_hz=rate, normalize="window")
    assert said(prepared) == {"100": "1 of 10 windows: flat on every lead"}
    rows = signals(prepared)
    half_flat = rows[prepared.column("train", "id") == "100@2160"][0]
    assert (half_flat[0] == 0).all()
    assert half_flat[1].std() == pytest.approx(1, abs=1e-3)


def test_a_damaged_record_among_many_is_named(write):
    write("100")
    write("101").with_suffix(".dat").write_bytes(b"short")
    write("102").with_suffix(".hea").write_text("nonsense\n")
    write("103").with_suffix(".dat").unlink()
    (write.folder / "103.dat").symlink_to(write.folder / "not-fetched")
    write("104").with_suffix(".hea").write_text("104 0 360 100\n")
    for options in ({}, {"leads": ["MLII"], "sampling_rate_hz": 360}):
        prepared = windows(write, **options)
        assert set(prepared.groups("train")) == {"100"}
        reasons = said(prepared)
        assert set(reasons) == {"101", "102", "103", "104"}
        assert "FileNotFoundError" in reasons["103"]
        assert reasons["104"] == "the header names no signal."
        assert reasons["102"].startswith("its header or its samples are damaged (")


@pytest.mark.parametrize("options", [{}, {"leads": ["MLII"], "sampling_rate_hz": 360}])
def test_no_readable_record_is_an_error_with_reasons(write, options):
    write("100").with_suffix(".hea").write_text("nonsense\n")
    write("101").with_suffix(".hea").write_text("")
    with pytest.raises(DataError, match=r"(?s)no usable row.*\n  100: its header .*\w+Error.*\n  101: its"):
        windows(write, **options)


# --- formats


@pytest.mark.parametrize("fmt", ["16", "24", "32", "212", "80", "516"])
def test_formats(write, fmt):
    options = {}
    if fmt == "80":
        options["change"] = lambda signal: np.multiply(signal, 0.2, out=signal)
    write("100", fmt=fmt, **options)
    rows = signals(beats(write))
    assert rows.shape == (19, 2, 252)
    assert (abs(rows.argmax(axis=2) - 108) <= 1).all()


def test_records_of_several_segments_are_read_once_and_as_one(write):
    write("sub/one", seconds=4, symbols="")
    write("sub/two", seconds=4, symbols="")
    (write.folder / "sub" / "all.hea").write_text("all/2 2 360 2880\none 1440\ntwo 1440\n")
    prepared = windows(write, window_s=1.0)
    assert prepared.column("train", "id").tolist() == [f"all@{360 * i}" for i in range(8)]


def test_segments_of_different_leads_with_a_pause(write):
    write("sub/one", seconds=4, symbols="")
    write("sub/two", seconds=4, symbols="", leads=("V1",))
    layout = "".join(f"~ 0 1000/mV 16 0 0 0 0 {lead}\n" for lead in ("MLII", "V1"))
    (write.folder / "sub" / "all_layout.hea").write_text(f"all_layout 2 360 0\n{layout}")
    (write.folder / "sub" / "all.hea").write_text("all/4 2 360 3240\nall_layout 0\none 1440\n~ 360\ntwo 1440\n")
    with pytest.raises(DataError, match="no usable row"):
        windows(write, window_s=5.0)
    assert windows(write, window_s=1.0).column("train", "id").tolist() == [f"all@{360 * i}" for i in range(4)]
    prepared = windows(write, window_s=1.0, leads=["V1"])
    assert prepared.column("train", "id").tolist() == [f"all@{360 * i}" for i in (0, 1, 2, 3, 5, 6, 7, 8)]
    assert said(prepared) == {"all": "1 of 9 windows: samples missing for longer than max_gap_s"}


def test_records_of_the_same_name_in_two_folders(write):
    write("a/100")
    write("b/100")
    assert set(windows(write).groups("train")) == {"a/100", "b/100"}


# --- normalisation


def test_normalisation_by_record_is_deaf_to_artefacts_and_offsets(write):
    def artefact(signal):
        signal += 3
        signal[3000:3300] += 20

    write("100")
    write("101", change=artefact)
    prepared = windows(write)
    rows, groups = signals(prepared), prepared.groups("train")
    np.testing.assert_allclose(rows[groups == "101"][0], rows[groups == "100"][0], atol=0.1)


def test_normalisation_by_window_and_none(write):
    write("100")
    rows = signals(windows(write, normalize="window"))
    np.testing.assert_allclose(rows.mean(axis=2), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=2), 1, atol=1e-4)
    rows = signals(windows(write, normalize="none"))
    assert 1.8 < rows[:, 1].max() < 2.4  # millivolts


# --- splits


@pytest.fixture
def ten_records(write):
    for i in range(10):
        write(str(200 + i), seconds=4)
    return write


def test_persons_are_held_out(ten_records):
    prepared = beats(ten_records, test_fraction=0.3, seed=1, group={201: "anna", 202: "anna"})
    train, test = (set(prepared.groups(split)) for split in ("train", "test"))
    assert not train & test
    assert train | test == {"anna", *(str(200 + i) for i in (0, *range(3, 10)))}
    other = beats(ten_records, test_fraction=0.3, seed=2, group={201: "anna", 202: "anna"})
    assert set(other.groups("test")) != test


def test_groups_from_a_table(ten_records):
    lines = [f"{200 + i},p{i // 2}" for i in range(10)]
    (ten_records.folder / "people.csv").write_text("\n".join(["record,person", *lines]))
    assert set(beats(ten_records, group="people.csv:person").groups("train")) == {f"p{i}" for i in range(5)}


def test_splits_by_name(ten_records):
    split = {"train": [200, "201"], "validation": [202], "test": [203, 204]}
    prepared = beats(ten_records, split=split, exclude=[204])
    assert {name: sorted(set(prepared.groups(name))) for name in prepared.splits} == {
        "train": ["200", "201"],
        "validation": ["202"],
        "test": ["203"],
    }


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": {"train": [200], "test": [200]}}, InputError, "every record once; 200 came more than once"),
        ({"split": {"train": [200, 999]}}, DataError, r"do not exist: 999\. The folder has 200, 201"),
        ({"exclude": ["20l"]}, DataError, r"do not exist: 20l\."),
        (
            {"split": {"train": [201], "test": [202]}, "group": {202: 201}},
            DataError,
            "group '201' is in the splits 'train' and 'test'",
        ),
        ({"split": "mitbih_inter_patient"}, DataError, "do not exist: 101, 106"),
    ],
)
def test_splits_that_do_not_fit(ten_records, options, error, message):
    with pytest.raises(error, match=message):
        beats(ten_records, **options)


def test_one_person_cannot_be_held_out(write):
    write("100")
    with pytest.raises(DataError, match="at least two groups"):
        beats(write, test_fraction=0.2)


def test_the_split_of_mitbih():
    paced = ["102", "104", "107", "217"]
    available = sorted(sum(MITBIH_INTER_PATIENT.values(), paced))
    split_of = wanted_records(available, "mitbih_inter_patient", [202])
    assert Counter(split_of.values()) == {"train": 22, "test": 21}
    assert not {*paced, "202"} & set(split_of)


def test_folders_of_splits(write):
    for name in ("train/a", "train/b", "val/c", "TEST/d"):
        (write.folder / name).parent.mkdir(exist_ok=True)
        write(name, seconds=4)
    prepared = beats(write, test_fraction=0.3)
    assert {split: set(prepared.groups(split)) for split in prepared.splits} == {
        "train": {"a", "b"},
        "validation": {"c"},
        "test": {"d"},
    }
    assert "val/ -> validation, 1 file(s)" in prepared.account()
    named = beats(write, split={"train": ["train", "c"], "test": ["TEST/"]})
    assert {split: set(named.groups(split)) for split in named.splits} == {"train": {"a", "b", "c"}, "test": {"d"}}
    assert set(beats(write, split={}).splits) == {"train"}
    assert set(beats(write, fitted=dict(prepared.facts)).splits) == {"train"}
    (write.folder / "more").mkdir()
    write("more/e", seconds=4)
    with pytest.raises(DataError, match=r"more not. Say which is which, such as split: {train: \[FOLDER\]"):
        beats(write)


# --- options, folders, downloads


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cut": "beats", "hop_s": 1.0}, "cut 'beats' has no use for hop_s"),
        ({"before_s": 0.1, "classes": ["N"]}, "cut 'windows' has no use for before_s, classes"),
        ({"cut": "beats", "label": {"100": "x"}}, "label is for windows"),
        ({"cut": "beats", "classes": ["N", "X"]}, "classes expected a choice of N, S, V, F, Q; got X"),
        ({"cut": "beats", "classes": []}, "got none"),
        ({"window_s": 0.0}, "window_s > 0"),
        ({"hop_s": -1.0}, "hop_s > 0"),
        ({"sampling_rate_hz": -100.0}, "at least two samples; 2 s at -100 Hz give fewer"),
        ({"window_s": 0.004}, r"0\.004 s at 360 Hz give fewer"),
        ({"cut": "beats", "before_s": 3.0}, "before_s between 0 and window_s"),
    ],
)
def test_options_that_contradict_each_other(write, options, message):
    write("100")
    with pytest.raises(InputError, match=message):
        windows(write, **options)


def test_folders_without_records(tmp_path):
    with pytest.raises(DataError, match=r"expected a folder of WFDB records at .*mitdb; there is none\. Correct"):
        read_wfdb(path=str(tmp_path / "mitdb"), window_s=1.0)
    with pytest.raises(DataError, match="Set download: true to fetch 'mitdb' from PhysioNet"):
        read_wfdb(path=str(tmp_path / "mitdb"), window_s=1.0, database="mitdb")
    with pytest.raises(InputError, match="expected the name of a PhysioNet database"):
        read_wfdb(path=str(tmp_path / "mitdb"), window_s=1.0, download=True)
    with pytest.raises(DataError, match=r"expected WFDB headers \(\*\.hea\)"):
        read_wfdb(path=str(tmp_path), window_s=1.0)


def test_a_missing_folder_is_downloaded_and_an_interrupted_download_goes_on(write, tmp_path, monkeypatch):
    source, target, calls = write("100"), tmp_path / "data" / "mitdb", []

    def download(db_dir, dl_dir):
        calls.append((db_dir, sorted(os.listdir(dl_dir))))
        for suffix in (".hea", ".dat"):
            (tmp_path / dl_dir / f"100{suffix}").write_bytes(source.with_suffix(suffix).read_bytes())
            if len(calls) == 1:
                raise ConnectionError("line is down")

    monkeypatch.setattr(wfdb, "dl_database", download)
    options = {"path": str(target), "window_s": 2.0, "database": "mitdb", "download": True}
    with pytest.raises(DataError, match="could not download 'mitdb' from PhysioNet: ConnectionError: line is down"):
        read_wfdb(**options)
    assert not target.exists()
    for _ in range(2):
        assert len(read_wfdb(**options).splits["train"]) == 10
    assert calls == [("mitdb", []), ("mitdb", ["100.hea"])]


def test_without_wfdb_the_extra_is_named(write, monkeypatch):
    write("100")
    monkeypatch.setitem(__import__("sys").modules, "wfdb", None)
    with pytest.raises(MissingExtraError, match=r"bam-ssl\[ecg\]"):
        windows(write)


def test_the_second_time_no_record_is_read(write, monkeypatch):
    write("100")
    first = windows(write)
    monkeypatch.setattr(wfdb, "rdrecord", None)
    monkeypatch.setattr(wfdb, "rdheader", None)
    again = windows(write, database="mitdb", download=True)
    assert again.fingerprint == first.fingerprint
    write_time = (write.folder / "100.dat").stat().st_mtime + 10
    os.utime(write.folder / "100.dat", (write_time, write_time))
    with pytest.raises(DataError, match="no usable row"):
        windows(write)


MITBIH = os.environ.get("BAM_TEST_MITBIH", "")


@pytest.mark.slow
@pytest.mark.skipif(not MITBIH, reason="BAM_TEST_MITBIH does not name a folder with the MIT-BIH Arrhythmia Database")
def test_mitbih_has_the_beats_of_the_literature():
    prepared = read_wfdb(path=MITBIH, split="mitbih_inter_patient", leads=["MLII"], **BEATS)
    assert np.bincount(prepared.labels("train")).tolist() == [45866, 944, 3788, 415, 8]
    assert np.bincount(prepared.labels("test")).tolist() == [44259, 1837, 3221, 388, 7]
    assert prepared.set_aside == []
