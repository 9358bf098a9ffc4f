"""The skeletons of `bam new` train, are evaluated, and pass their own tests, ruff and mypy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bam_core import PretrainedEncoder
from bam_core.cli import main
from bam_core.comparison.compare import plan
from bam_core.comparison.trial import run_trial
from bam_core.config.build import read_data
from bam_core.config.recipe import load_recipe

ROOT = Path(__file__).parents[2]


def checked(*command):
    """Run a tool on what was written."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_new_modality_from_skeleton_to_embeddings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "modality", "sea_waves", "--folder", "mine"]) == 0
    assert "Next: bam pretrain mine/sea_waves.yaml" in capsys.readouterr().out
    assert {f.name for f in (tmp_path / "mine").iterdir()} == {"sea_waves.py", "sea_waves.yaml", "test_sea_waves.py"}
    assert main(["pretrain", "mine/sea_waves.yaml", "run=runs/a"]) == 0

    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    assert main(["evaluate", "../runs/a"]) == 0
    assert "untrained encoder" in capsys.readouterr().out
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(5, 120))).assign(label=[*"aabb", ""]).to_csv("new.csv", sep=";", index=False)
    assert main(["embed", "../runs/a", "new.csv", "-o", "new.parquet"]) == 0
    table = pd.read_parquet("new.parquet")
    assert table.filter(regex=r"^e\d").shape == (5, 64)
    loaded = PretrainedEncoder.from_pretrained(tmp_path / "runs" / "a" / "encoder")
    assert loaded.modality.name == "sea_waves"

    monkeypatch.chdir(tmp_path / "mine")
    recipe = load_recipe(Path("sea_waves.yaml"), ["evaluate.fractions=[1.0]", "evaluate.bootstrap=100"])
    trial = run_trial(plan(recipe, ["bam"], 1, read_data(recipe))[-1], tmp_path / "trial")  # as bam compare does
    assert trial.results.features == ["bam"]


@pytest.mark.slow
def test_a_new_objective(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "objective", "spread"]) == 0
    assert main(["pretrain", "spread.yaml", "run=run", "evaluate.baselines=none"]) == 0
    metrics = pd.read_csv("run/metrics.csv")
    assert metrics["loss"].tail(3).mean() < metrics["loss"].head(3).mean()
    assert {"alignment", "uniformity"} <= set(metrics)
    assert main(["evaluate", "run"]) == 0
    assert "spread.py:make_spread" in capsys.readouterr().out


@pytest.mark.slow
def test_a_new_term(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "term", "near_views"]) == 0
    assert main(["pretrain", "near_views.yaml", "run=run", "train.epochs=2"]) == 0
    metrics = pd.read_csv("run/metrics.csv")
    assert {"kl", "bam_loss", "nearviews_loss", "nearviews_distance"} <= set(metrics)
    expected = metrics["bam_loss"] + 0.1 * metrics["nearviews_loss"]
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


@pytest.mark.slow
def test_all_pass_their_tests_ruff_and_mypy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "modality", "sea_waves"]) == main(["new", "objective", "spread"]) == 0
    assert main(["new", "term", "near_views"]) == 0
    names = ("sea_waves", "spread", "near_views")
    files = [file for name in names for file in (f"{name}.py", f"test_{name}.py")]
    checked("pytest", "-q", "-p", "no:cacheprovider", *(f"test_{name}.py" for name in names))
    checked("ruff", "check", "--no-cache", *files)
    checked("mypy", f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache'}", *files)


def test_names_that_do_not_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("my-waves", "Waves", "3d", "class"):
        assert main(["new", "modality", name]) == 1
        assert f"such as seismic_waves; got {name!r}" in capsys.readouterr().err
    (tmp_path / "waves.yaml").write_text("")
    assert main(["new", "modality", "waves"]) == 1
    assert "waves.yaml exist(s) and will not be written over" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1
