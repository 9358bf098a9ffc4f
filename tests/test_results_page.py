"""The tables of docs/results.md that lay comparisons side by side are those of the result files that are kept."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from bam_core.comparison.trial_results import load_trials

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python (docs/(?:five_domains|step_curves)\.py) (.+)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize(("script", "arguments"), COMMANDS)
def test_tables_are_those_of_the_files(script, arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, *(str(ROOT / folder) for folder in arguments.split())])
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *args, **options: None)
    runpy.run_path(str(ROOT / script), run_name="__main__")
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert len(tables) == (3 if "five" in script else 1)
    for table in tables:
        assert table in PAGE


def test_every_folder_of_results_is_one_comparison_on_the_page():
    folders = [path.parent for path in (ROOT / "docs" / "results").rglob("results") if path.is_dir()]
    assert len(folders) >= 16
    for folder in folders:
        assert len({trial.controls_hash for trial in load_trials(folder)}) == 1
        assert folder.relative_to(ROOT).as_posix() in PAGE
