import re

import pytest

from bam_core.cli import main

pytestmark = pytest.mark.slow


def test_a_step_that_broke_is_run_again_and_breaks_in_the_same_place(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exploding = ["train.learning_rate=1.0e+37", "train.warmup_epochs=0", "run=run"]
    assert main(["pretrain", "smoke/ecg", *exploding]) == 1
    error = capsys.readouterr().err
    where = re.search(r"step 1 is not finite: (NaN or infinity begins in .*?)\. Batch and weights are in", error)[1]
    assert "the output of objective.student.encoder." in where
    assert "run the step again with: bam replay run 1." in error

    for step in ([], ["1"]):
        assert main(["replay", "run", *step]) == 0
        assert capsys.readouterr().out == f"step 1: {where}.\n"
    assert main(["replay", "run", "7"]) == 1
    assert "expected a saved step in run/nonfinite; saved are 1." in capsys.readouterr().err
    assert main(["replay", "nowhere"]) == 1
    assert "none was saved" in capsys.readouterr().err
