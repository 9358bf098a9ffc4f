"""A process that reads data and is killed, as the system does it when memory runs out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bam_core.errors import DataError
from bam_core.training.data_workers import deaths_explained

PATIENCE = 60  # seconds; it takes 3 to 11


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks ps for the children of a process")
def test_a_killed_reader_ends_the_run_in_one_line_that_goes_on(tmp_path):
    folder = tmp_path / "run"
    options = ("train.epochs=2000", "train.num_workers=2", "train.checkpoint_every=2", "train.batch_size=64")
    command = [Path(sys.executable).parent / "bam", "pretrain", "smoke/ecg", *options, f"run={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(folder.glob("checkpoints/*.ckpt")):
        time.sleep(0.05)
    said = ""
    for _ in range(20):  # one that dies while the readers of an epoch are being replaced does no harm
        readers = children_of(process.pid)
        if readers:
            os.kill(readers[-1], signal.SIGKILL)
        try:
            said = process.communicate(timeout=PATIENCE / 20)[1]
            break
        except subprocess.TimeoutExpired:
            continue
    assert process.wait(timeout=PATIENCE) == 1, said
    assert "a process that reads data has died" in said
    assert said.rstrip().endswith(f"bam pretrain {folder / 'recipe.yaml'} run={folder} train.num_workers=0")


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="something else"), deaths_explained("again"):
        raise RuntimeError("something else")
    killed = r"has died \(DataLoader worker 7 is killed\), mostly .* or with none: again$"
    with pytest.raises(DataError, match=killed), deaths_explained("again"):
        raise RuntimeError("DataLoader worker 7 is killed. ")
