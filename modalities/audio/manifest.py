"""Reader of sound files that a table lists."""

from pathlib import Path
from typing import Any

import pandas as pd

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.errors import DataError
from modalities.audio.storage import Normalize, Sound, Treatment, write_sounds

PATHS = ("path", "file", "filename", "file_name", "audio")
"""As manifests call their column of files."""


def read_manifest(
    *,
    path: str,
    file: str | None = None,
    folder: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
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
    """Read the sound files that a table names, one a line.

    Args:
        path: CSV with any usual delimiter and a header, or parquet.
        file: column of the paths; default: the first of path, file, filename, file_name, audio that there is.
        folder: that relative paths start from; default: the one that the table lies in.
        label: column of labels, which may be empty; default: `label`, if there is one.
        group: column of what must stay together; default: `group`, if there is one.
        split: column of train, validation, test; default: `split`, if there is one.
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
        As there; `id` is the path as it stands in the table.

    Raises:
        InputError: options out of range.
        DataError: no readable table, no such column, no readable sound, or splits that do not fit the groups.
    """
    settings = dict(locals())
    how = Treatment.of(settings)
    table = Path(path).expanduser()
    frame = _read_table(table)
    column = _column(frame, file, PATHS, table)
    if column is None:
        raise DataError(
            f"{table.name} expected a column of paths, {', '.join(PATHS)}; it has {', '.join(frame.columns)}. "
            "Name it: file."
        )
    base = table.parent if folder is None else Path(folder).expanduser()
    listed = frame[column].dropna().astype(str)
    files = [base / name for name in listed]

    def build(writer: SplitWriter) -> None:
        if len(listed) < len(frame):
            writer.set_aside(f"{len(frame) - len(listed)} line(s) of {table.name}", "name no file")
        columns = {
            role: _values(frame.loc[listed.index], _column(frame, name, (role,), table, required=fitted is None))
            for role, name in (("label", label), ("group", group), ("split", split))
        }
        if fitted is not None:
            columns["split"] = [None] * len(listed)
        values = zip(listed, files, columns["label"], columns["group"], columns["split"], strict=True)
        write_sounds(writer, [Sound(*value) for value in values], how)

    return cached("audio_manifest", [table, *(f for f in files if f.is_file())], {**settings, **how.settings()}, build)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"expected a table at {path}; there is none.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, sep=_delimiter(path), dtype=str, skipinitialspace=True, encoding="utf-8-sig")
    except (ValueError, OSError, pd.errors.ParserError) as error:  # of pandas, pyarrow, and of the encoding
        raise DataError(f"{path.name} is no readable table: {' '.join(str(error).split())}.") from error
    if not len(frame):
        raise DataError(f"{path.name} is empty: it has no lines below its header.")
    return frame.set_axis([str(name).strip() for name in frame.columns], axis=1)


def _delimiter(path: Path) -> str:
    """The one of tab, `;`, `|` and `,` that the header holds most often."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    return max("\t;|,", key=header.count)


def _column(
    frame: pd.DataFrame, name: str | None, usual: tuple[str, ...], table: Path, *, required: bool = True
) -> str | None:
    if name is None:
        return next((candidate for candidate in usual if candidate in frame), None)
    if name not in frame:
        if not required:
            return None
        raise DataError(f"{table.name} has no column {name!r}; it has {', '.join(frame.columns)}.")
    return name


def _values(frame: pd.DataFrame, column: str | None) -> list[Any]:
    if column is None:
        return [None] * len(frame)
    return [None if pd.isna(value) else value for value in frame[column]]
