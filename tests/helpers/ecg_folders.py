"""Stand-ins for folders of PhysioNet: the layout of the real ones, with a few synthetic records."""

import warnings
from itertools import chain

import numpy as np
import pandas as pd

from modalities.ecg.beats import MITBIH_INTER_PATIENT
from modalities.ecg.ptbxl import LEADS

with warnings.catch_warnings():  # wfdb 4.3 changes frames "inplace", which pandas 3.1 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import wfdb

STATEMENTS = pd.DataFrame(
    [
        # statement, diagnostic, form, rhythm, diagnostic_class, diagnostic_subclass
        ("NORM", 1.0, None, None, "NORM", "NORM"),
        ("IMI", 1.0, None, None, "MI", "IMI"),
        ("ASMI", 1.0, None, None, "MI", "AMI"),
        ("AMI", 1.0, None, None, "MI", "AMI"),
        ("NDT", 1.0, 1.0, None, "STTC", "STTC"),
        ("PVC", None, 1.0, None, None, None),
        ("SR", None, None, 1.0, None, None),
        ("AFIB", None, None, 1.0, None, None),
    ],
    columns=["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"],
).set_index("")

CODES = [
    {"NORM": 100.0, "SR": 0.0},
    {"IMI": 50.0, "ASMI": 0.0, "SR": 0.0},
    {"AMI": 80.0, "ASMI": 15.0, "AFIB": 0.0},
    {"NDT": 100.0, "SR": 0.0},
    {"PVC": 100.0},
    {"SR": 0.0},
]


def heartbeats(n_samples, peaks, height=1.0, width=3.0, seed=0):
    """A spike at every peak, of `width` samples and more on each side, on a slow wave with some noise."""
    time = np.arange(n_samples)
    signal = 0.1 * np.sin(2 * np.pi * time / 1000) + 0.01 * np.random.default_rng(seed).standard_normal(n_samples)
    for peak in peaks:
        signal += height * np.exp(-0.5 * ((time - peak) / width) ** 2)
    return signal


def write_record(target, signal, *, rate, leads, fmt="16", gain=1000.0):
    """Write a (time, leads) signal in millivolts as a WFDB record."""
    target.parent.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        target.name,
        fs=rate,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=signal,
        fmt=[fmt] * len(leads),
        adc_gain=[gain] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(target.parent),
    )


def write_ptbxl(folder, folds):
    """PTB-XL's layout at 100 Hz: record i has `CODES[(i - 1) % 6]` and is of the fold `folds[i - 1]`, from 1.

    Two records in a row are of one patient; the heart rate follows from the statements.
    """
    random, rows = np.random.default_rng(0), []
    for ecg_id, fold in enumerate(folds, start=1):
        name = f"records100/00000/{ecg_id:05d}_lr"
        time = np.arange(1000) / 100
        period = 0.5 + 0.1 * ((ecg_id - 1) % len(CODES))
        beat = np.exp(-0.5 * ((time % period - period / 2) / 0.02) ** 2)
        signal = beat[:, None] * np.linspace(0.5, 1.5, 12) + 0.02 * random.standard_normal((1000, 12))
        write_record(folder / name, signal, rate=100, leads=LEADS)
        rows.append(
            {
                "ecg_id": ecg_id,
                "patient_id": float(15000 + ecg_id // 2),
                "scp_codes": repr(CODES[(ecg_id - 1) % len(CODES)]),
                "strat_fold": fold,
                "filename_lr": name,
                "filename_hr": name.replace("100", "500").replace("_lr", "_hr"),
            }
        )
    pd.DataFrame(rows).to_csv(folder / "ptbxl_database.csv", index=False)
    STATEMENTS.to_csv(folder / "scp_statements.csv")
    return folder


def write_mitbih(folder, seconds=11):
    """The 44 records of DS1 and DS2 at 360 Hz: a beat a second, normal, premature and early, wide and high in turn.

    As in the data base, record 114 has its leads the other way round.
    """
    symbols, n = "NSV", seconds * 360
    for i, name in enumerate(chain(*MITBIH_INTER_PATIENT.values())):
        peaks = np.arange(360, n, 360)
        kinds = np.array([symbols[(k + i) % 3] for k in range(len(peaks))])
        peaks = peaks - 216 * (kinds == "S")
        lead = heartbeats(n, peaks[kinds != "V"], seed=i) + heartbeats(n, peaks[kinds == "V"], 1.5, 15.0, seed=i + 100)
        columns = {"V5": 0.5 * lead, "MLII": lead} if name == "114" else {"MLII": lead, "V1": -0.5 * lead}
        write_record(folder / name, np.stack([*columns.values()], axis=1), rate=360, leads=columns, gain=200.0)
        wfdb.wrann(name, "atr", sample=peaks, symbol=kinds.tolist(), write_dir=str(folder))
    return folder
