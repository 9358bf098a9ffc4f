import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import NonCallableMock

import pytest
from lightning.pytorch import LightningModule, Trainer

from bam_core.training import checkpoints as module
from bam_core.training.checkpoints import Checkpoints, checkpoints, newest_checkpoint, some_process

MODULE = LightningModule()


def trainer_at(step, **options):
    """As much of a trainer as checkpoints need."""
    written = []

    def save_checkpoint(path, weights_only):
        written.append(path.name)
        path.write_text("new")

    parts = {"is_global_zero": True, "should_stop": False, "is_last_batch": False, "world_size": 1}
    found = {"global_step": step, "save_checkpoint": save_checkpoint, "written": written, **parts, **options}
    return NonCallableMock(Trainer, **found)


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    path = tmp_path / "step=00000004.ckpt"
    path.write_text("damaged")
    trainer, callback = trainer_at(4), Checkpoints(tmp_path, 2)
    callback.on_train_start(trainer, MODULE)
    for _ in range(2):
        callback.on_train_batch_end(trainer)
    callback.on_train_end(trainer, MODULE)
    assert path.read_text() == "new"
    assert len(trainer.written) == 1


def test_every_rank_takes_part_in_a_checkpoint_whatever_it_sees_on_disk(tmp_path):
    (tmp_path / "step=00000004.ckpt").write_text("already there")
    trainer = trainer_at(4, is_global_zero=False)
    Checkpoints(tmp_path, 2).on_train_batch_end(trainer)
    assert len(trainer.written) == 1


def test_after_ten_minutes_there_is_a_checkpoint(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    callback, seen = Checkpoints(tmp_path, 1000), []
    callback.on_train_start(trainer_at(0), MODULE)
    for step in range(1, 9):
        now[0] += 250
        trainer = trainer_at(step)
        callback.on_train_batch_end(trainer)
        seen += [step] * len(trainer.written)
    assert seen == [3, 6]
    assert [c.stem for c in checkpoints(tmp_path)] == ["step=00000003", "step=00000006"]


def test_several_processes_ask_each_other_now_and_then():
    asked = []
    strategy = SimpleNamespace(reduce_boolean_decision=lambda wants, all: asked.append(wants) or True)
    for step in range(1, 7):
        two = trainer_at(step, world_size=2, log_every_n_steps=3, strategy=strategy)
        assert some_process(two, False) == (step % 3 == 0)
    assert asked == [False, False]
    assert [some_process(trainer_at(1), wants) for wants in (False, True)] == [False, True]


@pytest.mark.slow
def test_a_whole_group_that_is_terminated_leaves_a_checkpoint(tmp_path):
    """As SLURM does it at the time limit: the processes that read data get the signal, too."""
    options = ("train.epochs=400", "train.num_workers=1")
    folder = tmp_path / "run"
    command = [Path(sys.executable).parent / "bam", "pretrain", "smoke/ecg", *options, f"run={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    while process.poll() is None and not (folder / "metrics.csv").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 130, output
    assert output.count("Stopping after this step") == 1
    assert "Go on with: bam pretrain" in output
    step = newest_checkpoint(folder / "checkpoints").step
    assert 0 < step < 1200
    assert (folder / "encoder").is_dir()
