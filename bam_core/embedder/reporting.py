"""A page on a fitted embedder: curves of its training, and a map of rows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from bam_core.embedder import embedding
from bam_core.errors import InputError

if TYPE_CHECKING:
    from bam_core.embedder.estimator import BAMEmbedder


def write(embedder: "BAMEmbedder", path: str | Path, X: Any, y: Any) -> Path:
    """Write the page; see `BAMEmbedder.report`."""
    from bam_core.outputs import make_folder
    from bam_core.reports.report import ReportContent, write_report

    path = Path(path)
    make_folder(path.parent)
    history = embedder.history_
    params = {name: value for name, value in embedder.get_params(deep=False).items() if name != "modality"}
    name = embedder.modality if isinstance(embedder.modality, str) else embedder.modality.name
    uniform = history["uniform_loss"].iloc[-1] if "uniform_loss" in history else None
    content = ReportContent(
        title=path.stem,
        metrics=history,
        uniform_loss=uniform,
        set_aside=list(embedder.set_aside_.items()),
        repairs=embedder.repairs_,
        notes=embedder.notes_,
        recipe=yaml.safe_dump({"modality": name, **{k: _plain(v) for k, v in params.items()}}, sort_keys=False),
        versions=_versions(),
        **({} if X is None else _pictures(embedder, X, y)),
    )
    return write_report(path, content)


def _pictures(embedder: "BAMEmbedder", X: Any, y: Any) -> dict[str, Any]:
    """Map and neighbours of the rows of X, or of their parts."""
    import torch

    from bam_core.config.build import assemble
    from bam_core.data.labels import encode_labels
    from bam_core.reports.pictures import EmbeddingMap, NeighbourRows, take_sample

    embedded = embedding.embedded(embedder, X)
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if y is not None:
        n_inputs = len(embedded.inputs)
        if np.shape(y) != (n_inputs,):
            raise InputError(f"report expected y of shape ({n_inputs},), one for each row; got {np.shape(y)}.")
        found = encode_labels(np.asarray(y, dtype=object))
        labels, classes = found.indices[embedded.places], tuple(found.classes)
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        parts = assemble(embedder._recipe(embedded.modality, seed=embedder._seed), embedded.data)
    dataset = parts.dataset("train")
    untouched = getattr(parts.view_fn, "untouched", None)

    def sample(row: int) -> Any:
        batch = dataset.__getitems__([row])
        return take_sample(batch if untouched is None else untouched(batch), 0)

    untrained = embedding.embed_rows(parts.encoder, embedded.data, embedded.modality)
    names = list(embedded.data.splits["train"]["id"])
    return {
        "map": EmbeddingMap(embedded.parts, untrained, labels, classes, ids=names),
        "draw": parts.modality.draw,
        "neighbours": NeighbourRows.find(embedded.parts, sample, labels=labels, classes=classes, ids=names),
    }


def _plain(value: Any) -> Any:
    """A parameter as YAML shows it."""
    return value if value is None or isinstance(value, bool | int | float | str | dict | list) else str(value)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("bam-ssl", "torch", "scikit-learn", "numpy", "pandas")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
