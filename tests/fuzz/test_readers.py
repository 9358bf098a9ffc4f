"""Random bytes, cut files and swapped headers, for everything that is read from disk: a named error, or an entry that
is set aside, never another exception.

`BAM_FUZZ_EXAMPLES=500 pytest tests/fuzz` tries more inputs, others at every call; the default few are always the same.
"""

import io
import json
import os
import shutil
import tarfile
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bam_core import PretrainedEncoder
from bam_core.comparison.trial_results import TrialResult
from bam_core.config.recipe import load_recipe
from bam_core.config.registry import load_modality
from bam_core.errors import BAMError, UnforeseenDataError
from bam_core.probes.results import Results
from bam_core.training.checkpoints import read_checkpoint

EXAMPLES = int(os.environ.get("BAM_FUZZ_EXAMPLES", "8"))
RNG = np.random.default_rng(0)
TRIED: Counter[str] = Counter()  # printed in the end: what became of the inputs


def bytes_of(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def table(n=24):
    return pd.DataFrame(
        {
            "age": RNG.integers(20, 90, n),
            "city": RNG.choice(["Bonn", "Kiel"], n),
            "when": pd.date_range("2024-01-01", periods=n).astype(str),
            "y": RNG.choice(["yes", "no"], n),
        }
    )


def series(n=24, length=16):
    columns = {f"t{i}": RNG.normal(size=n).round(4) for i in range(length)}
    return pd.DataFrame({**columns, "label": RNG.choice(["a", "b"], n)})


def long(n=8, length=20):
    return pd.DataFrame(
        {
            "id": np.repeat([f"s{i}" for i in range(n)], length),
            "time": np.tile(np.arange(length) / 10, n),
            "value": RNG.normal(size=n * length).round(4),
        }
    )


def picture(kind):
    from PIL import Image

    image = Image.fromarray(RNG.integers(0, 255, (12, 12, 3), dtype=np.uint8))
    return bytes_of(lambda buffer: image.save(buffer, format=kind))


def sound(kind, **options):
    import soundfile

    wave = 0.1 * RNG.normal(size=4000)
    return bytes_of(lambda buffer: soundfile.write(buffer, wave, 8000, format=kind, **options))


def tar_of(entries):
    def write(buffer):
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in entries.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    return bytes_of(write)


def record():
    """Header, signals and annotations of a WFDB record."""
    import wfdb

    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp("r", fs=100, units=["mV"], sig_name=["II"], p_signal=RNG.normal(size=(400, 1)), write_dir=folder)
        wfdb.wrann("r", "atr", np.arange(50, 400, 80), symbol=["N", "V", "N", "N", "V"], write_dir=folder)
        return {f.suffix: f.read_bytes() for f in Path(folder).iterdir()}


WFDB = record()
TS = "@problemName x\n@timeStamps false\n@univariate true\n@classLabel true a b\n@data\n" + "\n".join(
    ",".join(f"{v:.3f}" for v in RNG.normal(size=12)) + f":{'ab'[i % 2]}" for i in range(12)
)
ARRAYS = {"signals": RNG.normal(size=(16, 2, 20)).astype(np.float32), "label": np.arange(16) % 2}
IMAGES = {"images": RNG.integers(0, 255, (16, 8, 8), dtype=np.uint8), "label": np.arange(16) % 2}
JPEG = picture("JPEG")
MADE = {
    "table.csv": table().to_csv(index=False).encode(),
    "table.tsv": table().to_csv(index=False, sep="\t").encode(),
    "table.parquet": bytes_of(table().to_parquet),
    "series.csv": series().to_csv(index=False).encode(),
    "series.parquet": bytes_of(series().to_parquet),
    "series.ts": TS.encode(),
    "series.npy": bytes_of(lambda buffer: np.save(buffer, ARRAYS["signals"])),
    "series.npz": bytes_of(lambda buffer: np.savez(buffer, **ARRAYS)),
    "long.csv": long().to_csv(index=False).encode(),
    "long.parquet": bytes_of(long().to_parquet),
    "images.npz": bytes_of(lambda buffer: np.savez(buffer, **IMAGES)),
    "images.tar": tar_of({f"{i}.{e}": c for i in range(6) for e, c in (("jpg", JPEG), ("cls", b"1"))}),
    "clip.wav": sound("WAV"),
    "clip.flac": sound("FLAC"),
    "clip.ogg": sound("OGG", subtype="VORBIS"),
    "image.png": picture("PNG"),
    "image.jpg": JPEG,
    "image.tif": picture("TIFF"),
    "image.gif": picture("GIF"),
    "image.webp": picture("WEBP"),
    "clips.csv": b"file,label\n" + b"".join(b"clip%d.wav,%d\n" % (i, i % 2) for i in range(4)),
    "hub.parquet": bytes_of(
        pd.DataFrame({"image": [{"bytes": JPEG, "path": None}] * 6, "label": [0, 1] * 3}).to_parquet
    ),
    **{f"record{suffix}": content for suffix, content in WFDB.items()},
}

CASES = [  # modality, reader, options, the file that is damaged, and whether the reader takes its folder
    *(("tabular", "table", {}, f"table.{kind}", False) for kind in ("csv", "tsv", "parquet")),
    *(("timeseries", "arrays", {}, f"series.{kind}", False) for kind in ("csv", "parquet", "ts", "npy", "npz")),
    *(("timeseries", "long", {}, f"long.{kind}", False) for kind in ("csv", "parquet")),
    *(("ecg", "arrays", {"sampling_rate_hz": 100}, f"series.{kind}", False) for kind in ("csv", "npy", "npz")),
    *(("ecg", "wfdb", {"window_s": 1.0}, f"record{kind}", True) for kind in (".hea", ".dat", ".atr")),
    *(("audio", "folder", {}, f"clip.{kind}", True) for kind in ("wav", "flac", "ogg")),
    ("audio", "manifest", {}, "clips.csv", False),
    *(("image", "folder", {"size": 8}, f"image.{kind}", True) for kind in ("png", "jpg", "tif", "gif", "webp")),
    ("image", "arrays", {}, "images.npz", False),
    ("image", "shards", {"size": 8}, "images.tar", False),
    ("image", "huggingface", {"size": 8}, "hub.parquet", False),
]


@st.composite
def damaged(draw, name):
    """A damaged version of a file: random bytes, a part of it, its end behind the head of another, bytes or lines
    changed, or all of another kind."""
    whole = MADE[name]
    how = draw(st.sampled_from(["random", "cut", "head", "bytes", "lines", "other", "empty"]))
    if how == "random":
        return draw(st.binary(max_size=400))
    if how == "empty":
        return b""
    if how == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    other = MADE[draw(st.sampled_from(sorted(MADE)))]
    if how == "other":
        return other
    if how == "head":
        n = draw(st.integers(1, 200))
        return other[:n] + whole[n:]
    if how == "lines":
        lines = whole.split(b"\n")
        for _ in range(draw(st.integers(1, 4))):
            place = draw(st.integers(0, len(lines) - 1))
            lines[place] = draw(
                st.sampled_from([b"", lines[place][::-1], lines[place] * 2, b'"', b",,,,", b"\xff\xfe,\x00"])
            )
        return b"\n".join(lines)
    changed = bytearray(whole)
    for _ in range(draw(st.integers(1, 8))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


def outcome(read):
    """Read, and say what became of it; anything but a named error is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = read()
        except UnforeseenDataError:
            TRIED["named error, in a library's words"] += 1
            return
        except BAMError:
            TRIED["named error"] += 1
            return
    TRIED["set aside" if getattr(data, "set_aside", None) else "read"] += 1


def fuzzed(test):
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="BAM_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=checks,
    )(test)


@pytest.mark.parametrize(("modality", "reader", "options", "name", "in_folder"), CASES, ids=lambda value: str(value))
def test_data(modality, reader, options, name, in_folder, monkeypatch):
    read = load_modality(modality).readers[reader]

    @fuzzed
    @given(damaged(name))
    def check(content):
        with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
            patch.setenv("BAM_CACHE", f"{folder}/cache")
            place = Path(folder, "data")
            if not in_folder:
                place.mkdir()
                if reader == "manifest":
                    for i in range(4):
                        (place / f"clip{i}.wav").write_bytes(MADE["clip.wav"])
                (place / name).write_bytes(content)
                outcome(lambda: read(path=place / name, **options))
                return
            stem, suffix = name.split(".")
            for kind in ("a", "b"):
                (place / kind).mkdir(parents=True)
                for i in range(2):
                    (place / kind / f"{stem}{i}.{suffix}").write_bytes(MADE[name])
            if modality == "ecg":
                shutil.rmtree(place)
                place.mkdir()
                for i in range(4):
                    for kind, whole in WFDB.items():
                        text = whole.replace(b"r.dat", b"r%d.dat" % i).replace(b"r 1", b"r%d 1" % i)
                        (place / f"r{i}{kind}").write_bytes(text if kind == ".hea" else whole)
                (place / f"r0.{suffix}").write_bytes(content)
            else:
                (place / "a" / f"{stem}0.{suffix}").write_bytes(content)
            outcome(lambda: read(path=place, **options))

    check()


def test_checkpoints(tmp_path):
    state = {"state_dict": {"w": torch.ones(3)}, "global_step": 3, "loops": {}}
    MADE["checkpoint"] = bytes_of(lambda buffer: torch.save(state, buffer))

    @fuzzed
    @given(damaged("checkpoint"))
    def check(content):
        (tmp_path / "step.ckpt").write_bytes(content)
        outcome(lambda: read_checkpoint(tmp_path / "step.ckpt"))

    check()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_encoders(tmp_path, file):
    encoder = PretrainedEncoder("ecg", {"name": "resnet1d", "in_channels": 1, "width": 4}, {"a": 1})
    encoder.save_pretrained(tmp_path)
    MADE[file] = (tmp_path / file).read_bytes()

    @fuzzed
    @given(damaged(file))
    def check(content):
        (tmp_path / file).write_bytes(content)
        outcome(lambda: PretrainedEncoder.from_pretrained(tmp_path, local_files_only=True))

    check()


@pytest.mark.parametrize("load", [Results.load, TrialResult.load, load_recipe], ids=["results", "trial", "recipe"])
def test_files_of_ours(tmp_path, load):
    MADE["text"] = json.dumps({"format": 1, "modality": "ecg", "data": {"reader": "example"}, "rows": [1]}).encode()

    @fuzzed
    @given(damaged("text"))
    def check(content):
        (tmp_path / "file").write_bytes(content)
        outcome(lambda: load(tmp_path / "file"))

    check()


def test_the_count(capsys):
    """What became of the inputs, for docs/security.md."""
    with capsys.disabled():
        print(f"\n{sum(TRIED.values()):,} damaged inputs: {dict(TRIED)}")
