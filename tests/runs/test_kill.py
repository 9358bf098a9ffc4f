"""A run that is killed again and again, also while it writes, ends as one that was left alone."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from run_folders import rows_of, state_of

from bam_core.runs.pretrain import pretrain
from bam_core.training.checkpoints import Checkpoints, checkpoints

N_STEPS = 18
OPTIONS = ("train.epochs=6", "objective.momentum=0.9", "train.checkpoint_every=1")


def train(recipe, folder, cache):
    os.environ["BAM_CACHE"] = cache
    torch.set_num_threads(1)
    pretrain(recipe, folder, progress=False)


def die_while_writing(recipe, folder, cache):
    """Leave half a checkpoint under the name of a partial one, and die."""

    def save(self, trainer):
        whole = self.folder / "whole"
        trainer.save_checkpoint(whole, weights_only=False)
        content = whole.read_bytes()
        partial = self.folder / f"step={trainer.global_step:08d}.partial"
        partial.write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints._save = save
    train(recipe, folder, cache)


def steps_done(folder):
    done = checkpoints(folder / "checkpoints")
    return int(done[-1].stem.partition("=")[2]) if done else 0


def start(target, *args):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bam_core.runs.pretrain", "modalities.ecg"])
    process = context.Process(target=target, args=args)
    process.start()
    return process


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(smoke, tmp_path):
    recipe, cache = smoke(*OPTIONS), os.environ["BAM_CACHE"]
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    alone = start(train, recipe, whole, cache)
    alone.join()
    assert alone.exitcode == 0
    chance = random.Random(0)
    kills = 0
    while kills < 8:
        before = steps_done(folder)
        process = start(die_while_writing if kills % 4 == 3 else train, recipe, folder, cache)
        if kills % 4 != 3:
            while steps_done(folder) == before and process.is_alive():
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.06))
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert before < N_STEPS
    last = start(train, recipe, folder, cache)
    last.join()
    assert last.exitcode == 0
    (state, optimizer), (other_state, other_optimizer) = state_of(whole), state_of(folder)
    for a, b in ((state, other_state), (optimizer, other_optimizer)):
        leaves = [torch.utils._pytree.tree_leaves(part) for part in (a, b)]
        assert all(torch.equal(x, y) for x, y in zip(*leaves, strict=True) if isinstance(x, torch.Tensor))
    assert [row["loss"] for row in rows_of(folder)] == [row["loss"] for row in rows_of(whole)]
    assert not list((folder / "checkpoints").glob("*.ckpt"))[2:]
