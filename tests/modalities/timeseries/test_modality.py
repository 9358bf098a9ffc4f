import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from ragged import pad

from bam_core.cli import main
from modalities.timeseries.batches import GRID, draw_signal, flat_signal
from modalities.timeseries.example import synthetic_series

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.mark.parametrize("unequal", [False, True])
def test_the_example(unequal):
    prepared = synthetic_series(n_series=32, n_channels=3, length=40, unequal=unequal)
    assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 24, "test": 8}
    assert prepared.facts["in_channels"] == 3
    assert prepared.facts.get("unequal", False) == unequal
    assert not set(prepared.groups("train")) & set(prepared.groups("test"))
    assert set(prepared.labels("train")) == {0, 1}


def test_raw_features_are_as_wide_for_every_batch(ragged):
    x = torch.randn(4, 2, 10)
    assert torch.equal(flat_signal(x), x.reshape(4, 20))
    for batch in (pad(ragged), pad(ragged, to=99, filler=7.0), pad(ragged[:1])):
        assert flat_signal(batch).shape == (len(batch["length"]), 3 * GRID)
    torch.testing.assert_close(flat_signal(pad(ragged)), flat_signal(pad(ragged, to=99, filler=7.0)))
    line = flat_signal(pad([torch.arange(11.0)[None]]))[0]
    torch.testing.assert_close(line, torch.linspace(0, 10, GRID))


def test_pictures_show_the_series_up_to_its_end():
    figure, axes = plt.subplots()
    draw_signal(axes, {"signal": torch.randn(2, 50), "length": torch.tensor(20)})
    assert [len(line.get_xdata()) for line in axes.lines] == [20, 20]
    draw_signal(axes, torch.randn(1, 30))
    assert len(axes.lines[-1].get_xdata()) == 30
    plt.close(figure)


def test_channels_in_pictures_lie_below_each_other():
    """Whatever their levels are, and without flattening the quiet ones."""
    figure, axes = plt.subplots()
    draw_signal(axes, torch.randn(5, 50) * torch.tensor([1, 2, 1, 1, 2.0])[:, None] + 100 * torch.arange(5)[:, None])
    drawn = [line.get_ydata() for line in axes.lines]
    assert all(upper.min() > lower.max() for upper, lower in itertools.pairwise(drawn))
    whole = drawn[0].max() - drawn[-1].min()
    assert sum(np.ptp(channel) for channel in drawn) > 0.4 * whole
    plt.close(figure)


@pytest.mark.slow
def test_from_unequal_series_to_embeddings_of_new_ones(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["pretrain", "smoke/timeseries", f"run={run}", "train.epochs=1"]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert (run / "report.html").exists()
    rng = np.random.default_rng(0)
    new = [rng.normal(size=(2, t)) for t in (30, 55, 90)]
    np.savez(tmp_path / "new.npz", *new, id=["x", "y", "z"])
    out = tmp_path / "out.parquet"
    assert main(["embed", str(run), str(tmp_path / "new.npz"), "-o", str(out)]) == 0
    table = pd.read_parquet(out)
    assert table["id"].tolist() == ["x", "y", "z"]
    assert table.filter(regex=r"^e\d").shape == (3, 32)
    assert main(["embed", str(run), str(tmp_path / "new.npz"), "-o", str(out), "window=30", "hop=15"]) == 0
    assert pd.read_parquet(out)["id"].tolist() == ["x@0", "y@0", "y@15", "z@0", "z@15", "z@30", "z@45", "z@60"]


@pytest.mark.slow
def test_new_series_are_scaled_as_those_of_training(tmp_path):
    rng = np.random.default_rng(0)
    series = rng.normal(7, 3, (40, 1, 32))
    np.savez(tmp_path / "train.npz", X=series, y=np.arange(40) % 2)
    np.savez(tmp_path / "new.npz", X=series[:5] + 100)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "modality: timeseries\ndata: {reader: arrays, normalize: train, test_fraction: 0}\nviews: {name: series}\n"
        "encoder: {name: dilated, n_blocks: 2, width: 8, d: 8}\ntrain: {epochs: 1, batch_size: 20, log_every: 1}\n"
    )
    run, out = tmp_path / "run", tmp_path / "out.parquet"
    assert main(["pretrain", str(recipe), f"data.path={tmp_path / 'train.npz'}", f"run={run}"]) == 0
    embedded = []
    for name in ("train.npz", "new.npz"):
        assert main(["embed", str(run), str(tmp_path / name), "-o", str(out)]) == 0
        embedded.append(pd.read_parquet(out).filter(regex=r"^e\d").to_numpy()[:5])
    assert np.abs(embedded[0] - embedded[1]).max() > 1  # by a scaling of their own they would be the same


@pytest.mark.slow
def test_a_folder_of_long_tables(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in "abcdef":
        pd.DataFrame({"x": rng.normal(size=30), "y": rng.normal(size=30)}).to_csv(folder / f"{name}.csv", index=False)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"modality: timeseries\ndata: {{reader: long, path: {folder}, normalize: train}}\nviews: {{name: series}}\n"
        "encoder: {name: resnet1d, width: 4}\ntrain: {epochs: 1, batch_size: 6, log_every: 1}\n"
    )
    run, out = tmp_path / "run", tmp_path / "out.parquet"
    assert main(["pretrain", str(recipe), f"run={run}"]) == 0
    assert main(["embed", str(run), str(folder), "-o", str(out), "reader=long"]) == 0
    assert pd.read_parquet(out)["id"].tolist() == list("abcdef")
    assert main(["embed", str(run), str(folder / "b.csv"), "-o", str(out), "reader=long"]) == 0
    one = pd.read_parquet(out)
    assert one["id"].tolist() == ["b"]
    assert one.filter(regex=r"^e\d").shape == (1, 16)
