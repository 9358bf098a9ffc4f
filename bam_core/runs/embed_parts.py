"""Embeddings of any number of rows, as a folder of parquet files that grows part by part.

    part-00000-00000.parquet    rows of the first source: so many from the first on
    _sources/00000.json         the first source is done: rows, parts, what is to be said about it
    _manifest.json              what made the parts; the numbers of all rows when all are done
    _data.txt, _set_aside.csv   the account of the data, and what could not be used

A part appears under its name when it is whole, so a name is enough to know that its rows are done. Which rows a part
holds follows from the data and the width of the embeddings alone. So a process that was killed goes on with the first
part that is missing, and parts may be made in any order and by any number of processes.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bam_core import __version__
from bam_core.data import PreparedData, SetAside
from bam_core.data.cache import cache_in
from bam_core.data.prepared import account
from bam_core.errors import DataError
from bam_core.outputs import make_folder, write_text, written
from bam_core.runs.embed import Written, n_features, read_new, rows_table
from bam_core.runs.embedding_file import Where, source_of, with_source
from bam_core.runs.lock import only_here
from bam_core.runs.new_data import options_of
from bam_core.runs.origin import Training
from bam_core.runs.run_folder import encoder_folder, file_digest, load_encoder, load_run, write_set_aside
from bam_core.runs.sources import check_output, listing_hash, sources_of

FORMAT = 1  # raise it when rows are divided among parts in another way
MOST_ROWS = 65_536
PART_BYTES = 64 << 20  # of embeddings


class Task(NamedTuple):
    """What is to be embedded; see `embed_parts`."""

    folder: Path
    path: Path
    output: Path
    options: Mapping[str, Any]
    teacher: bool
    trusted: bool
    part_rows: int | None


class Opened(NamedTuple):
    """A source that was read: its number, the data, and the split, first and last row of each part."""

    number: int
    data: PreparedData
    parts: list[tuple[str, int, int]]


def embed_parts(
    folder: Path,
    path: Path,
    output: Path,
    *,
    overrides: Iterable[str] = (),
    teacher: bool = False,
    trusted: bool = False,
    part_rows: int | None = None,
) -> Written:
    """Embed a folder or file of any size with the encoder of a run, part by part; go on where a killed process ended.

    Args:
        folder: of the run.
        path: data to embed. Of a folder of parquet or tar files, each is read when its turn comes.
        output: folder for the parts. Columns are those of `embed_data`; where the data are several files, the name of
            the file stands before the `id`, as in "a/00.parquet:17".
        overrides: `key=value` options of the reader.
        teacher: use the teacher's encoder.
        trusted: run the Python files that the run names, also if somebody else made it.
        part_rows: rows of a part, at most; default: as many as make 64 MiB of embeddings, and at most 65,536.

    Returns:
        Numbers of rows, features, and inputs set aside, and what is to be said about the data.

    Raises:
        BAMError: the run, the data or the options do not fit; the folder holds embeddings of other data, or by another
            encoder or other options; another process is at work in it.
    """
    task = Task(folder, path, output, options_of(overrides), teacher, trusted, part_rows)
    check_output(path, output)
    with only_here(output, what="folder", way_out="write to another"):
        writer = PartWriter(task)
        writer.begin()
        for number in writer.to_do():
            writer.embed_source(number)
        return writer.finish()


class PartWriter:
    """Writes the parts of one task; every process that helps has its own.

    Args:
        task: what is to be embedded.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.recipe = load_run(task.folder, trusted=task.trusted)
        self.encoder = load_encoder(task.folder, teacher=task.teacher, trusted=task.trusted)
        self.sources = sources_of(task.path, self.encoder.modality, task.options)
        self.part_rows = task.part_rows
        self.training = Training.of(self.recipe)
        self.source = source_of(self.recipe, self.encoder, Where(task.folder, task.path, task.options))

    def begin(self) -> None:
        """Write what makes the parts into the folder, or see that it made those that are there.

        Raises:
            DataError: other data, another encoder, recipe or other options made them; or the folder holds other files.
        """
        path, now = self.task.output / "_manifest.json", self._made_by()
        if not path.is_file():
            if others := sorted(file.name for file in self.task.output.iterdir() if file.name != ".lock"):
                raise DataError(
                    f"expected an empty folder, or one that bam embed began; {str(self.task.output)!r} holds "
                    f"{others[0]!r} and no _manifest.json. Name another folder."
                )
            write_text(path, json.dumps(now, indent=1))
            return
        known = json.loads(path.read_text(encoding="utf-8"))
        if differing := [name for name in now if now[name] != known.get(name)]:
            raise DataError(
                f"{str(self.task.output)!r} was begun with another {' and another '.join(differing)}. Bring back what "
                "it was begun with, or write to another folder."
            )

    def _made_by(self) -> dict[str, Any]:
        saved = encoder_folder(self.task.folder, teacher=self.task.teacher)
        weights = hashlib.sha256(file_digest(saved / "model.safetensors") + file_digest(saved / "config.json"))
        return {
            "format": FORMAT,
            "version": __version__,
            "encoder": weights.hexdigest()[:16],
            "recipe": file_digest(self.task.folder / "recipe.yaml").hex()[:16],
            "data": listing_hash(self.task.path),
            "options": {name: str(value) for name, value in sorted(self.task.options.items())},
            "part_rows": self.task.part_rows,
        }

    def to_do(self) -> list[int]:
        """Numbers of the sources that are not done."""
        return [number for number in range(len(self.sources)) if not self._is_done(number)]

    def _is_done(self, number: int) -> bool:
        marker = self._marker(number)
        if not marker.is_file():
            return False
        n_parts = json.loads(marker.read_text(encoding="utf-8"))["parts"]
        return all(self._part(number, part).is_file() for part in range(n_parts))

    def embed_source(self, number: int) -> None:
        """Read a source, write those of its parts that are missing, and note that it is done.

        Raises:
            DataError: it is the only one and cannot be used. One of several is set aside.
        """
        with nullcontext() if len(self.sources) == 1 else cache_in(self._room(number)):
            try:
                opened = self.open(number)
            except DataError as error:
                if len(self.sources) == 1:
                    raise
                aside = SetAside(self._name(number), str(error))
                opened = Opened(number, PreparedData({}, set_aside=[aside]), [])
            for part in range(len(opened.parts)):
                self.write(opened, part)
            self.close(opened)
        shutil.rmtree(self._room(number), ignore_errors=True)

    def open(self, number: int) -> Opened:
        """Read a source and divide its rows."""
        data = read_new(self.recipe, self.encoder, self.sources[number], self.task.options, training=self.training)
        self.part_rows = self.part_rows or self._fitting(data)
        parts = [
            (split, start, min(start + self.part_rows, len(rows)))
            for split, rows in data.splits.items()
            for start in range(0, len(rows), self.part_rows)
        ]
        return Opened(number, data, parts)

    def _fitting(self, data: PreparedData) -> int:
        """Rows of a part, by the width of the embeddings."""
        first = next(rows for rows in data.splits.values() if len(rows)).select(range(1))
        width = n_features(rows_table(self.encoder, first, data.facts))
        return max(1, min(MOST_ROWS, PART_BYTES // (4 * width)))

    def write(self, opened: Opened, part: int) -> None:
        """Embed the rows of a part and write it, unless it is there."""
        file = self._part(opened.number, part)
        if file.is_file():
            return
        split, start, end = opened.parts[part]
        rows = opened.data.splits[split].select(range(start, end))
        what = f"embedding {self._name(opened.number)} {split} {start:,}"
        table = rows_table(self.encoder, rows, opened.data.facts, what=what)
        if len(self.sources) > 1:
            table["id"] = f"{self._name(opened.number)}:" + table["id"].astype(str)
        with written(file) as partial:
            pq.write_table(with_source(_typed(table), self.source), partial)

    def close(self, opened: Opened) -> None:
        """Note that all parts of a source are there, and what is to be said about it."""
        data = opened.data
        make_folder(self._marker(0).parent)
        about = {
            "source": self._name(opened.number),
            "rows": {split: len(rows) for split, rows in data.splits.items()},
            "parts": len(opened.parts),
            "notes": list(data.notes),
            "repairs": dict(data.repairs),
            "set_aside": [list(one) for one in data.set_aside],
        }
        write_text(self._marker(opened.number), json.dumps(about))

    def finish(self) -> Written:
        """Add up what was said of the sources, and write it.

        Raises:
            DataError: no source had a row that could be used.
        """
        sizes, repairs, notes, set_aside = Counter[str](), Counter[str](), dict[str, None](), list[SetAside]()
        n_parts = 0
        for number in range(len(self.sources)):
            about = json.loads(self._marker(number).read_text(encoding="utf-8"))
            sizes.update(about["rows"])
            repairs.update(about["repairs"])
            notes.update(dict.fromkeys(about["notes"]))
            set_aside += [SetAside(*one) for one in about["set_aside"]]
            n_parts += about["parts"]
        if not sizes.total():
            raise DataError(
                f"no file in {str(self.task.path)!r} could be used: {set_aside[0].source}: {set_aside[0].reason}"
            )
        output, text = self.task.output, account(sizes, notes=list(notes), repairs=repairs, set_aside=set_aside)
        write_set_aside(output / "_set_aside.csv", PreparedData({}, set_aside=set_aside))
        write_text(output / "_data.txt", f"{text}\n")
        first = next(file for number in range(len(self.sources)) if (file := self._part(number, 0)).is_file())
        width = n_features(pq.read_schema(first).empty_table().to_pandas())
        said = {**self._made_by(), "complete": True, "rows": sizes.total(), "parts": n_parts, "width": width}
        write_text(output / "_manifest.json", json.dumps(said, indent=1))
        return Written(sizes.total(), width, len(set_aside), text)

    def _name(self, number: int) -> str:
        source = self.sources[number]
        return source.name if source == self.task.path else source.relative_to(self.task.path).as_posix()

    def _part(self, number: int, part: int) -> Path:
        return self.task.output / f"part-{number:05d}-{part:05d}.parquet"

    def _marker(self, number: int) -> Path:
        return self.task.output / "_sources" / f"{number:05d}.json"

    def _room(self, number: int) -> Path:
        return self.task.output / "_prepared" / f"{number:05d}"


def _typed(table: pd.DataFrame) -> pa.Table:
    """The same as Arrow, where a column without any value is one of names, so that all parts have one schema."""
    found = pa.Table.from_pandas(table, preserve_index=False)
    names = (pa.null(), pa.large_string())
    same = {one: pa.string() for one in names} | {pa.list_(one): pa.list_(pa.string()) for one in names}
    fields = [field.with_type(same.get(field.type, field.type)) for field in found.schema]
    return found.cast(pa.schema(fields, metadata=found.schema.metadata))
