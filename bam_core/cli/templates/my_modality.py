"""my_modality: say here what one sample is, in which units, and from which sensor.

This file is all that bam-ssl needs of a domain: a reader, views, an encoder. As it stands it
reads signals, one a line of a table or one a row of an array, and trains. Change what your data
need; `test_my_modality.py` says when a promise is broken.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.labels import encode_labels
from bam_core.data.numpy_files import open_numpy
from bam_core.data.row_options import RowOptions
from bam_core.errors import DataError, InputError
from bam_core.protocols import Modality
from bam_core.views import Views
from torch import Tensor, nn

Range = tuple[float, float]


# Readers: files -> rows, prepared once and cached. Name what cannot be used; never drop it silently.


def read_files(
    *,
    path: str,
    label: str = "label",
    group: str = "group",
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read a table (.csv) of one signal a line, or an array (.npy), (n, time) or (n, channels, time).

    Args:
        path: of the file.
        label: column of the labels, if there is one; empty for unlabelled lines.
        group: column of what must stay together in one split (persons, machines), if there is one.
        test_fraction: part of the groups, or of every class, to hold out if there are labels.
        seed: of that choice.
        fitted: facts of a saved encoder, to read new data as its training data were.

    Raises:
        DataError: the file is missing, or holds no signals.
    """
    options = RowOptions(label=label, group=group, test_fraction=test_fraction, seed=seed, fitted=fitted)
    learnt = fitted and [fitted["mean"], fitted["std"], fitted["classes"]]
    settings = {"path": path, **options.settings(), "fitted": learnt}
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"expected a file at {file}; there is none.")

    def build(writer: SplitWriter) -> None:
        columns: dict[str, list[str]] = {}
        if file.suffix == ".npy":
            signal = _array(open_numpy(file), file)
        else:
            signal, columns = _table(file, label, group)
        _write(writer, signal, columns, file.name, options)

    return cached("my_modality", [file], settings, build)


def read_example(*, n_signals: int = 96, seed: int = 0) -> PreparedData:
    """Sines and sawteeth with noise, four of a machine; for tests and first trials."""

    def build(writer: SplitWriter) -> None:
        rng = np.random.default_rng(seed)
        kind = rng.permutation(n_signals) % 2
        turns = rng.uniform(3, 6, (n_signals, 1)) * np.arange(120) / 120 + rng.random((n_signals, 1))
        wave = np.where(kind[:, None] == 0, np.sin(2 * np.pi * turns), 2 * (turns % 1) - 1)
        signal = (wave + 0.2 * rng.standard_normal(wave.shape))[:, None]
        names = {
            "label": [["sine", "sawtooth"][k] for k in kind],
            "group": [f"machine {i // 4}" for i in range(n_signals)],
        }
        _write(writer, signal, names, "example", RowOptions(test_fraction=0.25, seed=seed))

    return cached("my_modality_example", [], {"n_signals": n_signals, "seed": seed}, build)


def _table(file: Path, label: str, group: str) -> tuple[np.ndarray, dict[str, list[str]]]:
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        first = lines.readline()
        delimiter = max(",;\t|", key=first.count)
        lines.seek(0)
        header, *rows = [*csv.reader(lines, delimiter=delimiter)] or [[]]
    places = {"label": label, "group": group}
    named = {key: header.index(name) for key, name in places.items() if name in header}
    values = [i for i in range(len(header)) if i not in named.values()]
    if not rows or not values:
        raise DataError(f"{file.name} expected a header and lines of numbers; got {len(rows)} lines.")
    signal = [[_number(row[i]) if i < len(row) else np.nan for i in values] for row in rows]
    columns = {key: [row[i] if i < len(row) else "" for row in rows] for key, i in named.items()}
    return np.array(signal)[:, None], columns


def _array(array: np.ndarray, file: Path) -> np.ndarray:
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu":
        raise DataError(
            f"{file.name} expected numbers (n, time) or (n, channels, time); got {array.dtype} {array.shape}."
        )
    return array[:, None] if array.ndim == 2 else array


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _write(
    writer: SplitWriter,
    signal: np.ndarray,
    columns: Mapping[str, list[str]],
    source: str,
    options: RowOptions,
) -> None:
    usable = np.isfinite(signal).all(axis=(1, 2))
    for row in np.flatnonzero(~usable):
        writer.set_aside(f"{source} row {row}", "has values that are missing or no numbers")
    signal, rows = signal[usable].astype(np.float32), np.flatnonzero(usable)
    if not len(rows):
        return  # `cached` says so, with the reasons
    names = {key: [values[row] for row in rows] for key, values in columns.items()}
    known: dict[str, Any] = {}
    fitted = options.fitted
    classes: list[str] = fitted["classes"] if fitted else []
    if "label" in names:
        labels = encode_labels(names["label"], classes=classes if fitted else None)
        known["label"], classes = labels.indices, labels.classes
    if "group" in names:
        known["group"] = names["group"]
    parts = options.assign(len(rows), None, labels=known.get("label"), groups=known.get("group"))
    for split in ("train", "test"):
        picked = np.flatnonzero(parts == split)
        writer.add(
            split,
            signal=signal[picked],
            id=[f"{source} row {rows[i]}" for i in picked],
            **{key: [values[i] for i in picked] for key, values in known.items()},
        )
    train = signal[parts == "train"]  # nothing is learnt from rows that are for testing
    mean, std = train.mean(axis=(0, 2)), train.std(axis=(0, 2)).clip(1e-8)
    writer.facts |= {
        "in_channels": signal.shape[1],
        "mean": fitted["mean"] if fitted else mean.tolist(),
        "std": fitted["std"] if fitted else std.tolist(),
        "classes": classes,
    }


def collate(columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Tensor:
    """Rows as (b, channels, time), standardised by the training rows; `signal` is stored flat."""
    signal = torch.tensor(np.array(columns["signal"], np.float32))
    signal = signal.reshape(len(signal), facts["in_channels"], -1)
    mean, std = (torch.tensor(facts[name])[:, None] for name in ("mean", "std"))
    return (signal - mean) / std


# Views: what an encoder should learn to ignore. Labels that hang on it are lost: say which.

LABEL_RISKS = {
    "window": "events outside the window, duration",
    "scale": "amplitude",
    "noise": "fine detail",
}


class RandomViews:
    """Random windows of signals (b, channels, time), louder or softer, with noise.

    Args:
        n_views: views of every sample.
        window: length of a window, as a fraction of the signal.
        scale: factor of the amplitude.
        noise: standard deviation of white noise, relative to that of the training rows.

    Raises:
        InputError: fewer than one view, or a window that is no fraction.
    """

    def __init__(self, *, n_views: int = 2, window: float = 0.8, scale: Range = (0.7, 1.4), noise: float = 0.2) -> None:
        if n_views < 1 or not 0 < window <= 1:
            raise InputError(f"expected n_views >= 1 and 0 < window <= 1; got {n_views}, {window}.")
        self.n_views, self.window, self.scale, self.noise = n_views, window, scale, noise

    def __call__(self, batch: Tensor, *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch, on its device, reproducible from the generator."""
        return Views([self._view(batch, generator) for _ in range(self.n_views)])

    def _view(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        device = x.device if generator is None else generator.device
        b, channels, time = x.shape
        n = max(1, round(self.window * time))
        start, factor = torch.rand(2, b, 1, 1, generator=generator, device=device).to(x.device)
        steps = (start * (time - n + 1)).long() + torch.arange(n, device=x.device)
        x = x.gather(-1, steps.expand(b, channels, n))
        low, high = self.scale
        noise = torch.randn(x.shape, generator=generator, device=device).to(x.device)
        view: Tensor = x * (low + (high - low) * factor) + self.noise * noise
        return view


# Encoders: a view -> one vector a sample, (b, d), for views of any length.


class SmallNet(nn.Module):
    """Three convolutions and the mean over time: (b, in_channels, time) -> (b, 4 * width).

    Args:
        in_channels: of the signals; filled in from the facts of the data.
        width: channels of the first layer.
    """

    def __init__(self, *, in_channels: int, width: int = 16) -> None:
        super().__init__()
        self.in_channels = in_channels
        layers: list[nn.Module] = []
        for n_in, n_out in ((in_channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [
                nn.Conv1d(n_in, n_out, 7, stride=2, padding=3), nn.BatchNorm1d(n_out), nn.ReLU()
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """One vector a signal."""
        if x.ndim != 3 or x.shape[1] != self.in_channels:
            raise InputError(f"expected (b, {self.in_channels}, time); got {tuple(x.shape)}.")
        features: Tensor = self.layers(x)
        return features.mean(dim=-1)


# What a user would feed a linear model without any network, and a picture of one sample.


def raw_features(batch: Tensor) -> Tensor:
    """All values of the signal."""
    return batch.flatten(1)


def draw(axes: Any, sample: Tensor) -> None:
    """Draw the channels of one signal, or of one view of it."""
    axes.plot(sample.detach().cpu().T.numpy(), linewidth=0.8)
    axes.set_axis_off()


MODALITY = Modality(
    name="my_modality",
    readers={"files": read_files, "example": read_example},
    reader_for_suffix={".csv": "files", ".npy": "files"},
    views={"random": RandomViews},
    encoders={"small": SmallNet},
    collate=collate,
    raw_features=raw_features,
    example=read_example,
    draw=draw,
    label_risks=LABEL_RISKS,
)
