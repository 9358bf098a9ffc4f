"""One recipe on one and on two processes, in one batch and in micro-batches: the same run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from run_folders import rows_of, state_of
from safetensors.torch import load_file

from bam_core import RecipeError
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import new_run
from bam_core.training.checkpoints import checkpoints

NO_BATCH_NORM = (
    "data.unequal=false",
    "data.n_series=96",
    "encoder={name: patch_transformer, width: 16, depth: 2, dropout: 0}",
    "objective.momentum=0.9",
    "train.epochs=2",
    "train.gradient_clip=0.5",
    "train.checkpoint_every=3",
    "train.knn_every=1",
    "train.accelerator=cpu",
    "train.precision=64-true",  # AdamW makes steps of full size from the rounding of gradients that are zero
)


def recipe(*overrides):
    return load_recipe(find_recipe("smoke/timeseries"), [*NO_BATCH_NORM, *overrides])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        return pretrain(recipe(), tmp_path_factory.mktemp("runs") / "whole", progress=False)


BIN = Path(sys.executable).parent
TORCHRUN = (str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2")


def run_on_two_processes(folder, *overrides, strategy="ddp", launcher=(sys.executable,)):
    options = [*NO_BATCH_NORM, "train.devices=2", f"train.strategy={strategy}", *overrides, f"run={folder}"]
    command = [*launcher, str(BIN / "bam"), "pretrain", "smoke/timeseries", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def half_of(run, folder):
    """A copy of a run as it was in the middle."""
    shutil.copytree(run, folder)
    for network in ("encoder", "teacher"):
        shutil.rmtree(folder / network)
    checkpoints(folder / "checkpoints")[-1].unlink()
    assert [c.stem for c in checkpoints(folder / "checkpoints")] == ["step=00000003"]


def assert_same_run(one, other, tolerance):
    for a_part, b_part in zip(state_of(one), state_of(other), strict=True):
        flat = [torch.utils._pytree.tree_leaves(part) for part in (a_part, b_part)]
        for a, b in zip(*flat, strict=True):
            if isinstance(a, torch.Tensor):
                assert torch.allclose(a, b, rtol=tolerance, atol=tolerance)
    rows = [
        [[float(row[k]) for k in ("step", "loss", "kl", "target_entropy")] for row in rows_of(folder)]
        for folder in (one, other)
    ]
    assert torch.allclose(*map(torch.tensor, rows), rtol=1e-6)
    looks = [(folder / "knn.csv").read_text() for folder in (one, other)]
    assert looks[0] == looks[1]
    assert looks[0].count("train") == 2
    for network in ("encoder", "teacher"):
        weights = [load_file(folder / network / "model.safetensors") for folder in (one, other)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.allclose(weights[0][k], weights[1][k], rtol=tolerance, atol=tolerance) for k in weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("started_on_one", [False, True])
def test_two_processes_are_one_run_and_may_continue_one(whole, tmp_path, started_on_one):
    folder = tmp_path / "run"
    if started_on_one:
        half_of(whole, folder)
    done = run_on_two_processes(folder)
    assert done.stdout.count("Encoder:") == 1
    assert_same_run(whole, folder, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_batch_normalisation_is_over_the_rows_of_both(tmp_path, strategy):
    resnet = "encoder={name: resnet1d, width: 8}"
    one = pretrain(recipe(resnet), tmp_path / "one", progress=False)
    run_on_two_processes(tmp_path / "two", resnet, strategy=strategy)
    assert_same_run(one, tmp_path / "two", 1e-6)


@pytest.mark.slow
def test_torchrun_is_the_same_run(whole, tmp_path):
    done = run_on_two_processes(tmp_path / "run", launcher=TORCHRUN)
    assert done.stdout.count("Encoder:") == 1
    assert_same_run(whole, tmp_path / "run", 1e-6)


@pytest.mark.slow
def test_spread_parameters_are_the_same_run_and_may_continue_one_and_be_continued(whole, tmp_path):
    half_of(whole, tmp_path / "begun on one")
    run_on_two_processes(tmp_path / "begun on one", strategy="fsdp")
    assert_same_run(whole, tmp_path / "begun on one", 1e-6)

    run_on_two_processes(tmp_path / "spread", "train.micro_batch=5", strategy="fsdp", launcher=TORCHRUN)
    assert_same_run(whole, tmp_path / "spread", 1e-6)

    half_of(tmp_path / "spread", tmp_path / "ended on one")
    pretrain(recipe("train.micro_batch=5"), tmp_path / "ended on one", progress=False)
    assert_same_run(whole, tmp_path / "ended on one", 1e-6)


STOPPING_ONE = """
import os, signal, sys
from pathlib import Path
from bam_core.collectives import leave_group
from bam_core.config.shipped_recipes import find_recipe
from bam_core.training.module import PretrainModule
from bam_core.config.recipe import load_recipe
from bam_core.runs.pretrain import pretrain

step = PretrainModule.optimizer_step

def interrupting(self, *args, **kwargs):
    step(self, *args, **kwargs)
    if self.global_rank == 1 and self.global_step == 1:
        os.kill(os.getpid(), getattr(signal, os.environ["STOP_WITH"]))

PretrainModule.optimizer_step = interrupting
folder, *options = sys.argv[1:]
try:
    pretrain(load_recipe(find_recipe("smoke/timeseries"), options), Path(folder), progress=False)
except KeyboardInterrupt:
    Path(f"{folder}.rank{os.environ['RANK']}").touch()
leave_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_of_one_process_stops_both_and_the_run_goes_on(whole, tmp_path, monkeypatch, name):
    monkeypatch.setenv("STOP_WITH", name)
    (tmp_path / "script.py").write_text(STOPPING_ONE)
    run = tmp_path / "run"
    options = (*NO_BATCH_NORM, "train.devices=2", "train.strategy=ddp", "train.log_every=1")
    command = [*TORCHRUN, str(tmp_path / "script.py"), str(run), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {f.name for f in tmp_path.glob("run.rank*")} == {"run.rank0", "run.rank1"}
    assert [c.stem for c in checkpoints(run / "checkpoints")] == ["step=00000002"]
    pretrain(recipe(), run, progress=False)
    assert_same_run(whole, run, 1e-6)


@pytest.mark.slow
def test_micro_batches_are_the_same_run(whole, tmp_path):
    folder = pretrain(recipe("train.micro_batch=5"), tmp_path / "run", progress=False)
    assert_same_run(whole, folder, 1e-6)


@pytest.mark.slow
def test_view_shards_are_another_run_where_processes_do_not_share_them(whole, tmp_path):
    other = pretrain(recipe("train.view_shards=1"), tmp_path / "run", progress=False)
    assert rows_of(other)[0]["loss"] != rows_of(whole)[0]["loss"]


def test_objectives_that_need_the_whole_batch_refuse_micro_batches(monkeypatch):
    def whole_batch(encoder, view_fn, *, total_steps: int): ...

    monkeypatch.setattr("bam_core.config.recipe.load_objective", lambda name: whole_batch)
    with pytest.raises(RecipeError, match=r"train\.micro_batch: the objective 'bam' needs the whole batch at once"):
        recipe("train.micro_batch=4", "objective={name: bam}")


def test_several_processes_need_the_name_of_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="expected the name of its folder: run="):
        new_run("x")
