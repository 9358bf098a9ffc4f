import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bam_core
from bam_core.cli import COMMANDS, main

ROOT = Path(bam_core.__file__).parents[1]
LAUNCHER = ROOT / "bam_core" / "cli" / "launcher" / "bam_ssl.py"


def test_help_needs_nothing_heavy():
    code = "import sys, bam_core.cli as c; sys.argv = ['bam']; c.main(['recipes']); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert not {"torch", "numpy", "pydantic", "yaml", "rich"} & set(out.split())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "usage: bam" in text
    assert len(text) > 200


def test_no_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "bam demo" in capsys.readouterr().out


def test_recipes_are_listed_shown_and_copied(capsys, tmp_path):
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert "ecg/mitbih_resnet1d" in listed
    assert "smoke/ecg" in listed
    assert main(["recipes", "show", "smoke/ecg"]) == 0
    assert capsys.readouterr().out.startswith("# Synthetic ECGs")
    assert main(["recipes", "copy", "recipes/smoke/ecg.yaml", str(tmp_path)]) == 0
    assert (tmp_path / "ecg.yaml").exists()
    assert main(["recipes", "copy", "smoke/ecg", str(tmp_path / "ecg.yaml")]) == 1
    assert "exists; copy to another name" in capsys.readouterr().err


def test_validate_prints_the_whole_recipe_or_all_mistakes(capsys):
    assert main(["validate", "smoke/ecg", "train.epochs=7"]) == 0
    assert "epochs: 7" in capsys.readouterr().out
    assert main(["validate", "smoke/ecg", "train.epoch=7", "views.crp=1"]) == 1
    error = capsys.readouterr().err
    assert "did you mean 'epochs'" in error
    assert "did you mean 'crop'" in error
    assert main(["validate", "smoke/ecq"]) == 1
    assert "did you mean 'smoke/ecg'?" in capsys.readouterr().err


def test_resume_needs_a_folder(capsys):
    assert main(["pretrain", "smoke/ecg", "resume=true"]) == 1
    assert "run=runs/NAME" in capsys.readouterr().err


@pytest.mark.slow
def test_pretrain_evaluate_embed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", "smoke/ecg", "run=run", "train.epochs=1"]) == 0
    out = capsys.readouterr().out
    assert "Data: " in out
    assert "Next:    bam evaluate run" in out
    assert main(["evaluate", "run"]) == 0
    out = capsys.readouterr().out
    assert "untrained encoder" in out
    assert "Report: run/report.html" in out

    rng = np.random.default_rng(0)
    signals = rng.normal(size=(6, 2, 200)).astype(np.float32)
    signals[4] = 0
    np.savez("new.npz", signals=signals, groups=np.array(list("aabbcc")))
    assert main(["embed", "run", "new.npz", "-o", "out.parquet", "sampling_rate_hz=100", "signals=signals"]) == 0
    out = capsys.readouterr().out
    assert "out.parquet: 5 rows, 32 features" in out
    assert "Left out: 1 input(s):\n    new:4: constant on every channel" in out
    assert "1 input(s) could not be used; out.set_aside.csv names them" in out
    assert Path("out.data.txt").read_text() in out
    table = pd.read_parquet("out.parquet")
    assert set(table["group"]) == set("abc")
    assert [c for c in table if c.startswith("e")] == [f"e{i}" for i in range(32)]
    assert len(set(table["id"])) == 5

    assert main(["embed", "run", "new.npz", "-o", "x.parquet", "sampling_rate_hz=250"]) == 1
    assert "trained on data with sampling_rate_hz=100.0; these have sampling_rate_hz=250.0" in capsys.readouterr().err
    assert main(["embed", "run", "nowhere.npz", "-o", "x.parquet"]) == 1
    assert "there is nothing" in capsys.readouterr().err
    assert main(["embed", "run", "new.npz", "-o", "x.parquet", "lable=y"]) == 1
    assert "did you mean 'label'?" in capsys.readouterr().err
    assert main(["embed", "run", "new.npz", "-o", "x.parquet", "label"]) == 1
    assert "expected key=value" in capsys.readouterr().err
    assert main(["pretrain", "smoke/ecg", "train.seed=1", "run=other"]) == 0
    assert main(["evaluate", "run", "other"]) == 0
    assert (Path("other") / "results.json").exists()
    assert "standard deviation over 2 runs" in " ".join(capsys.readouterr().out.split())
    assert main(["evaluate", "run", "other", "--teacher"]) == 1
    assert "has no teacher: objective.momentum makes one" in capsys.readouterr().err
    assert main(["evaluate", "nowhere"]) == 1
    assert "is not a run folder" in capsys.readouterr().err


@pytest.mark.slow
def test_data_without_labels_still_give_a_report(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("signals.npy", np.random.default_rng(0).normal(size=(40, 1, 100)).astype(np.float32))
    arrays = ["data.reader=arrays", "data.path=signals.npy", "data.sampling_rate_hz=100"]
    assert main(["pretrain", "smoke/ecg", "run=run", *arrays]) == 0
    assert main(["evaluate", "run"]) == 0
    assert "what can be said without" in capsys.readouterr().out
    assert (tmp_path / "run" / "report.html").stat().st_size > 20_000


def shadow(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("# somebody else's\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return subprocess.run(
        [sys.executable, str(LAUNCHER), "recipes"], capture_output=True, text=True, env=env, check=False
    )


@pytest.mark.parametrize("name", ["bam_core", "modalities"])
def test_a_package_of_the_same_name_is_named(tmp_path, name):
    result = shadow(tmp_path, name)
    assert result.returncode == 1
    assert f"{name!r} that would be imported is not part of bam-ssl but lies in {tmp_path / name}" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_extras_are_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "bam_core.config.recipe", raising=False)
    assert main(["validate", "smoke/ecg"]) == 1
    assert "pip install 'bam-ssl[train]'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_wheel_carries_recipes_data_and_template(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert {"bam_ssl.py", "bam_core/recipes/ecg/mitbih_resnet1d.yaml", "modalities/ecg/ecg5000.npz"} <= names
    assert {"bam_core/reports/report.html.jinja", "bam_core/py.typed", "modalities/py.typed"} <= names
    templates = {name for name in names if name.startswith("bam_core/cli/templates/")}
    assert len(templates) == 9
    assert not any(name.startswith(("tests", "docs", "recipes")) for name in names)
    code = "import bam_ssl, sys; sys.argv = ['bam', 'recipes']; sys.exit(bam_ssl.main())"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env, check=True
    )
    assert "ecg/mitbih_resnet1d" in result.stdout
