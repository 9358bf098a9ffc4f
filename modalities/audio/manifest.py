"""Reader of sound files, or of parts of them, that a table lists."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.column_names import NONE
from bam_core.data.text_tables import read_text_table
from bam_core.errors import DataError
from modalities.audio.clips import Segment, lies_in_file
from modalities.audio.options import Normalize, SoundOptions
from modalities.audio.segments import Times, find_times
from modalities.audio.storage import N_PEEKED, Sound, write_sounds

PATHS = ("path", "file", "filename", "file_name", "audio", "audio_filepath", "audio_path", "filepath")
"""As manifests call their column of files."""


def read_manifest(
    *,
    path: str,
    file: str | None = None,
    folder: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    split: str | None = None,
    start: str | None = None,
    end: str | None = None,
    sampling_rate_hz: int | None = None,
    n_mels: int = 64,
    frame_ms: float = 25.0,
    hop_ms: float = 10.0,
    window_s: float | None = None,
    window_hop_s: float | None = None,
    normalize: Normalize = "clip",
    test_groups: list[str | int] | None = None,
    validation_groups: list[str | int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read the sound files that a table names, or parts of them, one a line.

    Lines of the same file stay in one split, unless a column of groups or splits says otherwise.

    Args:
        path: CSV with any usual delimiter and a header, or parquet.
        file: column of the paths; default: the first of path, file, filename, file_name, audio, audio_filepath,
            audio_path, filepath that there is.
        folder: that relative paths start from; default: the one that the table lies in.
        label: column of labels, which may be empty; default: `label`, if there is one; "none" for none.
        task: "classification", "multi_label" (cells such as "rain,wind") or "regression"; default: what labels look
            like, see `read_target`.
        group: column of what must stay together; default: `group`, if there is one; "none" for none.
        split: column of train, validation, test; default: `split`, if there is one; "none" for none.
        start: column of times at which a part of the file begins, in seconds, or in the unit that its name ends with
            (`start_ms`, `start_sample`); default: `start`, `begin`, `onset` or `offset`, if there is one; "none" for
            whole files.
        end: the same for where it ends; default: `end`, `stop`, or `start` and `duration` together. Without it, a part
            ends with its file.
        sampling_rate_hz: see `read_folder`, as for the following options.
        n_mels: as there.
        frame_ms: as there.
        hop_ms: as there.
        window_s: as there.
        window_hop_s: as there.
        normalize: as there.
        test_groups: as there; with the folds of a data set as groups, the folds to test on.
        validation_groups: as there.
        test_fraction: as there.
        seed: as there.
        fitted: as there.

    Returns:
        As there; `id` is the path as it stands in the table, for parts with "@start-end".

    Raises:
        InputError: options out of range.
        DataError: no readable table, no such column, no readable sound, times that do not lie in the files, or splits
            that do not fit the groups.
    """
    options = SoundOptions(
        label=label, task=task, group=group, split=split,
        test_groups=test_groups, validation_groups=validation_groups, test_fraction=test_fraction, seed=seed,
        fitted=fitted, sampling_rate_hz=sampling_rate_hz, n_mels=n_mels, frame_ms=frame_ms, hop_ms=hop_ms,
        window_s=window_s, window_hop_s=window_hop_s, normalize=normalize,
    ).check()  # fmt: skip
    settings = {"path": path, "file": file, "folder": folder, "start": start, "end": end, **options.settings()}
    table = Path(path).expanduser()
    frame, notes = _read_table(table)
    column = _column(frame, file, PATHS, table)
    if column is None:
        raise DataError(
            f"{table.name} expected a column of paths, {', '.join(PATHS)}; it has {', '.join(frame.columns)}. "
            "Name it: file."
        )
    base = table.parent if folder is None else Path(folder).expanduser()
    names = frame[column].astype("string").str.strip()
    is_listed = names.notna() & (names != "")
    listed = names[is_listed].astype(str)
    files = [base / name for name in listed]

    def build(writer: SplitWriter) -> None:
        for note in notes:
            writer.note(f"{table.name}: {note}.")
        if len(listed) < len(frame):
            writer.set_aside(f"{len(frame) - len(listed)} line(s) of {table.name}", "name no file")
        rows = frame[is_listed]
        columns = {
            role: _values(rows, _column(frame, name, (role,), table, required=fitted is None))
            for role, name in (("label", label), ("group", group), ("split", split))
        }
        times = find_times(rows, start, end, table.name, taken={column, label, group, split})
        segments = [] if times is None else times.segments(files)
        if times is not None:
            _check_times(segments, times, table.name)
            writer.note(times.note(len(set(files))))
        if fitted is not None:
            columns["split"] = [None] * len(listed)
        repeated = len(set(files)) < len(files)
        if repeated and not any(_given(columns[role]) for role in ("group", "split")):
            columns["group"] = list(listed)
            writer.note(f"{table.name} names files more than once: the lines of a file are a group, in one split.")
        where = segments or files
        ids = _distinct(times.ids(list(listed)) if times is not None else list(listed))
        write_sounds(writer, [Sound(*value) for value in zip(ids, where, *columns.values(), strict=True)], options)

    there = [file for file in dict.fromkeys(files) if file.is_file()]
    return cached("audio_manifest", [table, *there], settings, build)


def _read_table(path: Path) -> tuple[pd.DataFrame, Sequence[str]]:
    if not path.is_file():
        raise DataError(f"expected a table at {path}; there is none.")
    if path.suffix.lower() not in (".parquet", ".pq"):
        read = read_text_table(path, header=True)
        short = [f"{read.n_short} line(s) with fewer fields than columns"] if read.n_short else []
        return read.frame, [*read.notes, *short]
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DataError(f"{path.name} is no readable table: {' '.join(str(error).split())}.") from error
    if not len(frame):
        raise DataError(f"{path.name} is empty: it has no lines below its header.")
    return frame.set_axis([str(name).strip() for name in frame.columns], axis=1).reset_index(drop=True), ()


def _column(
    frame: pd.DataFrame, name: str | None, usual: tuple[str, ...], table: Path, *, required: bool = True
) -> str | None:
    if name is None:
        found = {str(column).lower(): str(column) for column in reversed(frame.columns)}
        return next((found[candidate] for candidate in usual if candidate in found), None)
    if name not in frame:
        if not required or name == NONE:
            return None
        raise DataError(f"{table.name} has no column {name!r}; it has {', '.join(frame.columns)}.")
    return name


def _values(frame: pd.DataFrame, column: str | None) -> list[Any]:
    if column is None:
        return [None] * len(frame)
    return [None if pd.isna(value) or value == "" else value for value in frame[column]]


def _given(values: Sequence[Any]) -> bool:
    return any(value is not None for value in values)


def _check_times(segments: Sequence[Path | Segment], times: Times, table: str) -> None:
    """Start and end may be those in a recording that the files were cut from, as in UrbanSound8K.

    Raises:
        DataError: most of some segments do not lie in their files.
    """
    looked = list(_lie_in_files(segments[:: max(1, len(segments) // N_PEEKED)]))
    if looked and sum(looked) < len(looked) / 2:
        raise DataError(
            f"{times.start!r} of {table} expected times in {times.unit} within the files; of {len(looked)} looked at, "
            f"{len(looked) - sum(looked)} begin behind the end of theirs. If the files are cut already: start: none. "
            "If the unit is another, its name must say so, such as start_ms."
        )


def _lie_in_files(segments: Sequence[Path | Segment]) -> Iterator[bool]:
    for segment in segments:
        if isinstance(segment, Segment):
            try:
                yield lies_in_file(segment)
            except DataError:
                continue  # it is named when all are read


def _distinct(ids: Sequence[str]) -> list[str]:
    """Names that are there more than once, with a number."""
    count: Counter[str] = Counter()
    made = []
    for name in ids:
        count[name] += 1
        made.append(name if count[name] == 1 else f"{name}#{count[name]}")
    return made
