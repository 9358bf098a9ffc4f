"""The benchmarks run and say what they measured, at sizes that take no time; no timing is asserted."""

import importlib
import json
import math
import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from bam_core import InputError
from bam_core.benchmarks import loss, machine, start, timing, training
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe

GROWING = """
import torch
from bam_core.benchmarks import machine

before = machine.reset_peak()
torch.ones(1 << 24)
print(machine.peak_resident() - before)
"""


def test_contenders_return_the_loss_and_its_gradient():
    passes = loss.contenders(32, 8)
    expected, expected_gradient = passes["BAM dense"]()
    for method in ("stored", "streaming"):
        value, gradient = passes[f"BAM {method}"]()
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
        assert torch.allclose(gradient, expected_gradient, atol=1e-5)
    value, _ = passes["BAM streaming, teacher"]()
    assert value.item() == pytest.approx(passes["BAM dense, teacher"]()[0].item(), rel=1e-5)
    assert value.item() != pytest.approx(expected.item(), rel=1e-2)


def test_lightly_s_losses_take_part_and_have_gradients():
    pytest.importorskip("lightly")
    passes = loss.contenders(32, 8)
    peers = [name for name in passes if name.startswith("lightly")]
    assert len(peers) == 4
    for name in peers:
        value, gradient = passes[name]()
        assert value.isfinite()
        assert gradient.norm() > 0


def test_the_three_products_are_those_of_the_loss():
    scores, gradient = loss.contenders(8, 3)[loss.UNIT]()
    assert scores.item() == pytest.approx(1.0)  # a unit row with itself
    assert gradient.shape == (8, 3)


def test_an_odd_number_of_rows():
    with pytest.raises(InputError, match="even number of rows, two views of each sample; got 7"):
        loss.contenders(7, 4)


def test_an_unknown_contender():
    with pytest.raises(InputError, match=r"expected names among three products, BAM dense.*; got fast"):
        loss.benchmark_loss(rows=8, width=4, only=["fast"])


def test_bench_loss_prints_a_table_and_writes_json(capsys, tmp_path):
    options = ["--rows", "64", "--width", "8", "--rounds", "3", "--only"]
    names = ["BAM dense", "BAM streaming"]
    assert main(["bench", "loss", *options, *names, "--no-memory", "--json", str(tmp_path / "loss.json")]) == 0
    table = capsys.readouterr().out
    written = json.loads((tmp_path / "loss.json").read_text())
    assert [cost["name"] for cost in written["costs"]] == [loss.UNIT, *names]
    unit, dense, streaming = written["costs"]
    assert unit["ratio"] == [1, 1, 1]
    assert len(streaming["seconds"]) == 3
    assert dense["loss_error"] == 0
    assert streaming["gradient_error"] < 1e-5
    assert written["machine"]["torch"] == torch.__version__
    for text in ("| BAM streaming |", "64 rows, width 8, 3 rounds", written["machine"]["processor"]):
        assert text in table


@pytest.mark.slow
def test_peak_memory_is_that_of_a_new_process():
    measured = loss.benchmark_loss(rows=1024, width=8, rounds=1, only=["BAM dense", "BAM streaming"])
    _, dense, streaming = measured.costs
    assert dense.peak_mib > 8  # at least two matrices of 4 MiB
    assert streaming.peak_mib < 64
    assert f"| {dense.peak_mib:.0f} | {dense.peak_mib / 4:.2f} |" in measured.table()


def test_the_resident_set_is_seen_to_grow():
    """In a process of its own: one that has held more before takes the memory from there, and does not grow."""
    grown = subprocess.run([sys.executable, "-c", GROWING], capture_output=True, text=True, check=True).stdout
    assert float(grown) > 32


def test_a_machine_without_proc(monkeypatch):
    monkeypatch.setattr(
        machine, "Path", lambda name: SimpleNamespace(**dict.fromkeys(("read_text", "write_text"), _no))
    )
    monkeypatch.setattr(timing, "Path", lambda name: SimpleNamespace(open=_no))
    assert machine.describe_machine("no-such-package")["no-such-package"] == "not installed"
    assert machine.reset_peak() > 0
    assert timing.measure(lambda: None).others == 0


def _no(*_):
    raise FileNotFoundError


def test_disturbed_passes_are_repeated(monkeypatch):
    """The clock stands still but for the passes: each takes a second, and others take less of it every time."""
    clock, others = [0.0], count(0, 1)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(timing, "_own_seconds", lambda: 0.0)
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 1)
    busy = [0.0, 0.5, 1.0, 1.2, 2.0, 2.01]  # before and after each of three passes
    monkeypatch.setattr(timing, "_busy_seconds", lambda: busy[next(others)])

    def one_second():
        clock[0] += 1

    result = timing.measure(one_second, patience=10.0)
    assert clock[0] == 3
    assert result.seconds == 1
    assert result.others == pytest.approx(0.01)
    assert not result.disturbed


def test_without_patience_a_disturbed_pass_is_taken_as_it_is(monkeypatch):
    busy = iter([0.0, 1e9])
    monkeypatch.setattr(timing, "_busy_seconds", lambda: next(busy))
    assert timing.measure(lambda: None).disturbed


def test_the_median_of_one_and_of_many():
    assert timing.spread([2.0]) == (2, 2, 2)
    assert timing.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == (3, 2, 4)


def test_bench_train_accounts_for_the_whole_step(capsys, tmp_path):
    overrides = ["train.batch_size=8", "train.accelerator=cpu"]
    options = ["--steps", "3", "--json", str(tmp_path / "train.json")]
    assert main(["bench", "train", "smoke/ecg", *overrides, *options]) == 0
    table = capsys.readouterr().out
    written = json.loads((tmp_path / "train.json").read_text())
    assert written["steps"] == 3
    assert written["recipe"]["train"]["batch_size"] == 8
    assert list(written["parts"]) == list(written["fractions"]) == list(training.PARTS)
    assert all(seconds[0] > 0 for seconds in written["parts"].values())
    assert "| objective: projector, teacher and loss, forward and backward |" in table
    assert "batches of 8" in table
    assert f"at most {written['peak_mib']:.0f} MiB of memory" in table
    assert written["peak_mib"] >= 0  # a process that was larger before need not grow


@pytest.mark.parametrize(("micro_batch", "encoder_calls"), [("null", 1), ("4", 8)])
@pytest.mark.filterwarnings("ignore:micro_batch=4 with batch normalisation")
def test_bench_train_parts_are_where_the_time_is_spent(monkeypatch, micro_batch, encoder_calls):
    """Every part is made to take its own time on a clock that else stands still."""
    elapsed = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: elapsed[0])
    built = training.build

    def slow(recipe):
        parts = built(recipe)
        views, encoder = parts.view_fn.__class__.__call__, parts.encoder.forward

        def late_views(self, *args, **kwargs):
            elapsed[0] += 1
            return views(self, *args, **kwargs)

        def late_encoder(*args, **kwargs):
            elapsed[0] += 10
            return encoder(*args, **kwargs)

        def late_projector(module, inputs):
            elapsed[0] += 100

        def late_gradient(module, inputs, output):
            if output.requires_grad:
                output.register_hook(lambda _: elapsed.__setitem__(0, elapsed[0] + 1000))

        monkeypatch.setattr(parts.view_fn.__class__, "__call__", late_views)
        parts.encoder.forward = late_encoder
        original = training.PretrainModule

        def made(objective, *args, **kwargs):
            objective.projector.register_forward_pre_hook(late_projector)
            objective.projector.register_forward_hook(late_gradient)
            return original(objective, *args, **kwargs)

        monkeypatch.setattr(training, "PretrainModule", made)
        return parts

    monkeypatch.setattr(training, "build", slow)
    overrides = ["train.batch_size=8", "train.accelerator=cpu", f"train.micro_batch={micro_batch}"]
    recipe = load_recipe(find_recipe("smoke/ecg"), overrides)
    parts = training.benchmark_training(recipe, steps=2, warmup=1).parts
    medians = {name: seconds.median for name, seconds in parts.items()}
    assert medians == {
        "data": 0,
        "views": 1,
        "encoder": 10 * encoder_calls,
        "objective": 1100,
        "optimiser": 0,
        "rest": 0,
    }


def test_bench_train_without_steps(capsys):
    assert main(["bench", "train", "smoke/ecg", "--steps", "0"]) == 1
    assert "expected at least one step to measure; got 0" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_start_starts_new_processes(capsys, tmp_path):
    assert main(["bench", "start", "--rounds", "1", "--json", str(tmp_path / "start.json")]) == 0
    written = json.loads((tmp_path / "start.json").read_text())
    assert list(written["seconds"]) == list(start.STARTS)
    assert all(seconds[0] > 0 for seconds in written["seconds"].values())
    assert "| `bam --help` |" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["loss", "train", "start"])
def test_help_needs_no_torch(command):
    code = f"""
import sys
from bam_core.cli import main
try:
    main(["bench", {command!r}, "--help"])
finally:
    print("torch" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "--json FILE" in out
    assert out.endswith("False\n")


def test_memory_is_unknown_where_python_cannot_tell_it(monkeypatch):
    """As on Windows, which has no module `resource`."""
    monkeypatch.setitem(sys.modules, "resource", None)
    importlib.reload(machine)
    monkeypatch.setattr(machine.sys, "platform", "win32")
    monkeypatch.setattr(machine, "_status", no_file)
    assert math.isnan(machine.peak_resident())


def no_file(name):
    raise OSError
