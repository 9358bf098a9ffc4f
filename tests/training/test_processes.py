"""One recipe on one and on two processes, in one batch and in micro-batches: the same run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import rows_of, state_of

from bam_core import RecipeError
from bam_core.cli.files import find_recipe, new_run
from bam_core.training.build import build
from bam_core.training.checkpoints import checkpoints
from bam_core.training.recipe import load_recipe
from bam_core.training.run import pretrain

NO_BATCH_NORM = (
    "data.unequal=false",
    "data.n_series=96",
    "encoder={name: patch_transformer, width: 16, depth: 1, dropout: 0}",
    "objective.momentum=0.9",
    "train.epochs=2",
    "train.checkpoint_every=3",
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


def run_on_two_processes(folder):
    options = [*NO_BATCH_NORM, "train.devices=2", "train.strategy=ddp", f"run={folder}"]
    command = [sys.executable, str(Path(sys.executable).with_name("bam")), "pretrain", "smoke/timeseries", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


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


@pytest.mark.slow
@pytest.mark.parametrize("started_on_one", [False, True])
def test_two_processes_are_one_run_and_may_continue_one(whole, tmp_path, started_on_one):
    folder = tmp_path / "run"
    if started_on_one:
        shutil.copytree(whole, folder)
        shutil.rmtree(folder / "encoder")
        checkpoints(folder / "checkpoints")[-1].unlink()
        assert [c.stem for c in checkpoints(folder / "checkpoints")] == ["step=00000003"]
    done = run_on_two_processes(folder)
    assert done.stdout.count("Encoder:") == 1
    assert_same_run(whole, folder, 1e-6)


@pytest.mark.slow
def test_micro_batches_are_the_same_run(whole, tmp_path):
    folder = pretrain(recipe("train.micro_batch=5"), tmp_path / "run", progress=False)
    assert_same_run(whole, folder, 1e-6)


@pytest.mark.slow
def test_view_shards_are_another_run_where_processes_do_not_share_them(whole, tmp_path):
    other = pretrain(recipe("train.view_shards=1"), tmp_path / "run", progress=False)
    assert rows_of(other)[0]["loss"] != rows_of(whole)[0]["loss"]


def test_objectives_that_need_the_whole_batch_refuse_micro_batches(monkeypatch):
    without = load_recipe(find_recipe("smoke/timeseries"), NO_BATCH_NORM)
    asked = without.model_copy(update={"train": without.train.model_copy(update={"micro_batch": 4})})
    monkeypatch.setattr("bam_core.training.build.load_objective", lambda name: lambda encoder, view_fn: None)
    with pytest.raises(RecipeError, match="objective 'bam' needs the whole batch at once"):
        build(asked).objective(asked, 1)


def test_several_processes_need_the_name_of_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="expected the name of its folder: run="):
        new_run(tmp_path / "x.yaml")
