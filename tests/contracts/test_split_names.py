"""Every reader of tables, arrays and folders knows the same names of splits."""

import io
import tarfile

import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile
from ecg_folders import write_record
from PIL import Image

from modalities.audio import MODALITY as AUDIO
from modalities.ecg import MODALITY as ECG
from modalities.image import MODALITY as IMAGE
from modalities.tabular import MODALITY as TABULAR
from modalities.timeseries import MODALITY as TIMESERIES

N = 4  # rows of a split
NAMES = ["Val", "dev"]
MODALITIES = {"audio": AUDIO, "ecg": ECG, "image": IMAGE, "tabular": TABULAR, "timeseries": TIMESERIES}


def noise(i, n=40):
    return np.random.default_rng(i).normal(size=n)


def png(i):
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(content, "PNG")
    return content.getvalue()


def wav(i):
    content = io.BytesIO()
    soundfile.write(content, noise(i, 2000) / 8, 8000, format="WAV")
    return content.getvalue()


def column(splits):
    return np.repeat(splits, N)


def wide(folder, splits):
    frame = pd.DataFrame([noise(i, 12) for i in range(N * len(splits))]).add_prefix("x")
    frame.assign(split=column(splits)).to_csv(folder / "a.csv", index=False)
    return {"path": str(folder / "a.csv")}


def npz_of_series(folder, splits):
    np.savez(folder / "a.npz", signals=[noise(i) for i in range(N * len(splits))], split=column(splits))
    return {"path": str(folder / "a.npz"), "split": "split"}


def long(folder, splits):
    frames = [
        pd.DataFrame({"id": f"s{i}", "time": range(40), "x": noise(i), "split": split})
        for i, split in enumerate(column(splits))
    ]
    pd.concat(frames).to_csv(folder / "a.csv", index=False)
    return {"path": str(folder / "a.csv")}


def folders(suffix, write):
    def make(folder, splits):
        for i, split in enumerate(column(splits)):
            file = folder / str(split) / f"{i}{suffix}"
            file.parent.mkdir(exist_ok=True)
            write(file, i)
        return {"path": str(folder)}

    return make


def tables_in_folders(file, i):
    pd.DataFrame({"time": range(40), "x": noise(i)}).to_csv(file, index=False)


def record(file, i):
    write_record(file, noise(i, 400)[:, None], rate=100, leads=["I"])


def sounds_by_name(folder, splits):
    for i, split in enumerate(column(splits)):
        (folder / f"{split}_{i}.wav").write_bytes(wav(i))
    return {"path": str(folder), "pattern": "(?P<split>[A-Za-z]+)_"}


def images_by_name(folder, splits):
    for i, split in enumerate(column(splits)):
        (folder / f"{split}_{i}.png").write_bytes(png(i))
    return {"path": str(folder), "pattern": "(?P<split>[A-Za-z]+)_"}


def manifest(folder, splits):
    for i in range(N * len(splits)):
        (folder / f"{i}.wav").write_bytes(wav(i))
    files = [f"{i}.wav" for i in range(N * len(splits))]
    pd.DataFrame({"path": files, "split": column(splits)}).to_csv(folder / "list.csv", index=False)
    return {"path": str(folder / "list.csv")}


def shards(folder, splits):
    for i, split in enumerate(splits):
        with tarfile.open(folder / f"{split}-000.tar", "w") as archive:
            for k in range(N):
                info = tarfile.TarInfo(f"{N * i + k}.png")
                info.size = len(png(N * i + k))
                archive.addfile(info, io.BytesIO(png(N * i + k)))
    return {"path": str(folder)}


def npz_of_images(folder, splits):
    images = np.random.default_rng(0).integers(0, 256, (N * len(splits), 8, 8), dtype=np.uint8)
    np.savez(folder / "a.npz", images=images, split=column(splits))
    return {"path": str(folder / "a.npz")}


def npz_by_split(folder, splits):
    rng = np.random.default_rng(0)
    arrays = {f"{s}_images": rng.integers(0, 256, (N, 8, 8), dtype=np.uint8) for s in splits}
    np.savez(folder / "a.npz", **arrays)
    return {"path": str(folder / "a.npz")}


def hub(name, encode, feature):
    def make(folder, splits):
        for i, split in enumerate(splits):
            rows = {name: [{"bytes": encode(N * i + k), "path": None} for k in range(N)]}
            datasets.Dataset.from_dict(rows).cast_column(name, feature).to_parquet(
                folder / f"{split}-00000-of-00001.parquet"
            )
        return {"path": str(folder)}

    return make


KINDS = [
    ("tabular", "table", wide),
    ("timeseries", "arrays", wide),
    ("timeseries", "arrays", npz_of_series),
    ("timeseries", "long", long),
    ("timeseries", "long", folders(".csv", tables_in_folders)),
    ("ecg", "arrays", wide),
    ("ecg", "wfdb", folders("", record)),
    ("audio", "folder", folders(".wav", lambda file, i: file.write_bytes(wav(i)))),
    ("audio", "folder", sounds_by_name),
    ("audio", "manifest", manifest),
    ("audio", "huggingface", hub("audio", wav, datasets.Audio(decode=False))),
    ("image", "folder", folders(".png", lambda file, i: file.write_bytes(png(i)))),
    ("image", "folder", images_by_name),
    ("image", "shards", shards),
    ("image", "arrays", npz_of_images),
    ("image", "arrays", npz_by_split),
    ("image", "huggingface", hub("image", png, datasets.Image())),
]
WITHOUT = {  # readers of no names of splits: synthetic data, data sets with splits of their own, data in memory
    "audio": {"speech_commands", "example"},
    "ecg": {"ecg5000", "mitbih_beats", "ptbxl", "example"},
    "image": {"memory", "digits", "example"},
    "tabular": {"frame", "breast_cancer", "example"},
    "timeseries": {"series", "frame", "example"},
}


def test_every_reader_is_here():
    for name, modality in MODALITIES.items():
        tried = {reader for domain, reader, _ in KINDS if domain == name}
        assert tried | WITHOUT[name] == set(modality.readers), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("domain", "reader", "make"), KINDS, ids=lambda part: getattr(part, "__name__", part))
def test_validation_by_any_of_its_names(domain, reader, make, name, tmp_path):
    options = make(tmp_path, ["Train", name, "testing"])
    extra = {"window_s": 1.0, "leads": ["I"], "sampling_rate_hz": 100} if reader == "wfdb" else {}
    prepared = MODALITIES[domain].readers[reader](**options, **extra)
    names = {split: len(rows) for split, rows in prepared.splits.items()}
    rows = names["train"]
    assert names == {"train": rows, "validation": rows, "test": rows}
    assert rows >= N
