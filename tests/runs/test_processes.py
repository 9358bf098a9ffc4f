"""One recipe on one and on two processes, in one batch and in micro-batches: the same run."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launch import run
from lightning.pytorch.utilities import rank_zero_only
from run_folders import rows_of, state_of
from safetensors.torch import load_file

from bam_core import RecipeError
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import new_run
from bam_core.training.checkpoints import checkpoints
from bam_core.training.module import PretrainModule

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


def run_on_two_processes(folder, *, launcher):
    options = [*NO_BATCH_NORM, "train.devices=2", "train.strategy=ddp", f"run={folder}"]
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


def step_and_signal(number, step=PretrainModule.optimizer_step):
    """An optimiser step after which the second rank, once, gets a signal."""

    def stepping(self, *args, **kwargs):
        step(self, *args, **kwargs)
        if self.global_rank == 1 and self.global_step == 1:
            os.kill(os.getpid(), number)

    return stepping


RESNET = "encoder={name: resnet1d, width: 8}"
JOBS = {  # name of the run -> strategy, overrides, signal
    "normed, ddp": ("ddp", (RESNET,), None),
    "normed, fsdp": ("fsdp", (RESNET,), None),
    "begun on one": ("fsdp", (), None),
    "spread": ("fsdp", ("train.micro_batch=5",), None),
    "SIGINT": ("ddp", ("train.log_every=1",), signal.SIGINT),
    "SIGTERM": ("ddp", ("train.log_every=1",), signal.SIGTERM),
}


def train_all(rank, world_size, folder):
    """How each run ended."""
    rank_zero_only.rank = rank  # Lightning reads it once, when it is imported
    ends = {}
    for name, (strategy, overrides, number) in JOBS.items():
        chosen = recipe(f"train.devices={world_size}", f"train.strategy={strategy}", *overrides)
        with pytest.MonkeyPatch.context() as patch:
            if number is not None:
                patch.setattr(PretrainModule, "optimizer_step", step_and_signal(number))
            try:
                pretrain(chosen, folder / name, progress=False)
                ends[name] = "done"
            except KeyboardInterrupt:
                ends[name] = "interrupted"
    return ends


@pytest.fixture(scope="module")
def two_ranks(whole):
    """Folder of the runs of two ranks, and how they ended on each."""
    folder = whole.parent / "of two"
    half_of(whole, folder / "begun on one")
    return folder, run(train_all, 2, folder)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ours", "torchrun"])
def test_two_processes_are_one_run_and_may_continue_one(whole, tmp_path, launcher):
    """By Lightning's launcher, which the command calls, a run that one process began; by torchrun a new one."""
    folder = tmp_path / "run"
    if launcher == "ours":
        half_of(whole, folder)
    done = run_on_two_processes(folder, launcher=TORCHRUN if launcher == "torchrun" else (sys.executable,))
    assert done.stdout.count("Encoder:") == 1
    assert_same_run(whole, folder, 1e-6)


@pytest.mark.slow
def test_batch_normalisation_is_over_the_rows_of_both(two_ranks, tmp_path):
    one = pretrain(recipe(RESNET), tmp_path / "one", progress=False)
    for strategy in ("ddp", "fsdp"):
        assert_same_run(one, two_ranks[0] / f"normed, {strategy}", 1e-6)


@pytest.mark.slow
def test_spread_parameters_are_the_same_run_and_may_continue_one_and_be_continued(whole, two_ranks, tmp_path):
    folder = two_ranks[0]
    for name in ("begun on one", "spread"):
        assert_same_run(whole, folder / name, 1e-6)
    half_of(folder / "spread", tmp_path / "ended on one")
    pretrain(recipe("train.micro_batch=5"), tmp_path / "ended on one", progress=False)
    assert_same_run(whole, tmp_path / "ended on one", 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_of_one_process_stops_both_and_the_run_goes_on(whole, two_ranks, tmp_path, name):
    folder, ends = two_ranks
    assert [of_rank[name] for of_rank in ends] == ["interrupted"] * 2
    stopped = shutil.copytree(folder / name, tmp_path / "run")
    assert [c.stem for c in checkpoints(stopped / "checkpoints")] == ["step=00000002"]
    pretrain(recipe(), stopped, progress=False)
    assert_same_run(whole, stopped, 1e-6)


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
