"""Reader of WFDB records, PhysioNet's format, in beats or in windows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bam_core.config.former_names import takes_former_names
from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.column_names import NONE
from bam_core.data.folders import find_files
from bam_core.data.progress import track
from bam_core.data.row_options import RowOptions
from bam_core.errors import DataError, InputError
from modalities.ecg.assignment import (
    Name,
    NamedSplit,
    Split,
    assign_records,
    say_folders,
    table_file,
)
from modalities.ecg.beats import AAMI
from modalities.ecg.cutting import check_cut, read_rows
from modalities.ecg.labels import names_a_table, persons, record_labels, repeated
from modalities.ecg.records import (
    Header,
    find_records,
    most_common_rate,
    read_header,
    reason,
    require_wfdb,
    shared_leads,
)

LEARNT = ("leads", "sampling_rate_hz", "classes", "task", "mean", "std")
"""Facts of a saved encoder that new records are read by."""


@takes_former_names
def read_wfdb(
    *,
    path: str,
    window_s: float,
    cut: Literal["beats", "windows"] = "windows",
    before_s: float | None = None,
    hop_s: float | None = None,
    leads: list[str | list[str]] | None = None,
    missing_leads: Literal["zero", "set_aside"] = "set_aside",
    sampling_rate_hz: float | None = None,
    max_gap_s: float = 0.1,
    normalize: Literal["record", "window", "none"] = "record",
    annotations: str = "atr",
    classes: list[str] | None = None,
    from_median: bool = False,
    label: dict[Name, Name] | str | None = None,
    task: str | None = None,
    group: dict[Name, Name] | str | None = None,
    split: NamedSplit | dict[Split, list[Name]] | None = None,
    exclude: list[Name] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    database: str | None = None,
    download: bool = False,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a folder of WFDB records of any format, also of several segments.

    Columns: `signal` (c, t), `id` ("record@sample", counted in samples of the file), `group` (the person), `label` if
    known, and for beats `rr` (see `beats.rr_intervals`).

    Args:
        path: folder, searched with its subfolders.
        window_s: length of a row in seconds.
        cut: "beats" cuts a row around every annotated beat, "windows" cuts at regular steps.
        before_s: for beats, the part of `window_s` before the R peak; default a third.
        hop_s: for windows, the step from one to the next; default `window_s`.
        leads: one channel each, by name or by alternatives such as ["MLII", "II"]; case does not matter. Default: the
            leads that all records have.
        missing_leads: records without one of the leads are set aside, or their channel is zero.
        sampling_rate_hz: common rate; default: the one that most records have.
        max_gap_s: missing samples are interpolated; rows that touch a longer gap are left out.
        normalize: "record" takes off the record's median and divides each lead by the median standard deviation of
            its two-second pieces; "window" standardises each row and lead; "none" only takes off the median.
        annotations: suffix of the annotation files with the beats.
        classes: AAMI classes of the beats to keep, in the order of their labels; default N, S, V, F, Q.
        from_median: for beats, add for every lead a channel that shows how the beat deviates from the median of all
            beats of its record, sample by sample. That takes away what is this heart's own. No label is needed, new
            records have a median beat, too. A record should have some dozens of beats, most of them normal.
        label: for windows, record -> label; "table.csv:column", where the column that names the records is found;
            "table.csv:a,b,c" for a column of 0 and 1 for every class; or "header" for comments such as
            `#Dx: 426783006,164934002`, "header:KEY" for another key; or a regular expression with
            `(?P<label>...)`, as for `group`; or "none". Records without an entry stay unlabelled.
        task: "classification", "multi_label" (several labels a record, such as "AF,LBBB") or "regression"; default:
            what labels look like, see `read_target`.
        group: record -> person, or "table.csv:column"; or a regular expression such as "(?P<group>p[0-9]+)" that is
            searched for in the path of a record below the folder. Default: every record is a person of its own.
            Records 201 and 202 of MIT-BIH are one.
        split: names of the records, or of folders of them, in each split; others are not read. "mitbih_inter_patient"
            is de Chazal's DS1 and DS2, strict about persons only with `exclude: [202]`. Default: folders called
            `train`, `val`, `test` and the like (see `read_layout`), {} if no folder is a split; else a part of the
            persons, drawn at random, is the test split if there are labels.
        exclude: names of records not to read.
        test_fraction: part of the persons to hold out; 0 for none.
        seed: of that choice.
        database: PhysioNet's name of the data, such as "mitdb".
        download: fetch `database` into `path` if that folder is not there.
        fitted: facts of a saved encoder, whose leads (by name, in their order), rate, classes, and mean and deviation
            if it has them, are taken; all records are "train".

    Returns:
        Splits with the facts in_channels, length, shape, sampling_rate_hz, leads and classes.

    Raises:
        InputError: options that contradict each other, or an encoder whose leads or rate nobody knows.
        DataError: no folder, no readable record, or names of records that do not exist.
    """
    settings = {
        "path": path, "window_s": window_s, "cut": cut, "before_s": before_s, "hop_s": hop_s, "leads": leads,
        "missing_leads": missing_leads, "sampling_rate_hz": sampling_rate_hz, "max_gap_s": max_gap_s,
        "normalize": normalize, "annotations": annotations, "classes": classes, "from_median": from_median,
        "label": label, "task": task, "group": group, "split": split, "exclude": exclude,
        "test_fraction": test_fraction, "seed": seed,
    }  # fmt: skip
    learnt = {name: fitted[name] for name in LEARNT if fitted.get(name)} if fitted is not None else {}
    if fitted is not None:
        settings["fitted"] = learnt
        leads, sampling_rate_hz = leads or learnt.get("leads"), sampling_rate_hz or learnt.get("sampling_rate_hz")
        if leads is None or sampling_rate_hz is None:
            raise InputError(
                "expected the leads and the sampling rate that the encoder was trained on; it knows "
                f"leads={leads}, sampling_rate_hz={sampling_rate_hz}. Give both options, the leads in that order."
            )
        if cut == "beats" and classes is None:
            classes = [name for name in learnt.get("classes") or () if name in AAMI] or None
        split, test_fraction = None, 0
    mean, std = learnt.get("mean", 0.0), learnt.get("std", 1.0)
    cutting = check_cut(
        cut,
        window_s=window_s,
        before_s=before_s,
        hop_s=hop_s,
        normalize="none" if std != 1 else normalize,
        annotations=annotations,
        classes=classes,
        from_median=from_median,
    )
    if cut == "beats" and label is not None:
        raise InputError("label is for windows; beats have the classes of their annotations.")
    label, group = (None if source == NONE else source for source in (label, group))
    folder = _folder(Path(path).expanduser(), database, download)
    files = _files_of_records(folder)
    if not files:
        raise DataError(f"expected WFDB headers (*.hea) in {folder} or below; found none.")
    sources = [source for source in (label, group) if isinstance(source, str) and names_a_table(source)]
    tables = [table_file(source, folder) for source in sources]

    def build(writer: SplitWriter) -> None:
        require_wfdb()
        paths = find_records(folder)
        split_of = assign_records(paths, folder, split, exclude or [], writer, is_new=fitted is not None)
        names = list(split_of)
        if group is None and fitted is None and test_fraction and not any(split_of.values()):
            say_folders(writer, [paths[name].relative_to(folder).parent.as_posix() for name in names])
        person = {name: name for name in names} | persons(
            group, {name: paths[name] for name in names}, folder, writer, is_new=fitted is not None
        )
        target = record_labels(
            label,
            {name: paths[name] for name in names},
            folder,
            writer,
            task=task,
            fitted=None if fitted is None else learnt,
        )
        place = {name: i for i, name in enumerate(names)}
        has_labels = cut == "beats" or target is not None
        parts = RowOptions(test_fraction=test_fraction, seed=seed).assign(
            len(names),
            list(split_of.values()),
            labels=np.zeros(len(names), np.int64) if has_labels else None,
            groups=[person[name] for name in names],
            what="record",
        )
        part_of = dict(zip(names, parts.tolist(), strict=True))
        wanted, rate_hz = leads, sampling_rate_hz
        if wanted is None or rate_hz is None:
            headers = _read_headers({name: paths[name] for name in names}, writer)
            names = list(headers)
            if not headers:
                return
            if wanted is None:
                wanted = [*shared_leads(list(headers.values()))]
                others = {lead for header in headers.values() for lead in header.leads} - {*wanted}
                if others:
                    some = ", ".join(sorted(others)[:10])
                    writer.note(f"Leads are {', '.join(map(str, wanted))}, those of all records; not read: {some}.")
            rate_hz = rate_hz or most_common_rate(headers.values(), wanted)
        if cutting.length(rate_hz) < 2:
            raise InputError(f"a row expected at least two samples; {window_s:g} s at {rate_hz:g} Hz give fewer.")
        for name in track(names, f"Reading {folder.name}"):
            rows = read_rows(
                paths[name],
                name,
                cutting,
                writer,
                leads=wanted,
                missing_leads=missing_leads,
                rate_hz=rate_hz,
                max_gap_s=max_gap_s,
            )
            if rows is None:
                continue
            columns = dict(rows.beats)
            if target is not None:
                columns["label"] = repeated(target, place[name], len(rows.signal))
            ids = [f"{name}@{sample}" for sample in rows.samples]
            columns["record"] = np.repeat(name, len(ids))
            columns["start_s"] = rows.start_s
            columns["end_s"] = rows.start_s + cutting.length(rate_hz) / rate_hz
            signal = ((rows.signal - mean) / std).astype(np.float32) if std != 1 else rows.signal
            writer.add(part_of[name], signal=signal, id=ids, group=[person[name]] * len(ids), **columns)
        known_labels = {"classes": list(cutting.classes) if cut == "beats" else learnt.get("classes") or []}
        writer.facts |= {
            "in_channels": len(wanted) * (1 + from_median),
            "length": cutting.length(rate_hz),
            "sampling_rate_hz": float(rate_hz),
            "leads": [lead if isinstance(lead, str) else lead[0] for lead in wanted],
            **(known_labels if target is None else target.facts),
        }

    return cached("wfdb", [*files, *tables], settings, build)


def _folder(folder: Path, database: str | None, download: bool) -> Path:
    if folder.is_dir():
        return folder
    if not download:
        way = f"Set download: true to fetch {database!r} from PhysioNet." if database else "Correct the path."
        raise DataError(f"expected a folder of WFDB records at {folder}; there is none. {way}")
    if not database:
        raise InputError("download expected the name of a PhysioNet database, such as database: mitdb; got none.")
    require_wfdb()
    import wfdb

    partial = folder.with_name(f"{folder.name}.partial")  # an interrupted download goes on from here
    partial.mkdir(parents=True, exist_ok=True)
    try:
        wfdb.dl_database(database, str(partial))
    except Exception as error:  # of the network, of wfdb
        raise DataError(f"could not download {database!r} from PhysioNet: {reason(error)}") from error
    return partial.rename(folder)


def _files_of_records(folder: Path) -> list[Path]:
    files = find_files(folder).files
    with_headers = {file.parent for file in files if file.suffix.lower() == ".hea"}
    return [file for file in files if file.parent in with_headers]


def _read_headers(paths: Mapping[str, Path], writer: SplitWriter) -> dict[str, Header]:
    headers: dict[str, Header] = {}
    for name, path in track(list(paths.items()), "Reading headers"):
        try:
            headers[name] = read_header(path)
        except Exception as error:  # as above
            writer.set_aside(name, reason(error))
    return headers
