"""Encoders that a run keeps, and the table of their figures."""

import itertools

import pandas as pd
import pytest
import torch

import bam_core as bam
from bam_core.cli import main
from bam_core.runs.kept import Keep, kept_encoders
from bam_core.selection.select import candidates
from bam_core.selection.words import in_words


def test_steps_that_are_kept(tmp_path):
    assert Keep(tmp_path, 4, 100, print).steps == {25, 50, 75}
    assert Keep(tmp_path, 1, 100, print).steps == set()
    assert Keep(tmp_path, 9, 3, print).steps == {1, 2}


@pytest.mark.slow
def test_a_run_keeps_encoders_and_their_figures_are_shown(tmp_path, capsys):
    bam.pretrain("smoke/timeseries", folder=tmp_path / "run", train__epochs=2, train__keep=3, progress=False)
    steps = [step for step, _ in kept_encoders(tmp_path / "run")]
    found = candidates(tmp_path / "run")
    end = found[-1].step
    assert steps == [round(end / 3), round(2 * end / 3)]
    assert [one.step for one in found] == [*steps, end]
    weights = [torch.cat([p.flatten() for p in one.encoder.encoder.parameters()]) for one in found]
    assert all(not first.equal(second) for first, second in itertools.pairwise(weights))
    capsys.readouterr()
    assert main(["select", str(tmp_path / "run"), "-o", str(tmp_path / "figures.csv")]) == 0
    said = capsys.readouterr().out
    assert "None of these criteria has been shown to choose well" in said
    table = pd.read_csv(tmp_path / "figures.csv")
    assert table["step"].tolist() == [*steps, end]
    assert table[["rankme", "lidar", "alpha_req", "view_agreement", "spread"]].notna().all().all()
    assert table["view_agreement"].between(0, 1).all()


def test_what_each_criterion_would_choose():
    table = pd.DataFrame({"run": ["a", "b"], "step": [5, 9], "rankme": [2.0, 3.0], "lidar": [4.0, float("nan")]})
    table = table.assign(alpha_req=[0.9, 1.4], view_agreement=[0.2, 0.3])
    said = in_words(table)
    assert "rankme (most): b, step 9" in said
    assert "lidar (most): a, step 5" in said
    assert "alpha_req (nearest to 1): a, step 5" in said
    assert "So nothing is recommended." in said
