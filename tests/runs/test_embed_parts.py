"""Embeddings part by part: the rows of a single file, whatever is killed, and nothing mixed up."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tarfile
import time
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from run_folders import untrained_run

from bam_core import DataError, InputError, RecipeError
from bam_core.config.registry import load_modality
from bam_core.runs.embed import embed_data
from bam_core.runs.embed_parts import embed_parts
from bam_core.runs.embed_ray import embed_on_cluster
from bam_core.runs.lock import only_here
from bam_core.runs.sources import sources_of

N_ROWS = 10_000


def untrained(folder, modality, encoder, **data):
    views = {"name": {"timeseries": "series"}.get(modality, modality)}
    untrained_run(folder, {"modality": modality, "data": data, "views": views, "encoder": encoder})
    return folder


@pytest.fixture
def table(tmp_path):
    """A run on a table of numbers and classes, and such tables."""
    rng = np.random.default_rng(0)

    def table(name, n):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        found = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "y": rng.choice(["a", "b"], n)})
        found.to_parquet(path) if path.suffix == ".parquet" else found.to_csv(path, index=False)
        return path

    encoder = {"name": "mlp", "width": 8}
    untrained(tmp_path / "run", "tabular", encoder, reader="table", path=str(table("old.csv", 20)), label="y")
    return table


@pytest.fixture
def series(tmp_path):
    """A run on series, and 10,000 others."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "old.npy", rng.normal(size=(20, 1, 16)).astype("float32"))
    np.save(tmp_path / "new.npy", rng.normal(size=(N_ROWS, 1, 16)).astype("float32"))
    encoder = {"name": "resnet1d", "width": 2}
    untrained(tmp_path / "run", "timeseries", encoder, reader="arrays", path=str(tmp_path / "old.npy"))
    return tmp_path / "new.npy"


def parts_of(folder):
    return sorted(file.name for file in folder.glob("*.parquet"))


def single(run, data, tmp_path):
    embed_data(run, data, tmp_path / "single.parquet")
    return pd.read_parquet(tmp_path / "single.parquet")


def assert_same(found, expected):
    assert found.drop(columns=[c for c in found if c.startswith("e")]).equals(
        expected.drop(columns=[c for c in expected if c.startswith("e")])
    )
    np.testing.assert_allclose(found.filter(regex=r"^e\d"), expected.filter(regex=r"^e\d"), atol=1e-6)


def test_parts_hold_the_rows_of_a_single_file(table, tmp_path):
    data, run, out = table("new.csv", 50), tmp_path / "run", tmp_path / "out"
    said = embed_parts(run, data, out, part_rows=15)
    assert parts_of(out) == [f"part-00000-{part:05d}.parquet" for part in range(4)]
    assert_same(pd.read_parquet(out), single(run, data, tmp_path))
    manifest = json.loads((out / "_manifest.json").read_text())
    assert (said.n_rows, said.width) == (50, 8) == (manifest["rows"], manifest["width"])
    assert manifest["complete"]
    assert manifest["parts"] == 4
    assert "Data: 50 rows" in (out / "_data.txt").read_text()


def test_what_is_there_is_not_made_again_and_what_is_missing_is(table, tmp_path):
    data, run, out = table("new.csv", 50), tmp_path / "run", tmp_path / "out"
    embed_parts(run, data, out, part_rows=15)
    times = {name: (out / name).stat().st_mtime_ns for name in parts_of(out)}
    missing = "part-00000-00002.parquet"
    (out / missing).unlink()
    embed_parts(run, data, out, part_rows=15)
    again = {name: (out / name).stat().st_mtime_ns for name in parts_of(out)}
    assert {name for name in again if again[name] != times[name]} == {missing}


def test_a_folder_of_parquet_files_is_read_file_by_file(table, tmp_path):
    run, out, data = tmp_path / "run", tmp_path / "out", tmp_path / "new"
    files = [table(f"new/{name}.parquet", n) for name, n in (("a", 7), ("b", 12), ("d", 1))]
    (data / "c.parquet").write_bytes(b"PAR1 no parquet file")
    said = embed_parts(run, data, out, part_rows=5)
    found = pd.read_parquet(out)
    assert found["id"].is_unique
    assert said.n_rows == len(found) == 20
    assert said.n_set_aside == 1
    assert pd.read_csv(out / "_set_aside.csv")["source"].tolist() == ["c.parquet"]
    for file in files:
        expected = single(run, file, tmp_path)
        rows = found[found["id"].str.startswith(f"{file.name}:")].reset_index(drop=True)
        assert_same(rows.assign(id=rows["id"].str.removeprefix(f"{file.name}:")), expected.astype({"id": str}))
    assert not any((out / "_prepared").iterdir())


def test_no_file_that_can_be_used(table, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "c.parquet").write_bytes(b"PAR1 no parquet file")
    (tmp_path / "new" / "d.parquet").write_bytes(b"PAR1 no parquet file")
    with pytest.raises(DataError, match=r"no file in '.*new' could be used: c\.parquet: "):
        embed_parts(tmp_path / "run", tmp_path / "new", tmp_path / "out")
    with pytest.raises(DataError, match=r"expected data at '.*gone'; there is nothing"):
        embed_parts(tmp_path / "run", tmp_path / "gone", tmp_path / "out 2")


def test_parts_have_one_schema_also_where_no_class_is_known(table, tmp_path):
    data, out = table("new.csv", 12), tmp_path / "out"
    pd.read_csv(data).assign(y=lambda t: t["y"].where(t.index >= 6)).to_csv(data, index=False)
    embed_parts(tmp_path / "run", data, out, part_rows=6)
    schemas = [pq.read_schema(out / name) for name in parts_of(out)]
    assert len(schemas) > 1
    assert len({str(schema.remove_metadata()) for schema in schemas}) == 1


def test_other_data_encoders_and_options_are_refused(table, tmp_path):
    data, run, out = table("new.csv", 12), tmp_path / "run", tmp_path / "out"
    embed_parts(run, data, out, part_rows=6)
    with pytest.raises(DataError, match=r"was begun with another part_rows\. Bring back"):
        embed_parts(run, data, out, part_rows=7)
    with pytest.raises(DataError, match="was begun with another options"):
        embed_parts(run, data, out, part_rows=6, overrides=["drop=[z]"])
    table("new.csv", 13)
    with pytest.raises(DataError, match="was begun with another data"):
        embed_parts(run, data, out, part_rows=6)
    weights = run / "encoder" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="was begun with another encoder and another data"):
        embed_parts(run, data, out, part_rows=6)
    with pytest.raises(DataError, match=r"expected an empty folder.*run' holds 'encoder' and no _manifest\.json"):
        embed_parts(run, data, run)


def test_one_process_at_a_time(table, tmp_path):
    data = table("new.csv", 12)
    with (
        only_here(tmp_path / "out"),
        pytest.raises(RecipeError, match=r"at work in the folder '.*out'\. Wait until it has ended, or write to ano"),
    ):
        embed_parts(tmp_path / "run", data, tmp_path / "out")


def test_tar_files_of_images(tmp_path):
    rng = np.random.default_rng(0)

    def tar(name, n):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as file:
            for i in range(n):
                content = BytesIO()
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(content, "png")
                info = tarfile.TarInfo(f"{path.stem}{i:03d}.png")
                info.size = content.tell()
                content.seek(0)
                file.addfile(info, content)
        return path

    run = untrained(tmp_path / "run", "image", {"name": "cnn", "width": 4}, reader="shards", path=str(tar("o.tar", 9)))
    for name, n in (("a", 3), ("train-b", 4), ("validation-c", 5)):
        tar(f"new/{name}.tar", n)
    embed_parts(run, tmp_path / "new", tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out")
    assert len(found) == 12
    assert found["id"].is_unique


class OneActor:
    """What the engine asks of Ray, by a single actor in this process."""

    def __init__(self, items=()):
        self.items, self.done = items, []

    def from_items(self, items, *, override_num_blocks):
        assert override_num_blocks == len(items)
        return OneActor(items)

    def map_batches(self, actor, *, fn_constructor_args, batch_size, num_gpus, compute):
        assert compute["max_size"] <= 3  # of four processors
        made = actor(*fn_constructor_args)
        self.done = [made({key: np.array([item[key]]) for key in item}) for item in self.items]
        return self

    def iter_batches(self, *, batch_size):
        return iter(self.done)


def test_a_cluster_makes_the_same_parts(table, tmp_path, monkeypatch):
    data = OneActor()
    data.ActorPoolStrategy = dict
    ray = SimpleNamespace(data=data, is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 4.0})
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", data)
    one, many, run = table("one.csv", 23), tmp_path / "many", tmp_path / "run"
    for name, n in (("a", 7), ("b", 12)):
        table(f"many/{name}.parquet", n)
    for source in (one, many):
        embed_parts(run, source, tmp_path / "local", part_rows=5)
        embed_on_cluster(run, source, tmp_path / "cluster", part_rows=5)
        assert parts_of(tmp_path / "local") == parts_of(tmp_path / "cluster")
        assert_same(pd.read_parquet(tmp_path / "cluster"), pd.read_parquet(tmp_path / "local"))
        embed_on_cluster(run, source, tmp_path / "cluster", part_rows=5)  # nothing is left to do
        for folder in ("local", "cluster"):
            shutil.rmtree(tmp_path / folder)


def test_without_ray(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InputError, match=r"'ray' expected Ray, which is not installed: pip install 'bam-ssl\[cluster\]'"
    ):
        embed_on_cluster(tmp_path / "run", table("new.csv", 3), tmp_path / "out")


def embed(run, data, out, cache):
    os.environ["BAM_CACHE"] = cache
    torch.set_num_threads(1)
    embed_parts(run, data, out, part_rows=250)


def test_killed_at_random_moments_every_row_is_there_once(series, tmp_path):
    run, out, chance = tmp_path / "run", tmp_path / "out", random.Random(0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bam_core.runs.embed_parts", "modalities.timeseries"])
    kills = 0
    while True:
        before = len(parts_of(out))
        process = context.Process(target=embed, args=(run, series, out, os.environ["BAM_CACHE"]))
        process.start()
        while len(parts_of(out)) == before and process.is_alive():
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.2))
        if kills < 3:
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills
    found = pd.read_parquet(out)
    assert len(parts_of(out)) == N_ROWS // 250
    assert_same(found, single(run, series, tmp_path))
    assert found["id"].is_unique
    assert len(found) == N_ROWS


def test_a_folder_with_other_files_of_rows_is_one_piece(tmp_path):
    image = load_modality("image")
    for name in ("a.tar", "c.tar", "notes.txt"):
        (tmp_path / name).touch()
    assert sources_of(tmp_path, image, {}) == [tmp_path / "a.tar", tmp_path / "c.tar"]
    for other in ("b.parquet", "x.png"):
        (tmp_path / other).touch()
        assert sources_of(tmp_path, image, {}) == [tmp_path]


@pytest.mark.parametrize("embed", [embed_parts, embed_on_cluster])
def test_embeddings_are_not_written_among_the_data(embed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    with pytest.raises(DataError, match="lies in the data"):
        embed(tmp_path / "run", tmp_path, tmp_path / "out")
    assert not list(tmp_path.iterdir())
