"""WFDB records as they are found: every lead at its own rate and in millivolts, or a word about it."""

import shutil

import numpy as np
import pytest
import wfdb

from bam_core.errors import DataError
from modalities.ecg.data import read_wfdb
from modalities.ecg.files import comments, readable
from modalities.ecg.leads import is_ecg, lead_names, pick_leads, to_millivolts
from modalities.ecg.records import read_header, read_strip

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")  # see conftest.py

RATE = 125
TIME = np.arange(8 * RATE) / RATE
SIGNAL = np.stack([np.exp(-(((TIME % 1) - 0.5) ** 2) / 2e-4), np.sin(2 * np.pi * 1.5 * TIME)])  # mV


def read(folder, **options):
    return read_wfdb(path=str(folder), **{"window_s": 2.0, "normalize": "none", **options})


def rows(prepared):
    return prepared.column("train", "signal").reshape(len(prepared.splits["train"]), prepared.facts["in_channels"], -1)


def write(folder, name, signals=SIGNAL, leads=("II", "V1"), *, units="mV", gain=1000.0, rate=RATE, frames=None):
    folder.mkdir(parents=True, exist_ok=True)
    about = {"fmt": ["16"] * len(leads), "adc_gain": [gain] * len(leads), "baseline": [0] * len(leads)}
    units = [units] * len(leads) if isinstance(units, str) else units
    about |= {"units": units, "sig_name": list(leads), "fs": rate, "write_dir": str(folder)}
    if frames is not None:
        wfdb.wrsamp(name, e_p_signal=list(signals), samps_per_frame=frames, **about)
    else:
        wfdb.wrsamp(name, p_signal=np.stack(signals, axis=1), **about)
    return folder / name


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    for i in range(2):
        write(folder, f"r{i}")
    return folder


@pytest.mark.parametrize(("units", "factor"), [("uV", 1e3), ("V", 1e-3), ("MV", 1.0), ("nV", 1e6)])
def test_voltages_are_millivolts_whatever_the_header_says(tmp_path, plain, units, factor):
    for i in range(2):
        write(tmp_path, f"r{i}", SIGNAL * factor, units=units, gain=1000 / factor)
    prepared = read(tmp_path)
    np.testing.assert_allclose(rows(prepared), rows(read(plain)), atol=1e-6)
    assert ("records with volts or microvolts, read as millivolts" in prepared.repairs) == (factor != 1)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("sign", ["\u00b5", "\u03bc"])
def test_the_sign_of_micro(tmp_path, plain, encoding, sign):
    for i in range(2):
        write(tmp_path, f"r{i}", SIGNAL * 1e3, units="uV", gain=1.0)
        header = tmp_path / f"r{i}.hea"
        text = header.read_text().replace("/uV", f"/{sign}V") + "#Patient: M\u00fcller\n"
        header.write_bytes(text.replace("\n", "\r\n").encode(encoding, errors="replace"))
        assert comments(tmp_path / f"r{i}") == {"patient": "M\u00fcller"}
    if encoding == "latin-1" and sign == "\u03bc":  # this sign is not in Latin-1
        with pytest.raises(DataError, match="no lead is common"):
            read(tmp_path)
        return
    np.testing.assert_allclose(rows(read(tmp_path)), rows(read(plain)), atol=1e-3)


def test_a_unit_that_is_no_voltage(tmp_path):
    write(tmp_path, "a", units=["mV", "mmHg"])
    write(tmp_path, "b")
    prepared = read(tmp_path, leads=["II", "V1"])
    assert dict(prepared.set_aside) == {"a": "lead V1 is given in 'mmHg'; a voltage is expected: V, mV or uV."}
    assert to_millivolts("II", None) == 1
    assert read(tmp_path).facts["leads"] == ["II"]


def test_every_signal_has_its_own_rate(tmp_path, plain):
    """Frames of 31.25 Hz with four samples of each lead and two of another signal, as in MIMIC-IV."""
    for i in range(2):
        signals = [*SIGNAL, SIGNAL[1, ::2]]
        write(tmp_path, f"r{i}", signals, ("II", "V1", "Pleth"), units=["mV", "mV", "NU"], rate=31.25, frames=[4, 4, 2])
    prepared = read(tmp_path)
    assert prepared.facts["sampling_rate_hz"] == RATE
    assert prepared.facts["leads"] == ["II", "V1"]
    assert prepared.notes == ["Leads are II, V1, those of all records; not read: Pleth."]
    assert not prepared.repairs
    np.testing.assert_allclose(rows(prepared), rows(read(plain)), atol=2e-3)


def test_leads_at_several_rates_are_brought_to_the_highest(tmp_path):
    path = write(tmp_path, "a", [SIGNAL[0], SIGNAL[1, ::2]], rate=62.5, frames=[2, 1])
    strip = read_strip(path, leads=["II", "V1"], missing_leads="set_aside", rate_hz=125, max_gap_s=0.1)
    assert strip.source_rate_hz == 125
    np.testing.assert_allclose(strip.signal[1, 50:-50], SIGNAL[1, 50:-50] - np.median(SIGNAL[1]), atol=0.02)
    assert "records with leads at several rates, brought to the highest" in strip.repairs


def test_signals_of_one_name_are_told_apart(tmp_path):
    for i in range(2):
        path = write(tmp_path, f"r{i}", leads=("ECG", "ECGX"))
        header = path.with_suffix(".hea")
        header.write_text(header.read_text().replace("ECGX", "ECG"))
    prepared = read(tmp_path)
    assert prepared.facts["leads"] == ["ECG", "ECG 2"]
    assert prepared.repairs == {"records with leads named otherwise, such as 'ECG'": 2}
    assert not np.allclose(*rows(prepared)[0])


def test_names_of_leads():
    assert lead_names(["II,", " V1 ", "Lead aVR", "MDC_ECG_LEAD_II", "ECG I", "ECG", "ECG1", "lead", ""]) == [
        *("II", "V1", "aVR", "II 2", "I", "ECG", "ECG1", "lead", "signal 8")
    ]
    assert pick_leads(["II", "V1"], ["ii,", ["MLII", "Lead V1"], "V2"]) == [0, 1, None]
    others = ["RESP", "PLETH L", "ABP", "Resp 1", "SpO2", "EEG", "EMG1", "CO2", "P1"]
    assert not any(is_ecg(name, "mV") for name in others)
    assert all(is_ecg(name, "mV") for name in ["I", "aVR", "V", "ECG", "ECG 2", "MCL1", "Abdomen_1", "chan 1", "D3"])


def test_default_leads_are_those_of_an_ecg(tmp_path):
    for i in range(2):
        write(tmp_path, f"bidmc{i}", [*SIGNAL, *SIGNAL], ("RESP,", "PLETH,", "V,", "II,"))
    assert read(tmp_path).facts["leads"] == ["V", "II"]
    assert read(tmp_path, leads=["II"]).facts["leads"] == ["II"]


def test_suffixes_in_capitals(tmp_path, plain):
    for i in range(2):
        write(tmp_path, f"r{i}")
        wfdb.wrann(f"r{i}", "atr", np.arange(100, 900, 125), ["N"] * 7, write_dir=str(tmp_path))
    for file in list(tmp_path.iterdir()):
        file.rename(file.with_suffix(file.suffix.upper()))
    np.testing.assert_array_equal(rows(read(tmp_path)), rows(read(plain)))
    beats = read(tmp_path, cut="beats", window_s=0.5)
    assert beats.facts["classes"][0] == "N"


def test_linked_folders_are_read_once(tmp_path, plain):
    (tmp_path / "set").symlink_to(plain)
    (tmp_path / "again").symlink_to(tmp_path)
    prepared = read(tmp_path)
    assert sorted(set(prepared.groups("train"))) == ["r0", "r1"]
    np.testing.assert_array_equal(rows(prepared), rows(read(plain)))


def test_headers_that_begin_with_the_name_of_the_samples(tmp_path, plain):
    """As in the PhysioNet challenge of 2021, see issue 351 of wfdb-python."""
    shutil.copytree(plain, tmp_path, dirs_exist_ok=True)
    for i in range(2):
        header = tmp_path / f"r{i}.hea"
        header.write_text(header.read_text().replace(f"r{i} ", f"r{i}.mat ", 1))
    np.testing.assert_array_equal(rows(read(tmp_path)), rows(read(plain)))


def test_records_in_the_letter_of_the_format_are_read_where_they_are(plain):
    with readable(plain / "r0") as record:
        assert record == plain / "r0"
    assert read_header(plain / "r0") == (["II", "V1"], [RATE, RATE], [True, True])


def test_other_annotation_files_are_named(tmp_path):
    write(tmp_path, "a")
    wfdb.wrann("a", "qrs", np.array([100, 200, 300]), ["N"] * 3, write_dir=str(tmp_path))
    with pytest.raises(
        DataError, match=r"no annotation file a\.atr; cut 'beats' needs one; there is \.qrs, to be named"
    ):
        read(tmp_path, cut="beats", window_s=0.5, leads=["II"], test_fraction=0)
