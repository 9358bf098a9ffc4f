"""Rows on their way to prepared data: collected by split as Arrow, in files or in memory."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.arrow_writer import ArrowWriter

from bam_core.data.folders import printable
from bam_core.data.prepared import PreparedData, SetAside, listed
from bam_core.errors import DataError

CHUNK_BYTES = 4_000_000
N_NAMED = 5  # inputs that were mended in one way


class SplitWriter:
    """Collects the rows of every split and what is to be said about them; readers get one from `cached` or `in_memory`.

    What is not plainly so in the input is said through one of three channels, which `bam pretrain` and `bam embed`
    print, and which are kept with the run:

    - `note` what was guessed or chosen: "Column 'Patient_ID' is taken as the group."
    - `repaired` what was mended and used, with how many: ("series with short gaps interpolated", 4)
    - `set_aside` what could not be used, by name and with the reason: ("b.csv", "is empty: it has no rows")

    Args:
        folder: for the Arrow files; None to keep all in memory.

    Attributes:
        facts: plain JSON values about the data; `shape` (of one `signal`) is filled in by `add`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.facts: dict[str, Any] = {}
        self._folder = folder
        self._buffers: dict[str, pa.BufferOutputStream] = {}
        self._writers: dict[str, ArrowWriter] = {}
        self._pending: dict[str, list[pa.Table]] = {}
        self._set_aside: list[SetAside] = []
        self._repairs: Counter[str] = Counter()
        self._notes: dict[str, None] = {}

    def add(self, split: str, **columns: Any) -> None:
        """Append rows to a split.

        Args:
            split: "train", "validation" or "test".
            **columns: equally long columns, the same in every call. An array (n, *shape) is stored flat, with its
                shape in `facts["shape"]` for the column `signal` and `facts["shapes"][name]` for others (but for
                `label`); a list of 1-D arrays keeps its lengths; strings stay strings.

        Raises:
            DataError: columns of different lengths, or another shape than before.
        """
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns must be equally long; got {lengths}.")
        if not next(iter(lengths.values()), 0):
            return
        arrays = {name: self._to_arrow(name, values) for name, values in columns.items()}
        if split not in self._writers:
            self._writers[split] = self._open(split, {name: array.type for name, array in arrays.items()})
        schema = self._writers[split].schema
        if set(arrays) != set(schema.names):
            raise DataError(f"split {split!r} expected the columns {schema.names}; got {list(arrays)}.")
        pending = self._pending.setdefault(split, [])
        pending.append(pa.table([arrays[name] for name in schema.names], schema=schema))
        if sum(table.nbytes for table in pending) >= CHUNK_BYTES:
            self._flush(split)

    def set_aside(self, source: object, reason: object) -> None:
        """Record an input that could not be used."""
        self._set_aside.append(SetAside(printable(str(source)), printable(str(reason))))

    def repaired(self, kind: str, count: int = 1, *, names: Sequence[str] = ()) -> None:
        """Count inputs that were mended and used; the first of `names` are said in a note."""
        if count:
            self._repairs[kind] += count
        if names:
            more = f" and {len(names) - N_NAMED:,} more" if len(names) > N_NAMED else ""
            self.note(f"{kind[0].upper()}{kind[1:]}: {', '.join(names[:N_NAMED])}{more}.")

    def note(self, sentence: str) -> None:
        """Say what was guessed or chosen; the same sentence is kept once."""
        self._notes[printable(sentence)] = None

    def _flush(self, split: str) -> None:
        tables = self._pending.pop(split, [])
        if tables:  # few large chunks: reading back is quicker
            self._writers[split].write_table(pa.concat_tables(tables).combine_chunks())

    def _open(self, split: str, types: Mapping[str, pa.DataType]) -> ArrowWriter:
        features = datasets.Features.from_arrow_schema(pa.schema(list(types.items())))
        if self._folder is not None:
            return ArrowWriter(path=str(self._folder / f"{split}.arrow"), features=features)
        self._buffers[split] = pa.BufferOutputStream()
        return ArrowWriter(stream=self._buffers[split], features=features)

    def _to_arrow(self, name: str, values: Any) -> pa.Array:
        if not isinstance(values, np.ndarray) or values.ndim == 1:
            try:
                return pa.array(values if isinstance(values, np.ndarray) else list(values))
            except UnicodeEncodeError:  # names of files may be any bytes
                return pa.array([printable(value) if isinstance(value, str) else value for value in values])
        if name != "label":
            shape = list(values.shape[1:])
            known = (
                self.facts.setdefault("shape", shape) if name == "signal" else self._shapes().setdefault(name, shape)
            )
            if known != shape:
                raise DataError(f"column {name!r} expected rows of shape {tuple(known)}; got {tuple(shape)}.")
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))

    def _shapes(self) -> dict[str, list[int]]:
        shapes: dict[str, list[int]] = self.facts.setdefault("shapes", {})
        return shapes

    def finish(self, name: str) -> dict[str, Any]:
        """Complete the splits.

        Args:
            name: of the reader, for the message.

        Returns:
            What is to be said: `facts`, `set_aside`, `repairs` and `notes`, as plain values.

        Raises:
            DataError: no row was written to the split "train"; the message lists what was set aside.
        """
        for split, writer in self._writers.items():
            self._flush(split)
            writer.finalize(close_stream=self._folder is not None)
        if "train" not in self._writers:
            raise DataError(f"reader {name!r} found no usable row for the split 'train'.{listed(self._set_aside)}")
        said = {"set_aside": self._set_aside, "repairs": self._repairs, "notes": list(self._notes)}
        return {"facts": self.facts, **said}

    def buffers(self) -> dict[str, pa.Buffer]:
        """The completed splits of a writer without a folder."""
        return {split: stream.getvalue() for split, stream in sorted(self._buffers.items())}

    def close(self) -> None:
        """Close the files, complete or not."""
        for writer in self._writers.values():
            writer.close()


def in_memory(name: str, build: Callable[[SplitWriter], None]) -> PreparedData:
    """Prepare data that are in memory already, and leave nothing on disk.

    Args:
        name: of the reader.
        build: writes the rows.

    Returns:
        Splits in memory with facts and report; the fingerprint is that of their contents.

    Raises:
        DataError: `build` wrote no row to the split "train"; the message lists what was set aside.

    Example:
        >>> in_memory("numbers", lambda writer: writer.add("train", signal=np.ones((3, 2)))).facts
        {'shape': [2]}
    """
    writer = SplitWriter()
    build(writer)
    text = json.dumps(writer.finish(name))
    buffers = writer.buffers()
    digest = hashlib.sha256(text.encode())
    for split, buffer in buffers.items():
        digest.update(split.encode())
        digest.update(buffer)
    splits = {split: datasets.Dataset.from_buffer(buffer) for split, buffer in buffers.items()}
    return prepared(splits, json.loads(text), digest.hexdigest()[:20])


def prepared(splits: Mapping[str, datasets.Dataset], about: Mapping[str, Any], fingerprint: str) -> PreparedData:
    """Prepared data from what `SplitWriter.finish` returned, after its way through JSON."""
    return PreparedData(
        splits=splits,
        facts=about["facts"],
        set_aside=[SetAside(*row) for row in about["set_aside"]],
        repairs=about["repairs"],
        notes=about["notes"],
        fingerprint=fingerprint,
    )
