"""The tool behind the table of healthy signs, on logs whose figures are known."""

import math
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "healthy_signs.py"


def write_log(folder, target_entropy, kl):
    folder.mkdir(parents=True)
    steps = range(10, 60, 10)
    log = pd.DataFrame({"step": steps, "kl": kl, "target_entropy": target_entropy, "rankme": [90, 80, 70, 60, 50]})
    log["loss"] = log["kl"] + log["target_entropy"]
    log["uniform_loss"] = math.log(511)
    log["uniform_entropy"] = math.log(2) + 0.5 * math.log(510)
    log.to_csv(folder / "metrics.csv", index=False)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return capsys.readouterr().out


def test_first_row_last_three_and_spread_over_runs(tmp_path, monkeypatch, capsys):
    most = math.log(2) + 0.5 * math.log(510)
    write_log(tmp_path / "a0", [most / 2] * 5, [2.0, 0, 0.9, 1.0, 1.1])
    write_log(tmp_path / "a1", [most / 2] * 5, [4.0, 0, 2.0, 2.0, 2.0])
    out = run(monkeypatch, capsys, f"mine={tmp_path}/a*")
    assert "| mine, 2 seeds | 50 | 3.00 to 1.50 ± 0.71 | 0.50 to 0.50 ± 0.00 |" in out
    assert "|  | 90 to 60 ± 0 |" in out
    assert "at 10 rows and every end: 0 called collapsed" in out


def test_a_log_of_before_uniform_entropy_gives_the_same_table(tmp_path, monkeypatch, capsys):
    write_log(tmp_path / "new", [2.0] * 5, [1.0] * 5)
    write_log(tmp_path / "old", [2.0] * 5, [1.0] * 5)
    file = tmp_path / "old" / "metrics.csv"
    pd.read_csv(file).drop(columns="uniform_entropy").to_csv(file, index=False)
    new, old = run(monkeypatch, capsys, f"x={tmp_path}/new"), run(monkeypatch, capsys, f"x={tmp_path}/old")
    assert new == old


def test_collapsed_runs_are_called_so(tmp_path, monkeypatch, capsys):
    most = math.log(2) + 0.5 * math.log(510)
    write_log(tmp_path / "flat", [most] * 5, [math.log(511) - most] * 5)
    out = run(monkeypatch, capsys, str(tmp_path / "flat"))
    assert "6 called collapsed" in out
    assert "the attention knows nothing" in out


def test_no_runs_are_an_error(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="expected folders of runs"):
        run(monkeypatch, capsys, f"x={tmp_path}/none*")
