import subprocess
import sys

import pytest
from filelock import FileLock

from bam_core import RecipeError
from bam_core.runs import lock as module
from bam_core.runs.lock import LOCK, only_here
from bam_core.runs.pretrain import pretrain

HOLDING = """
import sys, time
from pathlib import Path
from bam_core.runs.lock import only_here
with only_here(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_and_a_dead_one_keeps_nothing(smoke, tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "mine\n"
    with pytest.raises(RecipeError, match=r"another process is at work in the run folder .* Wait until it has ended"):
        pretrain(smoke("train.epochs=1"), folder, progress=False)
    holder.kill()
    holder.communicate()
    assert pretrain(smoke("train.epochs=1"), folder, progress=False) == folder


def test_a_folder_is_left_as_it_was_found(tmp_path):
    with only_here(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / LOCK).exists()
    assert not (tmp_path / "new" / "run").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    for _ in range(2):
        with only_here(tmp_path / "old"):
            pass
    assert {f.name for f in (tmp_path / "old").iterdir()} == {LOCK, "file"}


def test_the_other_processes_of_a_run_share_its_lock(tmp_path, monkeypatch):
    with only_here(tmp_path):
        monkeypatch.setattr(module.rank_zero_only, "rank", 1)
        with only_here(tmp_path):
            pass


def test_another_process_may_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module.rank_zero_only, "rank", 1)
    with only_here(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(38, "no locks here")])
def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(FileLock, "acquire", fail)
    with only_here(tmp_path / "a"), only_here(tmp_path / "a"):
        pass
