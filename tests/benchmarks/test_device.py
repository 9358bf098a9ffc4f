"""`bam bench device` on whatever this machine has, with small sizes; it ends in time and prints what it has."""

import json

import pytest

from bam_core import InputError
from bam_core.benchmarks import device
from bam_core.benchmarks.device_figures import Figure, Job
from bam_core.cli import main


def test_floor_and_loss_from_the_shell(tmp_path, capsys):
    assert main(["bench", "device", "--small", "--only", "floor", "loss", "--json", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr()
    assert "| 256 x 256 x 256 product, fp32 |" in said.out
    assert "loss: BAM streaming, teacher, 512 rows" in said.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["machine"]["torch"]
    assert {"floor", "loss"} == set(found["figures"])
    assert all(figure["value"] > 0 for figures in found["figures"].values() for figure in figures)
    assert set(found["failed"]) <= {f"lightly NT-Xent, {rows} rows" for rows in (128, 512)}


def test_a_part_that_does_not_exist():
    with pytest.raises(InputError, match=r"expected parts among floor, loss, images, recipes; got flor"):
        device.benchmark_device(only=["flor"])


@pytest.mark.slow
@pytest.mark.parametrize("part", ["images", "recipes"])
@pytest.mark.filterwarnings("ignore::bam_core.errors.CollapseWarning")  # a few steps teach nothing
def test_steps_of_recipes(part):
    found = device.benchmark_device(only=[part], small=True)
    assert not found.failed
    assert len(found.figures[part]) == len(found.table().splitlines()) - 6
    assert all("samples/s" in line for line in found.table().splitlines()[4:-2])


def test_it_ends_in_time_and_says_what_is_missing(monkeypatch):
    def fails():
        raise ModuleNotFoundError("No module named 'lightly'")

    jobs = [Job("first", lambda: [Figure("first", 1.0, "s")]), Job("second", fails)]
    monkeypatch.setattr(device, "floor", lambda *_: jobs)
    found = device.benchmark_device(only=["floor"])
    assert found.figures == {"floor": [Figure("first", 1.0, "s")]}
    assert "Not measured: second: ModuleNotFoundError: No module named 'lightly'" in found.table()
    late = device.benchmark_device(only=["floor"], seconds=-1.0)
    assert "No time was left for: first, second. Choose parts with --only." in late.table()
