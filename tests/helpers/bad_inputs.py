"""Small inputs of every kind, to be spoilt: writers return the path."""

import io
import shutil
import tarfile

import datasets
import numpy as np
import pandas as pd
import soundfile
from ecg_folders import heartbeats, write_record
from PIL import Image

N = 24
RNG = np.random.default_rng(0)
SIGNALS = RNG.normal(size=(N, 2, 40))
LABELS = np.array(["a", "b"] * (N // 2), dtype=object)
GROUPS = np.array([f"g{i // 2}" for i in range(N)], dtype=object)
IMAGES = RNG.random((N, 8, 8))
WIDE = pd.DataFrame(RNG.normal(size=(N, 30)), columns=[f"t{i}" for i in range(30)]).assign(label=LABELS)
LONG = pd.DataFrame(
    {"id": np.repeat(np.arange(N), 20), "time": np.tile(np.arange(20), N), "x": RNG.normal(size=20 * N)}
).assign(y=RNG.normal(size=20 * N), label=np.repeat(LABELS, 20))
TABLE = pd.DataFrame({"age": RNG.normal(40, 9, N).round(1), "height": RNG.normal(170, 9, N).round(1)}).assign(
    town=RNG.choice(list("uvw"), N), label=LABELS, person=GROUPS
)
CLIPS = [(f"{word}/anna_{i}.wav", word) for i in range(6) for word in ("no", "yes")]


def csv(path, frame, sep=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, sep=sep)
    return path


def npz(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{k: v.astype(str) if v.dtype.kind == "O" else v for k, v in arrays.items()})
    return path


def clip(path, seconds=0.3, values=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * 8000)) / 8000)
    soundfile.write(path, tone if values is None else values, 8000, subtype="FLOAT")
    return path


def clips(folder, seconds=0.3):
    for name, _ in CLIPS:
        clip(folder / name, seconds)
    return folder


def manifest(folder, sep=",", **columns):
    clips(folder)
    frame = pd.DataFrame({"file": [name for name, _ in CLIPS], "label": [word for _, word in CLIPS]}).assign(**columns)
    return csv(folder / "manifest.csv", frame, sep)


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path, format="PNG")
    return path


def pictures(folder, classes=("a", "b")):
    for i in range(12):
        picture(folder / classes[i % len(classes)] / f"{i}.png", i)
    return folder


def records(folder, seconds=6, change=lambda record, signal: None, count=6):
    for record in range(count):
        n = 250 * seconds
        signal = np.stack([heartbeats(n, np.arange(250, n, 250), 1.0 + i, seed=record) for i in range(2)], axis=1)
        change(record, signal)
        write_record(folder / f"r{record}", signal, rate=250, leads=("I", "II"))
    return folder


def hub(folder, kind, change=lambda contents: None, labels=None, split="train"):
    """A parquet file of the `datasets` library with encoded sounds or images in it."""
    make, suffix = (clips, "wav") if kind == "audio" else (pictures, "png")
    files = sorted(make(folder / "files").rglob(f"*.{suffix}"))
    contents = [file.read_bytes() for file in files]
    change(contents)
    rows = {kind: [{"bytes": c, "path": f.name} for c, f in zip(contents, files, strict=True)]}
    labels = [file.parent.name for file in files] if labels is None else labels
    data = datasets.Dataset.from_dict({**rows, "label": labels})
    data = data.cast_column(kind, datasets.Audio() if kind == "audio" else datasets.Image())
    data = datasets.DatasetDict({split: data})
    shutil.rmtree(folder / "files")
    data.save_to_disk(str(folder / "hub"))
    return folder / "hub"


def shard(folder, change=lambda contents: None, labels=("a", "b") * 6):
    """A tar file of pictures, with their labels beside them."""
    files = sorted(pictures(folder / "files").rglob("*.png"))
    contents = [file.read_bytes() for file in files]
    change(contents)
    with tarfile.open(folder / "x.tar", "w") as archive:
        for i, (content, label) in enumerate(zip(contents, labels, strict=True)):
            for suffix, member in (("png", content), ("cls", label)):
                if member is not None:
                    data = member if isinstance(member, bytes) else member.encode()
                    about = tarfile.TarInfo(f"{i:03d}.{suffix}")
                    about.size = len(data)
                    archive.addfile(about, io.BytesIO(data))
    return folder / "x.tar"


def some(values, missing=None, every=3):
    """The same values, every third missing."""
    return np.array([missing if i % every == 0 else value for i, value in enumerate(values)], dtype=object)
