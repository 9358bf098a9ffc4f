"""Prepare once, map afterwards: rows go to Arrow files under a key made from the input files and the settings.

The cache lies in `$BAM_CACHE`, or `~/.cache/bam-ssl`. An entry appears under its name only when it is complete, so an
interrupted or a concurrent preparation does no harm.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.arrow_writer import ArrowWriter

from bam_core import __version__
from bam_core.data.prepared import PreparedData, SetAside
from bam_core.errors import DataError

FORMAT = 2  # raise it when the layout of an entry changes
CHUNK_BYTES = 4_000_000


def cache_root() -> Path:
    """Folder of all prepared data."""
    return Path(os.environ.get("BAM_CACHE") or Path.home() / ".cache" / "bam-ssl")


class SplitWriter:
    """Collects the rows of every split and what is to be said about them; readers get one from `cached`.

    Attributes:
        facts: plain JSON values about the data; `shape` (of one `signal`) is filled in by `add`.
    """

    def __init__(self, folder: Path) -> None:
        self.facts: dict[str, Any] = {}
        self._folder = folder
        self._writers: dict[str, ArrowWriter] = {}
        self._pending: dict[str, list[pa.Table]] = {}
        self._set_aside: list[SetAside] = []
        self._repairs: Counter[str] = Counter()

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
        self._set_aside.append(SetAside(str(source), str(reason)))

    def repaired(self, kind: str, count: int = 1) -> None:
        """Count inputs that were mended and used."""
        self._repairs[kind] += count

    def _flush(self, split: str) -> None:
        tables = self._pending.pop(split, [])
        if tables:  # few large chunks: reading back is quicker
            self._writers[split].write_table(pa.concat_tables(tables).combine_chunks())

    def _open(self, split: str, types: Mapping[str, pa.DataType]) -> ArrowWriter:
        features = datasets.Features.from_arrow_schema(pa.schema(list(types.items())))
        return ArrowWriter(path=str(self._folder / f"{split}.arrow"), features=features)

    def _to_arrow(self, name: str, values: Any) -> pa.Array:
        if not isinstance(values, np.ndarray):
            return pa.array(list(values))
        if values.ndim == 1:
            return pa.array(values)
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

    def finish(self) -> None:
        """Close the files and write what is to be said."""
        for split, writer in self._writers.items():
            self._flush(split)
            writer.finalize()
        about = {"facts": self.facts, "set_aside": self._set_aside, "repairs": self._repairs}
        (self._folder / "about.json").write_text(json.dumps(about, indent=1))

    def close(self) -> None:
        """Close the files, complete or not."""
        for writer in self._writers.values():
            writer.close()


def fingerprint(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Hash of the files (path, size, time of change), the settings and our version."""
    paths = sorted({os.path.abspath(file) for file in files})
    stats = [(path, stat.st_size, stat.st_mtime_ns) for path in paths for stat in [_stat(path)]]
    text = json.dumps([FORMAT, __version__, stats, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stat(path: str) -> os.stat_result:
    return os.stat(path) if os.path.exists(path) else os.lstat(path)  # a link whose file was not fetched


def cached(
    name: str, files: Iterable[Path], settings: Mapping[str, Any], build: Callable[[SplitWriter], None]
) -> PreparedData:
    """Open the prepared data of these files and settings, after building it if it is not there.

    Args:
        name: of the reader; part of the key.
        files: all files that the result depends on.
        settings: all options that the result depends on; plain values.
        build: writes the rows; called only if there is no entry yet.

    Returns:
        Memory-mapped splits with facts and report.

    Raises:
        DataError: `build` wrote no row to the split "train"; the message lists what was set aside.
    """
    key = fingerprint(files, {"reader": name, **settings})
    folder = cache_root() / f"{name}-{key}"
    if not (folder / "about.json").exists():
        cache_root().mkdir(parents=True, exist_ok=True)
        _remove_remains(name)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_root()))
        writer = SplitWriter(partial)
        try:
            build(writer)
            writer.finish()
            if not (partial / "train.arrow").exists():
                raise DataError(_nothing_usable(name, writer._set_aside))
            try:
                partial.rename(folder)
            except OSError:  # another process was faster
                if not (folder / "about.json").exists():
                    raise
        finally:
            writer.close()
            shutil.rmtree(partial, ignore_errors=True)
    about = json.loads((folder / "about.json").read_text())
    return PreparedData(
        splits={f.stem: datasets.Dataset.from_file(str(f)) for f in sorted(folder.glob("*.arrow"))},
        facts=about["facts"],
        set_aside=[SetAside(*row) for row in about["set_aside"]],
        repairs=about["repairs"],
        fingerprint=key,
    )


def _remove_remains(name: str) -> None:
    """Delete what killed processes left behind a day ago or earlier."""
    for partial in cache_root().glob(f".{name}-*"):
        if time.time() - partial.stat().st_mtime > 24 * 3600:
            shutil.rmtree(partial, ignore_errors=True)


def _nothing_usable(name: str, set_aside: list[SetAside]) -> str:
    shown = "".join(f"\n  {source}: {reason}" for source, reason in set_aside[:10])
    more = f"\n  ... and {len(set_aside) - 10} more" if len(set_aside) > 10 else ""
    return f"reader {name!r} found no usable row for the split 'train'.{shown}{more}"
