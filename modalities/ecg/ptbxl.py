"""Reader of PTB-XL: 21,799 ECGs of ten seconds and twelve leads, each with several statements.

Splits and label sets are those of the benchmark (Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and
Insights from PTB-XL", IEEE J. Biomed. Health Inform. 25(5), 2021, arXiv 2004.13701).
"""

import ast
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bam_core.config.former_names import takes_former_names
from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.progress import track
from bam_core.errors import DataError
from modalities.ecg.cutting import Cut, check_cut, cut_record, read_rows
from modalities.ecg.data import read_wfdb
from modalities.ecg.records import read_strip, require_wfdb

LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
WINDOW_S = 10.0
SCALE_RECORDS = 1000  # enough training records to know their mean and standard deviation

LabelSet = Literal["all", "diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm"]


KINDS: dict[LabelSet, tuple[str | None, str | None]] = {
    "all": (None, None),
    "diagnostic": ("diagnostic", None),
    "subdiagnostic": ("diagnostic", "diagnostic_subclass"),
    "superdiagnostic": ("diagnostic", "diagnostic_class"),
    "form": ("form", None),
    "rhythm": ("rhythm", None),
}
"""Label set -> column of scp_statements.csv that marks its statements, column with the class that they count for."""


class Statements(NamedTuple):
    """Which statements hold for which record.

    Attributes:
        matrix: (n, k) int8, 0 or 1.
        classes: k names in alphabetical order.
    """

    matrix: np.ndarray
    classes: list[str]


@takes_former_names
def read_ptbxl(
    *,
    path: str,
    sampling_rate_hz: Literal[100, 500] = 100,
    label: LabelSet = "all",
    leads: list[str] | None = None,
    normalize: Literal["train", "record", "none"] = "train",
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read PTB-XL: folds 1 to 8 for training, 9 for validation, 10 for testing; the patient is the group.

    The first time takes some minutes. Columns: `signal` (c, t), `label` (0 or 1 for every class), `group`, `id`.

    Args:
        path: folder with ptbxl_database.csv, scp_statements.csv and records100 or records500, as unpacked from
            https://physionet.org/content/ptb-xl/.
        sampling_rate_hz: which of the two versions of the records.
        label: "all" 71 statements, "diagnostic" (44), "subdiagnostic" (23), "superdiagnostic" (5), "form" (19) or
            "rhythm" (12). As in the benchmark, records without any statement of the set are left out, and a statement
            counts whatever its likelihood.
        leads: names of some of the twelve leads; default all.
        normalize: "train" takes off the mean and divides by the standard deviation of all training samples (of about a
            thousand records, in the facts as mean and std), which keeps amplitudes comparable; "record" divides each
            lead by its own spread, which hides low voltage and hypertrophy; "none" keeps millivolts.
        fitted: facts of a saved encoder, whose mean, deviation and classes are taken; all records are "train", also
            those without a statement. Any other folder of WFDB records is then read in windows of ten seconds.

    Returns:
        Splits with the facts in_channels, length, shape, sampling_rate_hz, leads and classes.

    Raises:
        DataError: files are missing, or no record can be read.
    """
    settings = {"path": path, "sampling_rate_hz": sampling_rate_hz, "label": label, "leads": leads,
                "normalize": normalize, **({} if fitted is None else {"fitted": fitted})}  # fmt: skip
    folder = Path(path).expanduser()
    cutting = check_cut("windows", window_s=WINDOW_S, normalize="record" if normalize == "record" else "none")
    if fitted is not None and not (folder / "ptbxl_database.csv").exists():
        return read_wfdb(path=path, window_s=WINDOW_S, normalize=cutting.normalize, fitted=fitted)
    tables = [folder / "ptbxl_database.csv", folder / "scp_statements.csv"]
    records = folder / f"records{sampling_rate_hz}"
    missing = [needed.name for needed in (*tables, records) if not needed.exists()]
    if missing:
        raise DataError(
            f"expected PTB-XL in {folder}; {', '.join(missing)} is not there. Unpack "
            "https://physionet.org/content/ptb-xl/ into it, or choose the sampling_rate_hz (100 or 500) that is there."
        )
    wanted = leads or (fitted or {}).get("leads") or LEADS

    def build(writer: SplitWriter) -> None:
        require_wfdb()
        database, statements = _read_tables(folder)
        codes = [_parse_codes(ecg_id, text) for ecg_id, text in database["scp_codes"].items()]
        found = select_statements(codes, statements, label)
        classes, matrix = found.classes, found.matrix
        if fitted is None:
            labelled = np.flatnonzero(matrix.any(axis=1))
            database, matrix = database.iloc[labelled], matrix[labelled]
            parts = database["strat_fold"].map({9: "validation", 10: "test"}).fillna("train")
        else:
            classes = list(fitted.get("classes") or classes)
            matrix = pd.DataFrame(matrix, columns=found.classes).reindex(columns=classes, fill_value=0).to_numpy()
            parts = pd.Series("train", index=database.index)
        files = [folder / name for name in database["filename_lr" if sampling_rate_hz == 100 else "filename_hr"]]
        mean, std = 0.0, 1.0
        if fitted is not None:
            mean, std = fitted.get("mean", mean), fitted.get("std", std)
        elif normalize == "train":
            train = [file for file, part in zip(files, parts, strict=True) if part == "train"]
            mean, std = _mean_and_std(train[:: max(1, len(train) // SCALE_RECORDS)], cutting, wanted, sampling_rate_hz)
        for i, file in track(list(enumerate(files)), "Reading PTB-XL"):
            ecg_id = str(database.index[i])
            rows = read_rows(file, ecg_id, cutting, writer, leads=wanted, rate_hz=sampling_rate_hz)
            if rows is not None:
                patient = str(int(database["patient_id"].iloc[i]))
                signal = ((rows.signal - mean) / std).astype(np.float32)
                writer.add(parts.iloc[i], signal=signal[:1], label=matrix[i : i + 1], group=[patient], id=[ecg_id])
        writer.facts |= {
            "in_channels": len(wanted),
            "length": cutting.length(sampling_rate_hz),
            "sampling_rate_hz": float(sampling_rate_hz),
            "leads": list(wanted),
            "classes": classes,
            "mean": mean,
            "std": std,
        }

    return cached("ptbxl", [*tables, *sorted(records.rglob("*.dat"))], settings, build)


def select_statements(codes: Sequence[Collection[str]], statements: pd.DataFrame, labels: LabelSet) -> Statements:
    """The statements of a label set, as the benchmark selects them.

    Args:
        codes: statements of every record.
        statements: scp_statements.csv, indexed by statement.
        labels: the set.

    Example:
        >>> table = pd.DataFrame({"rhythm": {"SR": 1.0, "NORM": None}})
        >>> select_statements([{"SR", "NORM"}, {"NORM"}], table, "rhythm")
        Statements(matrix=array([[1],
               [0]], dtype=int8), classes=['SR'])
    """
    kind, column = KINDS[labels]
    if kind is None:
        name_of = {code: code for held in codes for code in held}
    else:
        known = statements[statements[kind] == 1]
        names = known.index.to_series() if column is None else known[column].dropna()
        name_of = {str(code): str(name) for code, name in names.items()}
    chosen = [{name_of[code] for code in held if code in name_of} for held in codes]
    classes = sorted(set().union(*chosen))
    matrix = np.array([[name in names for name in classes] for names in chosen], dtype=np.int8)
    return Statements(matrix.reshape(len(chosen), len(classes)), classes)


def _read_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    database = pd.read_csv(folder / "ptbxl_database.csv", index_col="ecg_id")
    needed = {"patient_id", "scp_codes", "strat_fold", "filename_lr", "filename_hr"} - set(database.columns)
    if needed:
        raise DataError(f"ptbxl_database.csv lacks the columns {', '.join(sorted(needed))}.")
    return database, pd.read_csv(folder / "scp_statements.csv", index_col=0)


def _parse_codes(ecg_id: Hashable, text: object) -> dict[str, float]:
    try:
        codes = ast.literal_eval(str(text))
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise DataError(f"scp_codes of record {ecg_id} expected a mapping such as {{'NORM': 100.0}}; got {text!r}.")
    return codes


def _mean_and_std(files: list[Path], cutting: Cut, leads: list[str], rate_hz: float) -> tuple[float, float]:
    sums = np.zeros(3)  # count, sum, sum of squares
    for file in files:
        try:
            strip = read_strip(file, leads=leads, missing_leads="set_aside", rate_hz=rate_hz, max_gap_s=0.1)
            values = cut_record(strip, cutting, file, rate_hz).signal.astype(np.float64)
        except Exception:  # the main pass sets it aside and says why
            continue
        sums += values.size, values.sum(), np.square(values).sum()
    if not sums[0]:
        return 0.0, 1.0
    mean = sums[1] / sums[0]
    return float(mean), float(np.sqrt(sums[2] / sums[0] - mean**2))
