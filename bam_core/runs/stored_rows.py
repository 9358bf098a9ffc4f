"""Rows in memory as files in a run folder, so that a run on them can be continued, evaluated and fine-tuned later."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bam_core.config.recipe import ROWS
from bam_core.config.registry import keyword_parameters
from bam_core.errors import InputError, RecipeError
from bam_core.outputs import explained, make_folder
from bam_core.protocols import Modality

OF_ROWS = ("labels", "groups")


def store_rows(
    modality: Modality,
    rows: Any,
    run_folder: Path,
    *,
    labels: Any = None,
    groups: Any = None,
    options: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    several: bool = False,
) -> dict[str, Any]:
    """Write rows into a run folder.

    The same rows are written once; other rows are refused, unless several may lie there.

    Args:
        modality: of the rows; its `to_files` writes them.
        rows: what that takes.
        run_folder: of the run; the rows lie in the folder `rows` inside, or with `several` in `rows-HASH`.
        labels: of the rows.
        groups: of the rows.
        options: of the rows, those of `to_files` and further ones of the reader.
        facts: of a trained encoder, for options of `to_files` that nobody gives.
        several: whether other rows may lie there already, such as those that an encoder was trained on.

    Returns:
        The section `data` of a recipe, with an absolute path.

    Raises:
        InputError: the modality takes no rows in memory, an option is lacking, or a reader or path is named.
        RecipeError: other rows lie there.
        BAMError: rows that cannot be written.
    """
    write, given = modality.to_files, dict(options or {})
    if write is None:
        raise InputError(
            f"the modality {modality.name!r} does not write rows in memory to files: it has no to_files. Give a path."
        )
    for name in {"reader", "path"} & set(given):
        raise InputError(f"data.{name} is for files; the data are in memory. Leave one of them out.")
    known = {parameter.name: parameter for parameter in keyword_parameters(write) if parameter.name not in OF_ROWS}
    taken = {name: given.pop(name) for name in known if name in given}
    for name, parameter in known.items():
        if parameter.default is parameter.empty and taken.get(name) is None:
            if (facts or {}).get(name) is None:
                raise InputError(f"rows for {modality.name!r} need {name}: pass data__{name}=VALUE.")
            taken[name] = (facts or {})[name]
    make_folder(run_folder)
    with explained(run_folder):
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=run_folder))
        try:
            partial.chmod(run_folder.stat().st_mode & 0o777)
            section = dict(write(rows, partial, labels=labels, groups=groups, **taken))
            digest = _digest(partial)
            target = run_folder / (f"{ROWS}-{digest[:8]}" if several else ROWS)
            if not target.exists():
                partial.rename(target)
            elif _digest(target) != digest:
                raise RecipeError(
                    f"the run folder {str(run_folder)!r} holds other rows than these. Take another folder, or leave "
                    "the rows out to go on with those that are there: data=None."
                )
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return {**given, **section, "path": str((target / section["path"]).resolve())}


def _digest(folder: Path) -> str:
    """Of names and contents of all files of a folder."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(file.relative_to(folder).as_posix().encode() + b"\0")
            with file.open("rb") as content:
                found.update(hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()
