"""Run folders, saved encoders and result files that version 0.1 wrote are read today, with the same values."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bam_core import PretrainedEncoder
from bam_core.cli import main
from bam_core.comparison.compare import write_table
from bam_core.comparison.trial_results import load_table, load_trials
from bam_core.config.build import build
from bam_core.probes.results import Results
from bam_core.runs.evaluate_run import stored, trained_objective
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import check_data, end_of_run, load_encoder, load_run, steps_of_encoder
from bam_core.training.checkpoints import newest_checkpoint

BEFORE = Path(__file__).parent / "fixtures" / "version_0_1"
EMBEDDINGS = pd.read_csv(BEFORE / "embeddings.csv", index_col="id")


@pytest.fixture
def run(tmp_path):
    """A copy of the run folder."""
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "run"))


def test_the_recipe_of_a_run():
    recipe = load_run(BEFORE / "run").recipe
    assert (recipe.modality, recipe.encoder["width"], recipe.objective["momentum"]) == ("timeseries", 4, 0.9)
    assert (recipe.train.epochs, recipe.evaluate.bootstrap) == (3, 100)


def test_a_finished_run_is_known_as_finished(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert pretrain(load_run(run), run, progress=False) == run
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_state_of_a_run_fits_the_networks_and_data_of_today():
    parts = build(load_run(BEFORE / "run"))
    check_data(BEFORE / "run", parts.data)
    assert newest_checkpoint(BEFORE / "run" / "checkpoints").step == steps_of_encoder(BEFORE / "run") == 18
    assert end_of_run(BEFORE / "run").collapse is not None
    objective = trained_objective(BEFORE / "run", parts)
    saved = load_encoder(BEFORE / "run").encoder.state_dict()
    for name, value in objective.encoder.state_dict().items():
        assert value.equal(saved[name]), name


def test_embeddings_of_a_saved_encoder(run, tmp_path):
    assert main(["embed", str(run), str(BEFORE / "series.npy"), "-o", str(tmp_path / "new.parquet")]) == 0
    table = pd.read_parquet(tmp_path / "new.parquet").set_index("id")
    assert set(EMBEDDINGS.columns) <= set(table.columns)
    np.testing.assert_allclose(table.loc[EMBEDDINGS.index, EMBEDDINGS.columns], EMBEDDINGS, rtol=1e-4, atol=1e-5)


def test_encoder_and_teacher_in_one_line():
    encoder, teacher = (PretrainedEncoder.from_pretrained(BEFORE / "run" / name) for name in ("encoder", "teacher"))
    assert encoder.facts["classes"] == ["sine", "sawtooth"]
    assert teacher.source["network"] == "teacher"
    assert any(not a.equal(b) for a, b in zip(encoder.parameters(), teacher.parameters(), strict=True))


def test_the_table_of_a_run():
    results = Results.load(BEFORE / "run" / "results.json")
    assert results.features == ["raw features", "untrained encoder", "bam"]
    assert results.row("bam", "knn", 1.0).mean == pytest.approx(0.591, abs=5e-4)
    assert stored(BEFORE / "run").rows == results.rows  # so that `bam evaluate` of several runs need not judge it again


def test_the_table_and_the_report_of_a_comparison(tmp_path):
    folder = Path(shutil.copytree(BEFORE / "comparison", tmp_path / "comparison"))
    trials, results = load_table(folder)
    assert {trial.label for trial in trials} == {"raw features", "untrained encoder", "bam", "simclr"}
    assert {json.dumps(trial.controls, sort_keys=True) for trial in load_trials(folder)} == {
        json.dumps(trials[0].controls, sort_keys=True)
    }
    assert results.row("simclr", "linear", 1.0).mean == pytest.approx(0.658, abs=5e-4)
    assert write_table(folder).rows == results.rows
    assert "| simclr | 0.627 " in (folder / "table.md").read_text(encoding="utf-8")
    assert "simclr" in (folder / "report.html").read_text(encoding="utf-8")
